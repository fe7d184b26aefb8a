import OccamCore
import OccamGGUF
import Testing

import OccamTokenizer

@Suite struct TokenizerTests {
  @Test func mergesByScore() throws {
    let tiny = TinyVocabulary()
    let tokenizer = try tiny.tokenizer()
    // "▁t" (score 0) merges before "he" (-1); "▁the" needs both.
    #expect(tokenizer.encode("the cat", addSpecial: false, parseSpecial: false) == [tiny.id("▁the"), tiny.id("▁cat")])
    #expect(tokenizer.encode("inner", addSpecial: false, parseSpecial: false) == ["▁", "in", "n", "er"].map(tiny.id))
    #expect(tokenizer.encode("the", addSpecial: true, parseSpecial: false) == [1, tiny.id("▁the")])
  }

  /// The pair order matters: of "ab" and "bc" in "abc" the better score wins, of equal ones the left one.
  @Test func scoreOrderAndTies() throws {
    var better = TinyVocabulary(pieces: ["a", "b", "c", "▁"])
    better.add("ab", type: 1, score: -20)
    better.add("bc", type: 1, score: -10)
    #expect(
      try better.tokenizer().encode("abc", addSpecial: false, parseSpecial: false) == ["▁", "a", "bc"].map(better.id))
    var equal = TinyVocabulary(pieces: ["a", "b", "c", "▁"])
    equal.add("bc", type: 1, score: -10)
    equal.add("ab", type: 1, score: -10)
    #expect(
      try equal.tokenizer().encode("abc", addSpecial: false, parseSpecial: false) == ["▁", "ab", "c"].map(equal.id))
  }

  @Test func byteFallback() throws {
    let tiny = TinyVocabulary()
    let tokenizer = try tiny.tokenizer()
    let tokens = tokenizer.encode("ä🦙", addSpecial: false, parseSpecial: false)
    #expect(tokens == [tiny.id("▁"), tiny.id("ä")] + [0xF0, 0x9F, 0xA6, 0x99].map { Int32($0 + 3) })
    #expect(tokenizer.decode(tokens, special: false) == "ä🦙")
    // Without byte tokens the unknown token stands for each byte.
    let bare = TinyVocabulary(byteTokens: false)
    #expect(try bare.tokenizer().encode("ae\n", addSpecial: false, parseSpecial: false).last == 0)
  }

  @Test func spacePrefix() throws {
    var tiny = TinyVocabulary()
    tiny.add("<image>", type: 4)
    let with = try tiny.tokenizer()
    #expect(
      with.encode("the<image>the", addSpecial: false, parseSpecial: false)
        == [tiny.id("▁the"), tiny.id("<image>"), tiny.id("▁the")])
    let without = try tiny.tokenizer { $0.set("tokenizer.ggml.add_space_prefix", false) }
    #expect(
      without.encode("the<image> the", addSpecial: false, parseSpecial: false)
        == [tiny.id("t"), tiny.id("he"), tiny.id("<image>"), tiny.id("▁the")])
    #expect(without.decode([tiny.id("▁the")], special: false) == " the")
    #expect(with.decode([tiny.id("▁the"), tiny.id("▁the")], special: false) == "the the")
  }

  @Test func controlTokensOnlyWhereAllowed() throws {
    var tiny = TinyVocabulary()
    tiny.add("<|im_end|>", type: 3)
    let tokenizer = try tiny.tokenizer()
    let end = tiny.id("<|im_end|>")
    #expect(tokenizer.encode("<|im_end|>", addSpecial: false, parseSpecial: true) == [end])
    #expect(!tokenizer.encode("<|im_end|>", addSpecial: false, parseSpecial: false).contains(end))
    #expect(tokenizer.bytes(of: end, special: false).isEmpty)
    #expect(tokenizer.bytes(of: end, special: true) == Array("<|im_end|>".utf8))
    #expect(tokenizer.isControl(end) && tokenizer.isControl(0) && !tokenizer.isControl(tiny.id("▁the")))
  }

  @Test func longerSpecialTokensFirst() throws {
    var tiny = TinyVocabulary()
    for text in ["AB", "ABBA", "BB"] { tiny.add(text, type: 4) }
    let tokenizer = try tiny.tokenizer { $0.set("tokenizer.ggml.add_space_prefix", false) }
    #expect(
      tokenizer.encode("ABABBABB", addSpecial: false, parseSpecial: false) == ["AB", "ABBA", "BB"].map(tiny.id))
  }

  @Test func endOfGeneration() throws {
    var tiny = TinyVocabulary()
    for text in ["<|im_end|>", "<|fim_pad|>", "<|user|>", "<end_of_turn>"] { tiny.add(text, type: 1) }
    let tokenizer = try tiny.tokenizer()
    let ends = (0..<Int32(tokenizer.vocabularySize)).filter { tokenizer.isEndOfGeneration($0) }
    #expect(ends == [2] + ["<|im_end|>", "<|fim_pad|>", "<end_of_turn>"].map(tiny.id))
    #expect(tokenizer.eot == tiny.id("<|im_end|>"))
    // Such names are control tokens, whatever the file says.
    #expect(tokenizer.bytes(of: tiny.id("<|im_end|>"), special: false).isEmpty)
    var company = tiny
    for text in ["<|end|>", "<|return|>", "<|call|>", "<|message|>"] { company.add(text, type: 3) }
    let harmony = try company.tokenizer()
    #expect(!harmony.isEndOfGeneration(company.id("<|end|>")) && harmony.isEndOfGeneration(company.id("<|return|>")))
    #expect(!harmony.bytes(of: company.id("<|message|>"), special: false).isEmpty)
    let declared = try tiny.tokenizer { $0.set("tokenizer.ggml.eot_token_id", 300 - 40) }
    #expect(declared.eot == 260 && declared.isEndOfGeneration(260))
  }

  @Test func anyIdDecodes() throws {
    let tokenizer = try TinyVocabulary().tokenizer()
    for id in [Int32.min, -1, Int32(tokenizer.vocabularySize), .max] {
      #expect(tokenizer.bytes(of: id, special: true).isEmpty)
      #expect(!tokenizer.isEndOfGeneration(id) && !tokenizer.isControl(id))
    }
    #expect(tokenizer.decode([-1, .max], special: true) == "")
    var odd = TinyVocabulary()
    for (text, type) in [("<0xZZ>", Int32(6)), ("", 6), ("odd", 99), ("unused", 5), ("é", 6)] {
      odd.add(text, type: type)
    }
    let strange = try odd.tokenizer()
    for id in 0..<Int32(strange.vocabularySize) { _ = strange.bytes(of: id, special: true) }
    #expect(strange.bytes(of: odd.id("<0xZZ>"), special: true).isEmpty)
    #expect(strange.bytes(of: odd.id("unused"), special: true).isEmpty)
  }

  @Test func badVocabulariesAreRefused() throws {
    func problem(_ tiny: TinyVocabulary = TinyVocabulary(), _ change: (inout GGUFWriter) -> Void = { _ in }) throws
      -> TokenizerError.Problem?
    {
      var writer = tiny.writer
      change(&writer)
      let file = try GGUFFile(bytes: writer.serialized(), subject: "tiny")
      do {
        _ = try Tokenizer(metadata: file)
        return nil
      } catch {
        #expect(error.description.contains("'tiny'"))
        return error.problem
      }
    }
    let count = TinyVocabulary().tokens.count
    #expect(try problem() == nil)
    #expect(try problem { $0.set("tokenizer.ggml.model", "wonder") } == .unsupportedModel("wonder"))
    #expect(try problem { $0.set("tokenizer.ggml.tokens", [String]()) } == .emptyVocabulary)
    #expect(
      try problem { $0.set("tokenizer.ggml.scores", [Float](repeating: 0, count: count - 1)) }
        == .lengthMismatch(key: "tokenizer.ggml.scores", found: count - 1, tokens: count))
    #expect(
      try problem { $0.set("tokenizer.ggml.token_type", [Int32](repeating: 1, count: count + 1)) }
        == .lengthMismatch(key: "tokenizer.ggml.token_type", found: count + 1, tokens: count))
    #expect(
      try problem { $0.set("tokenizer.ggml.bos_token_id", count) }
        == .idOutOfRange(key: "tokenizer.ggml.bos_token_id", id: count, tokens: count))
    #expect(
      try problem { $0.set("tokenizer.ggml.eos_token_id", .int32(-1)) }
        == .idOutOfRange(key: "tokenizer.ggml.eos_token_id", id: -1, tokens: count))
    #expect(try problem { $0.set("tokenizer.ggml.model", "bert") } == .unsupportedModel("bert"))
    func problemOfBytePairs(_ change: (inout GGUFWriter) -> Void) throws -> TokenizerError.Problem? {
      try problem {
        $0.set("tokenizer.ggml.model", "gpt2")
        $0.set("tokenizer.ggml.merges", ["t h"])
        change(&$0)
      }
    }
    #expect(try problemOfBytePairs { $0.set("tokenizer.ggml.pre", "qwen2") } == nil)
    #expect(try problemOfBytePairs { $0.set("tokenizer.ggml.pre", "kimi-k2") } == .unsupportedPreTokenizer("kimi-k2"))
    #expect(
      try problemOfBytePairs { $0.set("tokenizer.ggml.merges", [1, 2] as [Int32]) }
        == .metadata(
          GGUFError(
            "tiny", .key("tokenizer.ggml.merges"), .wrongType(expected: "array of string", found: "array of int32"))))
    #expect(
      try problem { $0.set("tokenizer.ggml.model", "gemma4") }
        == .metadata(GGUFError("tiny", .key("tokenizer.ggml.merges"), .missing)))
    let missing = GGUFError(
      "tiny", .key("tokenizer.ggml.tokens"), .wrongType(expected: "array of string", found: "uint32"))
    #expect(try problem { $0.set("tokenizer.ggml.tokens", 5) } == .metadata(missing))
    #expect(throws: TokenizerError.self) { try Tokenizer(metadata: GGUFFile(bytes: GGUFWriter().serialized())) }
    // Other arrays than tokens may be absent, fill-in-the-middle ids may be nonsense, as in published files.
    var plain = GGUFWriter()
    plain.set("tokenizer.ggml.model", "llama")
    plain.set("tokenizer.ggml.tokens", ["x"])
    plain.set("tokenizer.ggml.fim_pad_token_id", 99)
    let single = try Tokenizer(metadata: GGUFFile(bytes: plain.serialized()))
    #expect(single.encode("xx", addSpecial: true, parseSpecial: true) == [0, 0, 0, 0, 0])
    #expect(single.bos == nil && single.eos == nil)
  }

  /// Published files hold tokens twice: the first one is what text becomes, and all of them decode.
  @Test func duplicateTokensLoad() throws {
    var twice = TinyVocabulary()
    twice.add("▁the", type: 1)
    twice.add("<mark>", type: 4)
    twice.add("<mark>", type: 4)
    let tokenizer = try twice.tokenizer()
    #expect(
      tokenizer.encode("the<mark>", addSpecial: false, parseSpecial: false) == ["▁the", "<mark>"].map(twice.id))
    for id in [twice.id("▁the"), Int32(twice.tokens.count - 3)] {
      #expect(tokenizer.bytes(of: id, special: false) == Array(" the".utf8))
    }
  }

  /// Scores that order nothing must not hang or trap.
  @Test func nonsenseScores() throws {
    let count = TinyVocabulary().tokens.count
    for score in [Float.nan, .infinity, -.infinity, 0] {
      let tokenizer = try TinyVocabulary().tokenizer {
        $0.set("tokenizer.ggml.scores", [Float](repeating: score, count: count))
      }
      let tokens = tokenizer.encode("the cat in the hat", addSpecial: false, parseSpecial: false)
      #expect(tokenizer.decode(tokens, special: false) == "the cat in the hat")
    }
  }
}
