import Glibc
import OccamCore
import OccamGGUF
import OccamTestSupport
import OccamTokenizer

/// The published vocabularies of `Locations.vocabularies`.
enum SharedVocabularies {
  static let llama = path("llama-spm")
  static let names = ["llama-spm", "llama-bpe", "qwen2", "gpt-2"]

  static func path(_ name: String) -> String { Locations.vocabulary(name, in: Locations.vocabularies ?? "") }
}

/// A file of another package's vocabulary with its pre-tokeniser named anew.
func vocabulary(_ path: String, pre: String) throws -> Tokenizer {
  var writer = GGUFWriter()
  writer.copyMetadata(of: try GGUFFile(path: path))
  writer.set("tokenizer.ggml.pre", pre)
  return try Tokenizer(metadata: try GGUFFile(bytes: writer.serialized(), subject: pre))
}

func decoded(hexadecimal: String) -> [UInt8] {
  let digits = hexadecimal.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

/// A small `llama` vocabulary: three special tokens, the 256 bytes, and the pieces that spell a few words, the later
/// ones merging first only if their score says so.
struct TinyVocabulary {
  var tokens = ["<unk>", "<s>", "</s>"]
  var types: [Int32] = [2, 3, 3]
  var scores: [Float] = [0, 0, 0]

  init(pieces: [String] = TinyVocabulary.pieces, byteTokens: Bool = true) {
    if byteTokens {
      for byte in 0..<256 {
        let digits = String(byte, radix: 16, uppercase: true)
        add("<0x\(digits.count < 2 ? "0" : "")\(digits)>", type: 6)
      }
    }
    for (rank, piece) in pieces.enumerated() { add(piece, type: 1, score: -Float(rank)) }
  }

  static let pieces = [
    "▁t", "he", "▁the", "in", "er", "▁c", "at", "▁cat", "▁▁", "▁", "e", "t", "a", "o", "i", "n", "h", "r", "c", "ä",
    ".",
  ]

  mutating func add(_ text: String, type: Int32, score: Float = 0) {
    tokens.append(text)
    types.append(type)
    scores.append(score)
  }

  var writer: GGUFWriter {
    var writer = GGUFWriter()
    writer.set("tokenizer.ggml.model", "llama")
    writer.set("tokenizer.ggml.tokens", tokens)
    writer.set("tokenizer.ggml.scores", scores)
    writer.set("tokenizer.ggml.token_type", types)
    return writer
  }

  func tokenizer(_ change: (inout GGUFWriter) -> Void = { _ in }) throws -> Tokenizer {
    var writer = writer
    change(&writer)
    return try Tokenizer(metadata: try GGUFFile(bytes: writer.serialized(), subject: "tiny"))
  }

  func id(_ text: String) -> Int32 { Int32(tokens.firstIndex(of: text) ?? -1) }
}
