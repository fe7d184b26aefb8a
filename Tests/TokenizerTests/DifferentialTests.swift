import Foundation
import OccamGGUF
import OccamTestSupport
import OccamTokenizer
import Testing

/// Against llama.cpp on seeded random texts (Tests/Goldens/tokenizer/make.py), for the published vocabulary and for
/// copies of it with more special tokens and other settings.
@Suite(.enabled(if: Locations.vocabularies != nil, "published vocabularies not found (OCCAM_VOCABS)"))
struct DifferentialTests {
  struct Golden: Decodable {
    struct Flags: Decodable {
      let add_special: Bool
      let parse_special: Bool
    }
    struct Variant: Decodable {
      let name: String
      let added: [Added]
      let settings: [String: Bool]
      let rows: [Row]
      let end_of_generation: [Int32]
      let pieces: [Piece]
    }
    struct Added: Decodable {
      let text: String
      let type: Int32
      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        text = try values.decode(String.self)
        type = try values.decode(Int32.self)
      }
    }
    /// A text and its ids, one list per entry of `flags`.
    struct Row: Decodable {
      let text: String
      let ids: [[Int32]]
      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        text = String(decoding: bytes(try values.decode(String.self)), as: UTF8.self)
        var ids: [[Int32]] = []
        while !values.isAtEnd { ids.append(try values.decode([Int32].self)) }
        self.ids = ids
      }
    }
    struct Piece: Decodable {
      let id: Int32
      let plain: [UInt8]
      let special: [UInt8]
      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        id = try values.decode(Int32.self)
        plain = bytes(try values.decode(String.self))
        special = bytes(try values.decode(String.self))
      }
    }
    let flags: [Flags]
    let variants: [Variant]
  }

  static func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
  }

  let golden: Golden

  init() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: "\(Locations.goldens)/tokenizer/llama-spm.json"))
    golden = try JSONDecoder().decode(Golden.self, from: data)
  }

  private func tokenizer(_ variant: Golden.Variant) throws -> Tokenizer {
    let published = try GGUFFile(path: SharedVocabularies.llama)
    if variant.added.isEmpty && variant.settings.isEmpty { return try Tokenizer(metadata: published) }
    var writer = GGUFWriter()
    writer.copyMetadata(of: published)
    writer.set("general.name", variant.name)
    var tokens = try published.requireByteStrings("tokenizer.ggml.tokens")
    for token in variant.added { tokens.append(token.text.utf8) }
    writer.set("tokenizer.ggml.tokens", .array(.string(tokens)))
    let scores = try published.requireFloats("tokenizer.ggml.scores")
    writer.set("tokenizer.ggml.scores", scores + variant.added.map { _ in Float(0) })
    let types = try published.requireIntegers("tokenizer.ggml.token_type").map { Int32($0) }
    writer.set("tokenizer.ggml.token_type", types + variant.added.map(\.type))
    for (key, value) in variant.settings { writer.set(key, value) }
    return try Tokenizer(metadata: try GGUFFile(bytes: writer.serialized(), subject: variant.name))
  }

  @Test(arguments: 0..<4) func sameAsLlama(_ index: Int) throws {
    try #require(golden.variants.count == 4)
    let variant = golden.variants[index]
    let tokenizer = try tokenizer(variant)
    #expect(variant.rows.count >= 250)
    for row in variant.rows {
      for (flags, ids) in zip(golden.flags, row.ids) {
        let found = tokenizer.encode(row.text, addSpecial: flags.add_special, parseSpecial: flags.parse_special)
        #expect(found == ids, "\(variant.name), \(flags): \(row.text.debugDescription)")
      }
    }
    for piece in variant.pieces {
      #expect(tokenizer.bytes(of: piece.id, special: false) == piece.plain, "\(variant.name): \(piece.id)")
      #expect(tokenizer.bytes(of: piece.id, special: true) == piece.special, "\(variant.name): \(piece.id)")
    }
    let ends = (0..<Int32(tokenizer.vocabularySize)).filter { tokenizer.isEndOfGeneration($0) }
    #expect(ends == variant.end_of_generation)
  }
}
