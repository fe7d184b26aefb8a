import OccamQuantFormats

/// What a whole file can be quantized to: one format, or a mix that gives sensitive tensors more bits.
/// Names and file type numbers are llama.cpp's.
package enum QuantizationType: String, CaseIterable, Sendable {
  case q4_0 = "Q4_0"
  case q4_K_M = "Q4_K_M"
  case q5_K_M = "Q5_K_M"
  case q6_K = "Q6_K"
  case q8_0 = "Q8_0"
  case f16 = "F16"
  case bf16 = "BF16"
  case f32 = "F32"

  /// The type of that name, whatever the case.
  package init?(name: String) { self.init(rawValue: name.uppercased()) }

  /// The format of a tensor to which no rule of the mix applies.
  package var base: QuantFormat {
    switch self {
    case .q4_0: .q4_0
    case .q4_K_M: .q4_K
    case .q5_K_M: .q5_K
    case .q6_K: .q6_K
    case .q8_0: .q8_0
    case .f16: .f16
    case .bf16: .bf16
    case .f32: .f32
    }
  }

  /// `general.file_type` of such a file (llama_ftype).
  package var fileType: UInt32 {
    switch self {
    case .f32: 0
    case .f16: 1
    case .q4_0: 2
    case .q8_0: 7
    case .q4_K_M: 15
    case .q5_K_M: 17
    case .q6_K: 18
    case .bf16: 32
    }
  }

  /// Attention values and feed-forward output of some layers in Q6_K.
  var isMix: Bool { self == .q4_K_M || self == .q5_K_M }

  package var summary: String {
    switch self {
    case .q4_0: "4 bits, 32 numbers a scale: smallest and fastest"
    case .q4_K_M: "4 bits in super-blocks, sensitive tensors in Q6_K: the usual choice"
    case .q5_K_M: "5 bits in super-blocks, sensitive tensors in Q6_K"
    case .q6_K: "6 bits in super-blocks: close to lossless"
    case .q8_0: "8 bits, 32 numbers a scale: practically lossless"
    case .f16: "half precision"
    case .bf16: "bfloat16"
    case .f32: "single precision"
    }
  }
}

/// The candidate closest to `name` by edit distance over letters and digits, if it is close enough to be a slip; case
/// does not count.
package func nearest(_ name: String, among candidates: [String]) -> String? {
  func core(_ text: String) -> [UInt8] {
    Array(text.uppercased().utf8.prefix(64).filter { $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: "-") })
  }
  let wanted = core(name)
  let best = candidates.map { ($0, editDistance(wanted, core($0))) }.min { $0.1 < $1.1 }
  guard let (candidate, distance) = best, distance <= max(1, wanted.count / 2) else { return nil }
  return candidate
}

/// Insertions, deletions and substitutions (Levenshtein).
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  var row = Array(0...b.count)
  for (i, x) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, y) in b.enumerated() {
      let substituted = diagonal + (x == y ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[b.count]
}
