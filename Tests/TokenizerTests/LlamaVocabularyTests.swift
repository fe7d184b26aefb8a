import OccamCore
import OccamGGUF
import OccamTestSupport
import OccamTokenizer
import Testing

/// Against the vocabulary and the cases that llama.cpp publishes with it.
@Suite(.enabled(if: Locations.vocabularies != nil, "published vocabularies not found (OCCAM_VOCABS)"))
struct LlamaVocabularyTests {
  let tokenizer: Tokenizer

  init() throws { tokenizer = try Tokenizer(metadata: try GGUFFile(path: SharedVocabularies.llama)) }

  @Test(arguments: SharedVocabularies.names) func publishedCases(name: String) throws {
    let path = SharedVocabularies.path(name)
    let tokenizer = try Tokenizer(metadata: try GGUFFile(path: path))
    let inputs = String(decoding: try Files.read(path + ".inp"), as: UTF8.self)
    let outputs = String(decoding: try Files.read(path + ".out"), as: UTF8.self)
    let texts = cut(inputs, at: "\n__ggml_vocab_test__\n")
    var lines = outputs.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last == "" { lines.removeLast() }
    #expect(texts.count == lines.count)
    #expect(texts.count > 40)
    for (text, line) in zip(texts, lines) {
      let expected = line.split(separator: " ").compactMap { Int32($0) }
      let found = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      #expect(found == expected, "\(name): \(text.debugDescription)")
      #expect(tokenizer.decode(found, special: true).utf8.elementsEqual(spaced(text).utf8))
    }
  }

  /// Separators are looked for scalar by scalar: "\r\n" is one Swift character.
  private func cut(_ text: String, at separator: String) -> [String] {
    let bytes = Array(text.utf8)
    let mark = Array(separator.utf8)
    var parts: [String] = []
    var start = 0
    var position = 0
    while position + mark.count <= bytes.count {
      if bytes[position..<position + mark.count].elementsEqual(mark) {
        parts.append(String(decoding: bytes[start..<position], as: UTF8.self))
        position += mark.count
        start = position
      } else {
        position += 1
      }
    }
    if start < bytes.count { parts.append(String(decoding: bytes[start...], as: UTF8.self)) }
    return parts
  }

  @Test func specialTokens() {
    #expect(tokenizer.vocabularySize == 32000)
    #expect(tokenizer.bos == 1)
    #expect(tokenizer.eos == 2)
    #expect(tokenizer.unknown == 0)
    #expect(tokenizer.eot == nil)
    #expect(tokenizer.addBOS)
    #expect(!tokenizer.addEOS)
    #expect((0..<32000).filter { tokenizer.isEndOfGeneration($0) } == [2])
    #expect(tokenizer.encode("", addSpecial: true, parseSpecial: false) == [1])
    #expect(tokenizer.encode("", addSpecial: false, parseSpecial: false) == [])
  }

  @Test func everyTokenDecodesAndMostReturn() {
    for id in Int32(0)..<32000 {
      let bytes = tokenizer.bytes(of: id, special: true)
      #expect(!bytes.isEmpty)
    }
    #expect(tokenizer.bytes(of: 1, special: false).isEmpty)
    #expect(tokenizer.bytes(of: 1, special: true) == Array("<s>".utf8))
    #expect(tokenizer.bytes(of: 13, special: false) == [10])
  }

  /// Encoding and decoding give the text back, whatever it is.
  @Test func roundTrip() {
    var generator = SeededGenerator(seed: 11)
    for _ in 0..<300 {
      let text = RandomText.next(&generator)
      let tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
      let equal = tokenizer.decode(tokens, special: false).utf8.elementsEqual(spaced(text).utf8)
      #expect(equal, "\(text.debugDescription)")
    }
  }

  /// A megabyte in one piece: quadratic merging would take minutes.
  @Test(.timeLimit(.minutes(1)), arguments: SharedVocabularies.names) func longText(name: String) throws {
    let tokenizer = try Tokenizer(metadata: try GGUFFile(path: SharedVocabularies.path(name)))
    var generator = SeededGenerator(seed: 5)
    var text = ""
    while text.utf8.count < 1 << 20 { text += RandomText.next(&generator) }
    let tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
    let wanted = name == "llama-spm" ? spaced(text) : text
    let equal = tokenizer.decode(tokens, special: true).utf8.elementsEqual(wanted.utf8)
    #expect(equal)
    for piece in [" ", "a", "7", "\n", "ab", "é", "<", "'s"] {
      let run = String(repeating: piece, count: (1 << 20) / piece.utf8.count)
      let again = tokenizer.decode(tokenizer.encode(run, addSpecial: false, parseSpecial: true), special: true)
      #expect(again == run)
    }
  }

  /// U+2581 is the vocabulary's space; as text it comes back as one.
  private func spaced(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == "\u{2581}" ? " " : $0 }))
  }
}

/// Texts with what breaks tokenizers: many scripts, runs of spaces, controls, emoji, names of control tokens.
enum RandomText {
  static let pieces = [
    "hello", " world", "  ", "   ", "\n", "\r\n", "\t", "é", "e\u{301}", "ß", "中文", "日本語", "한국어", "🦙", "👩‍👩‍👧",
    "\u{0}", "\u{7F}", "▁", " ▁", "<s>", "</s>", "<unk>", "<0x0A>", "<", "1234567890", "3.14", "don't", "AbC",
    "\u{FEFF}",
    "\u{10FFFF}", "\u{200B}", "ا", "ё", "ក", "```\n", "{\"k\": [1]}", "...", " ",
  ]

  static func next(_ generator: inout SeededGenerator) -> String {
    var text = ""
    for _ in 0..<Int.random(in: 1...12, using: &generator) {
      if Int.random(in: 0..<4, using: &generator) == 0,
        let scalar = Unicode.Scalar(UInt32.random(in: 0...0x2FFF, using: &generator))
      {
        text.unicodeScalars.append(scalar)
      } else {
        text += pieces[Int.random(in: 0..<pieces.count, using: &generator)]
      }
    }
    return text
  }
}
