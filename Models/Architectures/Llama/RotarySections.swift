import OccamGGUF
import OccamTensors

/// How the numbers of a position (t, y, x) share the pairs of a head (M-RoPE).
enum RotarySections {
  /// The first section's pairs follow t, the next y, the next x (Qwen2-VL).
  case contiguous
  /// Pair by pair t, y, x, t, ... as long as a section has pairs left; the rest follow t (Qwen3-VL; Hugging Face
  /// transformers, `apply_interleaved_mrope`). llama.cpp leaves pairs of the rest unturned, whose angles are minute.
  case interleaved

  /// - Parameters: key: holds three or four numbers of pairs, for t, y, x; pairs: of a head.
  func axes(_ file: GGUFFile, key: String, pairs: Int) throws -> [RotaryAxis] {
    guard let sections = try file.integers(key) else {
      throw ModelError(.missingKey, file.subject, "\(key) is missing")
    }
    guard sections.count == 3 || sections.count == 4, sections.allSatisfy({ $0 >= 0 && $0 <= pairs }),
      sections.dropFirst(3).allSatisfy({ $0 == 0 }), sections.reduce(0, +) == pairs
    else {
      throw ModelError(.badValue, file.subject, "\(key) is \(sections); three that add up to \(pairs) were expected")
    }
    return (0..<pairs).map { pair in
      switch self {
      case .contiguous: pair < sections[0] ? .t : pair < sections[0] + sections[1] ? .y : .x
      case .interleaved:
        switch pair % 3 {
        case 1 where pair < 3 * sections[1]: .y
        case 2 where pair < 3 * sections[2]: .x
        default: .t
        }
      }
    }
  }
}
