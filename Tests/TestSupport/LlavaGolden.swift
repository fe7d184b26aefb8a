import OccamCore

/// What llama.cpp computed for one prompt on one generated pair (Tests/Goldens/llava).
package struct LlavaGolden: Sendable, CustomStringConvertible {
  /// How the encoder treats CLS.
  package enum Reading: String, Sendable {
    /// CLS first, at position 0: as the models were trained.
    case reference
    /// CLS last, patch 0 dropped: what this version of llama.cpp does.
    case asIs = "as-is"
  }

  /// A fixture's name; `hasLlamaVocabulary` says whether with the 32,000-token vocabulary.
  package let fixture: String
  package let hasLlamaVocabulary: Bool
  /// As `Fixture.make` takes it.
  package let type: String
  /// Holds `<__media__>` where the photo stands.
  package let prompt: String
  /// Name of a file in Tests/Photos; nil for a prompt without an image. JPEGs were decoded by Pillow.
  package let photo: String?
  package let reading: Reading
  package let tokensBeforeImage: [Int]
  package let tokensAfterImage: [Int]
  package let imageTokens: Int
  /// All logits after the prompt; rounded to F16 for the 32,000-token vocabulary.
  package let logits: [Float]
  /// Step 0 holds the best of `logits`; step i+1 follows from step i's best token.
  package let steps: [GoldenStep]
  /// Some of the projector's rows: index and values. Empty without a photo.
  package let rows: [(index: Int, values: [Float])]
  /// All of them, [imageTokens * width], rounded to F16; nil for most goldens.
  package let embeddings: [Float]?
  /// Differences of llama.cpp from its F32 run of the unquantised pair, and from its F32 run of these very weights, in the
  /// unit of `error(of:from:)`.
  package let logitsFromF32: Double
  package let logitsFromDequantized: Double
  package let embeddingsFromF32: Double?
  package let embeddingsFromDequantized: Double?

  package var description: String {
    "\(fixture)\(hasLlamaVocabulary ? "-spm" : "") \(type) \(photo ?? "text only") \(reading.rawValue) '\(prompt)'"
  }

  /// Paths of the pair's files, generated when first asked for.
  package func files() throws -> (text: String, projector: String) {
    try Fixture.make(fixture, type, vocabulary: hasLlamaVocabulary ? Locations.llamaVocabulary : nil)
  }
}

/// All goldens, read once.
package enum LlavaGoldens {
  private static let folder = "\(Locations.goldens)/llava/data"

  private static let loaded = Result { try load() }

  package static func all() throws -> [LlavaGolden] { try loaded.get().goldens }

  /// The goldens whose fixtures can be made here: all, or those with the built-in vocabulary.
  package static func available() throws -> [LlavaGolden] {
    try all().filter { !$0.hasLlamaVocabulary || Locations.llamaVocabulary != nil }
  }

  /// CRC-32 of the files the goldens were made from: `PAIR-TYPE` -> (text, mmproj).
  package static func checksums() throws -> [(pair: String, type: String, text: UInt32, projector: UInt32)] {
    try loaded.get().checksums
  }

  private struct Content: Sendable {
    var goldens: [LlavaGolden] = []
    var checksums: [(pair: String, type: String, text: UInt32, projector: UInt32)] = []
  }

  private static func load() throws -> Content {
    let manifest = try JSONValue(parsing: try Files.read("\(folder)/manifest.json"))
    var arrays = GoldenArrays(folder: folder)
    var content = Content()
    for file in try manifest.member("files", \.arrayValue) {
      content.checksums.append(
        (
          try file.member("pair", \.stringValue), try file.member("type", \.stringValue),
          UInt32(try file.member("text", \.intValue)), UInt32(try file.member("mmproj", \.intValue))
        ))
    }
    for entry in try manifest.member("cases", \.arrayValue) {
      let pair = try entry.member("pair", \.stringValue)
      let type = try entry.member("type", \.stringValue)
      let index = try entry.member("index", \.intValue)
      let photo = entry["photo"]?.stringValue
      let stem = "\(pair)-\(type)"
      let ids = try arrays["\(stem).top-ids"]
      let tops = try arrays["\(stem).top-logits"]
      let picked = try arrays["\(stem).rows"]
      let imageTokens = try entry.member("image_tokens", \.intValue)
      guard let reading = LlavaGolden.Reading(rawValue: try entry.member("reading", \.stringValue)) else {
        throw GoldenError(description: "manifest: unknown reading")
      }
      let hasLlamaVocabulary = pair.hasSuffix("-spm")
      let hasEmbeddings = index == 0 && Files.exists("\(folder)/\(stem).embeddings.npy")
      content.goldens.append(
        LlavaGolden(
          fixture: hasLlamaVocabulary ? String(pair.dropLast(4)) : pair, hasLlamaVocabulary: hasLlamaVocabulary,
          type: type, prompt: try entry.member("prompt", \.stringValue), photo: photo, reading: reading,
          tokensBeforeImage: try entry.integers("tokens_before"), tokensAfterImage: try entry.integers("tokens_after"),
          imageTokens: imageTokens, logits: try arrays["\(stem).logits"].values(at: index),
          steps: (0..<ids.shape[1]).map { step in
            GoldenStep(ids: ids.values(at: index, step).map { Int($0) }, logits: tops.values(at: index, step))
          },
          rows: photo == nil
            ? []
            : [0, 1, imageTokens / 2, imageTokens - 1].enumerated().map { ($1, picked.values(at: index, $0)) },
          embeddings: hasEmbeddings ? try arrays["\(stem).embeddings"].values : nil,
          logitsFromF32: try entry.member("logits_from_f32", \.doubleValue),
          logitsFromDequantized: try entry.member("logits_from_dequantized", \.doubleValue),
          embeddingsFromF32: entry["embeddings_from_f32"]?.doubleValue,
          embeddingsFromDequantized: entry["embeddings_from_dequantized"]?.doubleValue))
    }
    return content
  }
}
