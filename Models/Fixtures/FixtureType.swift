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
  case q4_1 = "Q4_1"
  case q5_0 = "Q5_0"
  case q5_1 = "Q5_1"
  case q2_K = "Q2_K"
  case q3_K_S = "Q3_K_S"
  case iq4_nl = "IQ4_NL"
  case iq4_xs = "IQ4_XS"
  case mxfp4 = "MXFP4"

  /// The type of that name, in whatever case it is written.
  package init?(name: String) {
    guard let type = FixtureType(rawValue: name.uppercased()) else { return nil }
    self = type
  }

  /// `general.file_type`: llama.cpp's number for the mix.
  package var fileType: UInt32 { description.fileType }

  private var main: QuantFormat { description.main }

  private var description: (main: QuantFormat, fileType: UInt32) {
    switch self {
    case .f32: (.f32, 0)
    case .f16: (.f16, 1)
    case .bf16: (.bf16, 32)
    case .q8_0: (.q8_0, 7)
    case .q4_0: (.q4_0, 2)
    case .q4_K_M: (.q4_K, 15)
    case .q6_K: (.q6_K, 18)
    case .q4_1: (.q4_1, 3)
    case .q5_0: (.q5_0, 8)
    case .q5_1: (.q5_1, 9)
    case .q2_K: (.q2_K, 10)
    case .q3_K_S: (.q3_K, 11)
    case .iq4_nl: (.iq4_nl, 25)
    case .iq4_xs: (.iq4_xs, 30)
    case .mxfp4: (.mxfp4, 38)
    }
  }

  /// Whether the output matrix gets Q6_K.
  private var hasBetterOutput: Bool {
    switch self {
    case .f32, .f16, .bf16, .q8_0, .q6_K: false
    default: true
    }
  }

  /// How one tensor is stored: llama.cpp's Q4_K_M; of the others one format, and Q6_K for the output. Rows that hold no
  /// block of 256 become Q8_0, whatever llama.cpp would take, rows that hold no block of 32 F16.
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
    case .tokenEmbedding: wanted = isTied && hasBetterOutput ? .q6_K : main
    case .output: wanted = hasBetterOutput ? .q6_K : main
    }
    return [wanted, .q8_0].first { tensor.rowLength % $0.blockSize == 0 } ?? .f16
  }

  private static func hasMoreBits(_ layer: Int, _ layers: Int) -> Bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
  }
}
