import OccamQuantFormats

/// What a whole file can be quantized to: one format, or a mix that gives sensitive tensors more bits.
/// Names and file type numbers are llama.cpp's.
package enum QuantizationType: String, CaseIterable, Sendable {
  case q2_K = "Q2_K"
  case q3_K_S = "Q3_K_S"
  case q3_K_M = "Q3_K_M"
  case q3_K_L = "Q3_K_L"
  case iq4_xs = "IQ4_XS"
  case iq4_nl = "IQ4_NL"
  case q4_0 = "Q4_0"
  case q4_1 = "Q4_1"
  case q4_K_S = "Q4_K_S"
  case q4_K_M = "Q4_K_M"
  case q5_0 = "Q5_0"
  case q5_1 = "Q5_1"
  case q5_K_S = "Q5_K_S"
  case q5_K_M = "Q5_K_M"
  case q6_K = "Q6_K"
  case q8_0 = "Q8_0"
  case f16 = "F16"
  case bf16 = "BF16"
  case f32 = "F32"

  /// The type of that name, whatever the case.
  package init?(name: String) { self.init(rawValue: name.uppercased()) }

  /// The format of a tensor to which no rule of the mix applies.
  package var base: QuantFormat { description.base }

  /// `general.file_type` of such a file (llama_ftype).
  package var fileType: UInt32 { description.fileType }

  package var summary: String { description.summary }

  private var description: (base: QuantFormat, fileType: UInt32, summary: String) {
    switch self {
    case .q2_K: (.q2_K, 10, "2 bits in super-blocks, sensitive tensors in Q3_K: costs quality that is seen")
    case .q3_K_S: (.q3_K, 11, "3 bits in super-blocks")
    case .q3_K_M: (.q3_K, 12, "3 bits in super-blocks, sensitive tensors in Q4_K and Q5_K")
    case .q3_K_L: (.q3_K, 13, "3 bits in super-blocks, sensitive tensors in Q5_K")
    case .iq4_xs: (.iq4_xs, 30, "4 bits of uneven steps in super-blocks: the smallest with 4 bits")
    case .iq4_nl: (.iq4_nl, 25, "4 bits of uneven steps, 32 numbers a scale")
    case .q4_0: (.q4_0, 2, "4 bits, 32 numbers a scale: small, and fast everywhere")
    case .q4_1: (.q4_1, 3, "4 bits, 32 numbers a scale and an offset")
    case .q4_K_S: (.q4_K, 14, "4 bits in super-blocks, the first layers' sensitive tensors in Q5_K")
    case .q4_K_M: (.q4_K, 15, "4 bits in super-blocks, sensitive tensors in Q6_K: the usual choice")
    case .q5_0: (.q5_0, 8, "5 bits, 32 numbers a scale")
    case .q5_1: (.q5_1, 9, "5 bits, 32 numbers a scale and an offset")
    case .q5_K_S: (.q5_K, 16, "5 bits in super-blocks")
    case .q5_K_M: (.q5_K, 17, "5 bits in super-blocks, sensitive tensors in Q6_K")
    case .q6_K: (.q6_K, 18, "6 bits in super-blocks: close to lossless")
    case .q8_0: (.q8_0, 7, "8 bits, 32 numbers a scale: practically lossless")
    case .f16: (.f16, 1, "half precision")
    case .bf16: (.bf16, 32, "bfloat16")
    case .f32: (.f32, 0, "single precision")
    }
  }
}

/// A tensor's place among those of its kind.
struct TensorRank: Equatable {
  let index: Int
  let count: Int

  /// In the first `part`th of them.
  func isEarly(_ part: Int) -> Bool { index < count / part }

  /// In the first or the last eighth, or every third between.
  var deservesMoreBits: Bool {
    let eighth = count / 8
    let (sevenfold, overflow) = count.multipliedReportingOverflow(by: 7)
    return index < eighth || (!overflow && index >= sevenfold / 8) || (index - eighth) % 3 == 2
  }
}

/// The mixes: what a role's tensors get instead of the base format.
extension QuantizationType {
  /// attn_v, and the fused projections that contain it.
  /// - Parameter isGrouped: four or more query heads share a key and value head, which makes these tensors small.
  func valueFormat(_ rank: TensorRank, isGrouped: Bool) -> QuantFormat {
    switch self {
    case .q2_K: isGrouped ? .q4_K : .q3_K
    case .q3_K_M: rank.index < 2 ? .q5_K : .q4_K
    case .q3_K_L: .q5_K
    case .iq4_nl, .iq4_xs: isGrouped ? .q5_K : base
    case .q4_K_S: rank.index < 4 ? .q5_K : base
    case .q4_K_M, .q5_K_M: rank.deservesMoreBits ? .q6_K : base
    default: base
    }
  }

  /// ffn_down.
  func downFormat(_ rank: TensorRank) -> QuantFormat {
    switch self {
    case .q2_K: .q3_K
    case .q3_K_M: rank.isEarly(16) ? .q5_K : .q4_K
    case .q3_K_L: .q5_K
    case .iq4_nl, .iq4_xs, .q4_K_S: rank.isEarly(8) ? .q5_K : base
    case .q4_K_M, .q5_K_M: rank.deservesMoreBits ? .q6_K : base
    default: base
    }
  }

  /// attn_output.
  var attentionOutputFormat: QuantFormat {
    switch self {
    case .q2_K: .q3_K
    case .q3_K_M: .q4_K
    case .q3_K_L: .q5_K
    default: base
    }
  }
}
