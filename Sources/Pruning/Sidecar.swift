import OccamCore

/// Which model a calibration belongs to.
package struct ModelFingerprint: Sendable, Equatable {
  /// Architecture of the encoder, as its file names it.
  package let architecture: String
  /// Encoder layers.
  package let layers: Int
  /// Width of the encoder's hidden state.
  package let hiddenSize: Int
  /// `ModelFingerprint.hash` of the encoder's tensor names, in the caller's fixed order.
  package let tensorHash: String

  package init(architecture: String, layers: Int, hiddenSize: Int, tensorHash: String) {
    self.architecture = architecture
    self.layers = layers
    self.hiddenSize = hiddenSize
    self.tensorHash = tensorHash
  }

  /// FNV-1a, 64 bits, over the names, each ended by a zero byte: 16 hexadecimal digits.
  package static func hash(_ names: some Sequence<String>) -> String {
    var state: UInt64 = 0xCBF2_9CE4_8422_2325
    for name in names {
      for byte in Array(name.utf8) + [0] { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

/// The result of a calibration, in a file beside the model.
package struct Sidecar: Sendable, Equatable {
  package static let version = 1

  package var model: ModelFingerprint
  package var plan: RegisterPlan
  /// What lambdas and curve of this file are held against. A register works without register neurons too: in an encoder
  /// without outlier patches it is a neutral token of the same softmax.
  package var reference: ReferenceKind
  /// What stage I's part of them was measured with.
  package var score: StageOneScore
  package var lambda1: Float?
  package var lambda2: Float?
  /// Text layer of Stage II, from 1.
  package var textLayer: Int?
  package var curve: BudgetCurve?
  /// What the calibration saw: images, questions, seed; for people.
  package var calibration: String

  package init(
    model: ModelFingerprint, plan: RegisterPlan, reference: ReferenceKind? = nil,
    score: StageOneScore = .attention, lambda1: Float? = nil, lambda2: Float? = nil, textLayer: Int? = nil,
    curve: BudgetCurve? = nil, calibration: String = ""
  ) {
    self.model = model
    self.plan = plan
    self.reference = reference ?? Sidecar.usualReference(plan)
    self.score = score
    self.lambda1 = lambda1
    self.lambda2 = lambda2
    self.textLayer = textLayer
    self.curve = curve
    self.calibration = calibration
  }

  /// Where nothing else is said: register neurons mean that there is a register.
  static func usualReference(_ plan: RegisterPlan) -> ReferenceKind { plan.isEmpty ? .mean : .register }

  /// `<name of the mmproj or fused model file>.occam.json`, beside it.
  package static func path(forModel model: String) -> String { model + ".occam.json" }
}

/// Why a sidecar cannot be used, named by file and field.
package enum SidecarError: Error, Equatable, CustomStringConvertible {
  case file(FileError)
  case syntax(path: String, JSONError)
  /// A field that is missing, of the wrong type or out of range.
  case field(path: String, name: String, expected: String)
  case mismatch(path: String, name: String, file: String, model: String)

  package var description: String {
    switch self {
    case .file(let error): error.description
    case .syntax(let path, let error): "'\(path)' is not a sidecar: \(error)"
    case .field(let path, let name, let expected): "'\(path)': field \(name): expected \(expected)"
    case .mismatch(let path, let name, let file, let model):
      "'\(path)' was calibrated for another model: \(name) is \(file) there, \(model) here"
    }
  }
}
