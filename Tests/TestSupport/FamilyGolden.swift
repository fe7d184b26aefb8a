import OccamCore

/// What llama.cpp, or the family's reference where llama.cpp departs from it, computed for one prompt on one generated
/// model (Tests/Goldens/peer says how).
package struct FamilyGolden: Sendable, CustomStringConvertible {
  /// A piece of the prompt, in order.
  package enum Chunk: Sendable, Equatable {
    case text(ids: [Int])
    /// One encoder pass or one packed picture: `tokens` rows at as many consecutive positions.
    case image(tokens: Int, isCausal: Bool)
  }

  /// A fixture's name (`FixtureSpec.all`).
  package let model: String
  /// As `Fixture.make` takes it.
  package let type: String
  /// Holds `<__media__>` where a picture stands; special tokens are written out.
  package let prompt: String
  /// Names of drawn pictures (`DrawnPicture`) or of files in Tests/Photos, in the order of the prompt.
  package let pictures: [String]
  package let chunks: [Chunk]
  /// Of each row the position's t, y and x; nil: one behind the other.
  package let positions: [[Int]]?
  /// All logits after the prompt.
  package let logits: [Float]
  /// Step 0 holds the best of `logits`; step i+1 follows from step i's best token.
  package let steps: [GoldenStep]
  /// Some of the projector's rows, all image chunks' taken together: index and values. Empty without a picture.
  package let rows: [(index: Int, values: [Float])]
  /// Of the same rows the DeepStack planes, one behind the other, [planes * width]; empty in a family without.
  package let planes: [(index: Int, values: [Float])]
  /// All of them, [imageTokens * width], rounded to F16; nil for most goldens.
  package let embeddings: [Float]?
  /// Differences of llama.cpp from its F32 run of the unquantised model, and from its F32 run of these very weights, in
  /// the unit of `error(of:from:)`.
  package let logitsFromF32: Double
  package let logitsFromDequantized: Double
  package let embeddingsFromF32: Double?
  package let embeddingsFromDequantized: Double?

  package var isFloat: Bool { ["F32", "F16", "BF16"].contains(type) }
  package var description: String { "\(model) \(type) \(pictures) '\(prompt.prefix(60))'" }

  /// Visual tokens of the whole prompt.
  package var imageTokens: Int {
    chunks.reduce(0) { sum, chunk in
      if case .image(let tokens, _) = chunk { return sum + tokens }
      return sum
    }
  }

  /// All ids of the prompt's text, and nil for each visual token.
  package var ids: [Int?] {
    chunks.flatMap { chunk -> [Int?] in
      switch chunk {
      case .text(let ids): ids
      case .image(let tokens, _): Array(repeating: nil, count: tokens)
      }
    }
  }

  /// Paths of the model's files, generated when first asked for; no projector for a text-only family.
  package func files() throws -> (text: String, projector: String?) { try Fixture.makeFiles(model, type) }
}

/// One step of greedy decoding: llama.cpp's best tokens, best first, and their logits.
package struct GoldenStep: Sendable {
  package let ids: [Int]
  package let logits: [Float]
}

/// What the family's reference processor makes of one picture.
package struct PixelGolden: Sendable, CustomStringConvertible {
  /// The fixture whose tile size it belongs to.
  package let model: String
  package let picture: String
  /// Tiles of the cut picture; 0 where it is not cut. An overview is one more entry of `checksums`: behind them for
  /// SmolVLM, in front for LLaVA-NeXT.
  package let rows: Int
  package let columns: Int
  /// Of every tile, pixels.
  package let sizes: [(height: Int, width: Int)]
  /// CRC-32 of every tile's RGB bytes, row by row, before they are normalised.
  package let checksums: [UInt32]
  /// Visual tokens of a tile, and of the picture with all that stands between (LLaVA-NeXT's line breaks).
  package let tokensPerTile: Int
  package let tokens: Int
  /// Some normalised numbers.
  package let normalized: [(tile: Int, colour: Int, y: Int, x: Int, value: Float)]

  package var description: String { "\(model) \(picture)" }
}

/// A family's goldens, read when asked for; a file that is missing throws.
package struct FamilyGoldens: Sendable {
  package let cases: [FamilyGolden]
  package let pixels: [PixelGolden]
  /// CRC-32 of the files the goldens were made from.
  package let checksums: [(model: String, type: String, text: UInt32, projector: UInt32?)]

  /// Folders of Tests/Goldens that hold a family's goldens.
  package static let families = [
    "smolvlm", "gemma3", "llava-next", "qwen", "qwen2vl", "qwen3vl", "qwen35", "internvl", "moe", "lfm2vl", "gemma4",
  ]

  private static let read = Guarded<[String: FamilyGoldens]>([:])

  /// - Parameter family: a folder's name.
  package static func load(_ family: String) throws -> FamilyGoldens {
    try read.withLock { read in
      if let goldens = read[family] { return goldens }
      let goldens = try FamilyGoldens(folder: "\(Locations.goldens)/\(family)/data")
      read[family] = goldens
      return goldens
    }
  }

  private init(folder: String) throws {
    let manifest = try JSONValue(parsing: try Files.read("\(folder)/manifest.json"))
    checksums = try manifest.member("files", \.arrayValue).map { entry in
      (
        try entry.member("model", \.stringValue), try entry.member("type", \.stringValue),
        UInt32(try entry.member("text", \.intValue)), entry["mmproj"]?.intValue.map { UInt32($0) }
      )
    }
    pixels = try manifest.member("pixels", \.arrayValue).map(PixelGolden.init)
    var prompts: [String: JSONValue] = [:]
    for entry in try manifest.member("cases", \.arrayValue) {
      prompts["\(try entry.member("model", \.stringValue)) \(try entry.member("index", \.intValue))"] = entry
    }
    var arrays = GoldenArrays(folder: folder)
    cases = try manifest.member("results", \.arrayValue).map { entry in
      let key = "\(try entry.member("model", \.stringValue)) \(try entry.member("index", \.intValue))"
      guard let prompt = prompts[key] else { throw GoldenError(description: "\(folder): no case '\(key)'") }
      return try FamilyGolden(prompt, entry, &arrays)
    }
  }
}

extension FamilyGolden {
  fileprivate init(_ prompt: JSONValue, _ result: JSONValue, _ arrays: inout GoldenArrays) throws {
    model = try prompt.member("model", \.stringValue)
    type = try result.member("type", \.stringValue)
    self.prompt = try prompt.member("prompt", \.stringValue)
    pictures = try prompt.member("pictures", \.arrayValue).compactMap(\.stringValue)
    chunks = try prompt.member("chunks", \.arrayValue).map { chunk in
      guard let image = chunk["image"] else { return .text(ids: try chunk.integers("text")) }
      return .image(tokens: try image.member("tokens", \.intValue), isCausal: try image.member("causal", \.boolValue))
    }
    positions = try FamilyGolden.positions(prompt)
    let index = try prompt.member("index", \.intValue)
    let stem = "\(model)-\(type)"
    logits = try arrays["\(stem).logits"].values(at: index)
    let (ids, tops) = (try arrays["\(stem).top-ids"], try arrays["\(stem).top-logits"])
    steps = (0..<ids.shape[1]).map { step in
      GoldenStep(ids: ids.values(at: index, step).map { Int($0) }, logits: tops.values(at: index, step))
    }
    if let places = prompt["rows"] {
      let first = try places.member("first", \.intValue)
      let picked = try arrays["\(stem).rows"]
      let indices = try places.integers("indices")
      rows = indices.enumerated().map { ($1, picked.values(at: first + $0)) }
      let stacked = prompt["planes"] == nil ? nil : try arrays["\(stem).planes"]
      planes = stacked.map { array in indices.enumerated().map { ($1, array.values(at: first + $0)) } } ?? []
    } else {
      rows = []
      planes = []
    }
    let hasEmbeddings = index == 0 && !rows.isEmpty && ["F16", "Q8_0"].contains(type)
    embeddings = hasEmbeddings ? try arrays["\(stem).embeddings"].values : nil
    logitsFromF32 = try result.member("logits_from_f32", \.doubleValue)
    logitsFromDequantized = try result.member("logits_from_dequantized", \.doubleValue)
    embeddingsFromF32 = result["embeddings_from_f32"]?.doubleValue
    embeddingsFromDequantized = result["embeddings_from_dequantized"]?.doubleValue
  }
}

extension FamilyGolden {
  private static func positions(_ prompt: JSONValue) throws -> [[Int]]? {
    guard let stored = prompt["grid_positions"] else { return nil }
    let axes = (stored.arrayValue ?? []).map { axis in (axis.arrayValue ?? []).compactMap(\.intValue) }
    guard axes.count == 3, Set(axes.map(\.count)).count == 1 else {
      throw GoldenError(description: "positions are not three rows of one length")
    }
    return axes[0].indices.map { row in axes.map { $0[row] } }
  }
}

extension PixelGolden {
  fileprivate init(_ entry: JSONValue) throws {
    model = try entry.member("model", \.stringValue)
    picture = try entry.member("picture", \.stringValue)
    rows = try entry.member("rows", \.intValue)
    columns = try entry.member("columns", \.intValue)
    checksums = try entry.integers("checksums").map { UInt32($0) }
    // One size of all tiles, or one each.
    let stored: [JSONValue]
    if let each = entry["sizes"]?.arrayValue {
      stored = each
    } else {
      stored = Array(repeating: .array(try entry.member("size", \.arrayValue)), count: checksums.count)
    }
    sizes = try stored.map { pair in
      let numbers = (pair.arrayValue ?? []).compactMap(\.intValue)
      guard numbers.count == 2 else { throw GoldenError(description: "manifest: a tile's size is not two numbers") }
      return (numbers[0], numbers[1])
    }
    guard sizes.count == checksums.count else { throw GoldenError(description: "manifest: tiles without a size") }
    tokensPerTile = try entry.member("tokens_a_tile", \.intValue)
    tokens = try entry.member("tokens", \.intValue)
    normalized = try entry.member("normalized", \.arrayValue).map { sample in
      let numbers = (sample.arrayValue ?? []).compactMap(\.doubleValue)
      guard numbers.count == 5 else { throw GoldenError(description: "manifest: a sample is not five numbers") }
      return (Int(numbers[0]), Int(numbers[1]), Int(numbers[2]), Int(numbers[3]), Float(numbers[4]))
    }
  }
}
