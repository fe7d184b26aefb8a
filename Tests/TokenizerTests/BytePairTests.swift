import OccamCore
import OccamGGUF
import OccamTestSupport
import OccamTokenizer
import Testing

/// Against llama.cpp for every pre-tokeniser (Tests/Goldens/tokenizer/make_bpe.py).
@Suite struct BytePairTests {
  static let folder = "\(Locations.goldens)/tokenizer"
  static let golden = try? JSONValue(parsing: Files.read("\(folder)/bpe.json"))

  static func path(_ name: String) -> String { "\(folder)/bpe-\(name).gguf" }

  @Test(arguments: 0..<19) func sameAsLlama(_ index: Int) throws {
    let golden = try #require(BytePairTests.golden)
    let groups = try #require(golden["groups"]?.arrayValue)
    #expect(groups.count == 19)
    let group = groups[index]
    let texts = try #require(golden["texts"]?.arrayValue).map { decoded(hexadecimal: $0.stringValue ?? "") }
    let rows = try #require(group["ids"]?.arrayValue)
    let addsBOS = try #require(group["adds_bos"]?.arrayValue)
    let names = try #require(group["names"]?.arrayValue?.map { $0.stringValue ?? "" })
    #expect(rows.count == texts.count && texts.count > 110 && names.count == addsBOS.count)
    for (name, adds) in zip(names, addsBOS) {
      let tokenizer = try vocabulary(BytePairTests.path(group["vocabulary"]?.stringValue ?? ""), pre: name)
      #expect(tokenizer.addBOS == (adds == .bool(true)), "\(name)")
      for (text, row) in zip(texts, rows) {
        let lists = try #require(row.arrayValue)
        for (parse, list) in [(false, lists.first), (true, lists.last)] {
          let expected = list?.arrayValue?.compactMap { $0.intValue.map { Int32($0) } }
          let text = String(decoding: text, as: UTF8.self)
          let found = tokenizer.encode(text, addSpecial: false, parseSpecial: parse)
          #expect(found == expected, "\(name), parse \(parse): \(text.debugDescription)")
        }
      }
    }
  }

  @Test(arguments: ["bytes", "chars", "gemma3"]) func everyTokenDecodes(name: String) throws {
    let golden = try #require(BytePairTests.golden)
    let pieces = try #require(golden["\(name)_pieces"]?.arrayValue)
    let tokenizer = try Tokenizer(metadata: try GGUFFile(path: BytePairTests.path(name)))
    #expect(pieces.count == tokenizer.vocabularySize && pieces.count > 500)
    for (id, piece) in pieces.enumerated() {
      #expect(tokenizer.bytes(of: Int32(id), special: true) == decoded(hexadecimal: piece.stringValue ?? "?"), "\(id)")
    }
  }

  /// Bytes of one character in several tokens come out as a whole character.
  @Test func streamsCharacters() throws {
    let tokenizer = try vocabulary(BytePairTests.path("bytes"), pre: "qwen2")
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<200 {
      let text = RandomText.next(&generator)
      var decoder = StreamingDecoder()
      var streamed = ""
      for id in tokenizer.encode(text, addSpecial: false, parseSpecial: false) {
        streamed += decoder.append(tokenizer.bytes(of: id, special: true))
      }
      streamed += decoder.finish()
      #expect(streamed.utf8.elementsEqual(text.utf8), "\(text.debugDescription)")
    }
  }

  /// A special token of half a character leaves bytes that are none: they become U+FFFD, and no text is lost.
  @Test func halvedCharacters() throws {
    var writer = GGUFWriter()
    writer.set("tokenizer.ggml.model", "gpt2")
    writer.set("tokenizer.ggml.pre", "qwen2")
    let texts: [[UInt8]] = [[0xC3]] + ["ï", "¿", "½"].map { Array($0.utf8) } + [Array("x".utf8)]
    writer.set("tokenizer.ggml.tokens", .array(.string(GGUFStrings(bytes: texts))))
    writer.set("tokenizer.ggml.token_type", [4, 1, 1, 1, 1] as [Int32])
    writer.set("tokenizer.ggml.merges", [String]())
    let tokenizer = try Tokenizer(metadata: GGUFFile(bytes: writer.serialized()))
    #expect(tokenizer.encode("xéx", addSpecial: false, parseSpecial: true) == [4, 0, 1, 2, 3, 4])
  }

  /// jina-v2's mask takes the white space before it, as llama.cpp has it.
  @Test func tokensThatStripLeft() throws {
    for (pre, expected) in [
      ("jina-v2-de", ["a", "<mask>", " b", "<mask>"]), ("gpt-2", ["a", " ", "<mask>", " b", "<mask>"]),
    ] {
      var writer = GGUFWriter()
      writer.set("tokenizer.ggml.model", "gpt2")
      writer.set("tokenizer.ggml.pre", pre)
      writer.set("tokenizer.ggml.tokens", ["a", "Ġ", "Ġb", "b", "<mask>"])
      writer.set("tokenizer.ggml.token_type", [1, 1, 1, 1, 4] as [Int32])
      writer.set("tokenizer.ggml.merges", ["Ġ b"])
      let tokenizer = try Tokenizer(metadata: GGUFFile(bytes: writer.serialized()))
      let ids = tokenizer.encode("a <mask> b<mask>", addSpecial: false, parseSpecial: true)
      #expect(ids.map { String(decoding: tokenizer.bytes(of: $0, special: true), as: UTF8.self) } == expected)
    }
  }

  /// A character outside the byte alphabet in a token shows as itself.
  @Test func foreignCharactersInTokens() throws {
    var writer = GGUFWriter()
    writer.set("tokenizer.ggml.model", "gpt2")
    writer.set("tokenizer.ggml.pre", "gpt-2")
    writer.set("tokenizer.ggml.tokens", ["a b", "中", "Ġx", ""])
    writer.set("tokenizer.ggml.merges", [String]())
    let tokenizer = try Tokenizer(metadata: GGUFFile(bytes: writer.serialized()))
    #expect(tokenizer.decode([0, 1, 2], special: false) == "a b中 x")
    #expect(tokenizer.encode("zz", addSpecial: true, parseSpecial: true).isEmpty)
    #expect(tokenizer.bos == nil && !tokenizer.addBOS)
  }
}

/// The category of every scalar is llama.cpp's (Tests/Goldens/tokenizer/unicode.py).
@Suite struct UnicodeTableTests {
  @Test func categoriesAreLlamas() throws {
    let golden = try JSONValue(parsing: try Files.read("\(BytePairTests.folder)/unicode.json"))
    let classes: [(ScalarClasses, Character)] = [
      (.letter, "L"), (.mark, "M"), (.number, "N"), (.punctuation, "P"), (.symbol, "S"),
    ]
    var checksum: UInt64 = 0xCBF2_9CE4_8422_2325
    var counts: [Character: Int] = [:]
    var spaces: [Int] = []
    for point in 0..<0x110000 {
      let found = ScalarClasses.at(point)
      let letter = classes.first { found.contains($0.0) }?.1 ?? "O"
      checksum = (checksum ^ UInt64(letter.asciiValue ?? 0)) &* 0x100_0000_01B3
      counts[letter, default: 0] += 1
      if found.contains(.space) { spaces.append(point) }
    }
    for letter in "LMNPSO" { #expect(golden["counts"]?[String(letter)]?.intValue == counts[letter]) }
    #expect(golden["checksum"]?.stringValue.flatMap { UInt64($0, radix: 16) } == checksum)
    #expect(golden["spaces"]?.arrayValue?.compactMap(\.intValue) == spaces)
    #expect(ScalarClasses.at(-1) == [] && ScalarClasses.at(0x110000) == [])
  }
}
