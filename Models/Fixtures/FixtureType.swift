import OccamQuantFormats

/// The weight type of a whole file, as it stands in the file's name.
package enum FixtureType: String, Sendable, CaseIterable {
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case q8_0 = "Q8_0"
  case q4_0 = "Q4_0"
  case q4_K_M = "Q4_K_M"
  case q6_K = "Q6_K"

  /// The type of that name, in whatever case it is written.
  package init?(name: String) {
    guard let type = FixtureType(rawValue: name.uppercased()) else { return nil }
    self = type
  }

  /// `general.file_type`: llama.cpp's number for the mix.
  package var fileType: UInt32 {
    switch self {
    case .f32: 0
    case .f16: 1
    case .q4_0: 2
    case .q8_0: 7
    case .q4_K_M: 15
    case .q6_K: 18
    case .bf16: 32
    }
  }

  /// How one tensor is stored: llama.cpp's mixes, but a row that holds no K-quant block becomes Q8_0 (llama.cpp:
  /// Q5_0, which this package does not write), one that holds no block of 32 becomes F16.
  /// - Parameters:
  ///   - textLayers: layers of the text model; the first and last eighth and every third layer between get more bits.
  ///   - isTied: whether the token embedding is the output matrix too.
  package func format(of tensor: TensorPlan, textLayers: Int, isTied: Bool) -> QuantFormat {
    let wanted: QuantFormat
    switch tensor.role {
    case .vector: return .f32
    // llama.cpp's convolution takes no quantised kernel and reads an F32 one as F16.
    case .patchKernel: return self == .f32 ? .f32 : .f16
    case .positions: return self == .f16 || self == .bf16 ? .f16 : .f32
    case .textMatrix, .visionMatrix: wanted = main
    case .textValue(let layer), .textDown(let layer):
      wanted = self == .q4_K_M && Self.hasMoreBits(layer, textLayers) ? .q6_K : main
    case .tokenEmbedding: wanted = isTied && (self == .q4_0 || self == .q4_K_M) ? .q6_K : main
    case .output: wanted = self == .q4_0 || self == .q4_K_M ? .q6_K : main
    }
    return [wanted, .q8_0].first { tensor.rowLength % $0.blockSize == 0 } ?? .f16
  }

  private var main: QuantFormat {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .q8_0: .q8_0
    case .q4_0: .q4_0
    case .q4_K_M: .q4_K
    case .q6_K: .q6_K
    }
  }

  private static func hasMoreBits(_ layer: Int, _ layers: Int) -> Bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
  }
}
