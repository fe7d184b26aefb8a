import Occam
import OccamCore
import OccamGGUF
import OccamImages
import OccamModels
import OccamTestSupport
import Testing

/// Every family's generated models against llama.cpp, or against transformers where llama.cpp departs from the trained
/// model (Tests/Goldens/FAMILY says which): prompts, positions, embeddings, logits, greedy tokens.
@Suite(.serialized) struct FamilyGoldenTests {
  static let families = FamilyGoldens.families
  static let cases = families.flatMap { (try? FamilyGoldens.load($0).cases) ?? [] }

  @Test func goldensAreThere() throws {
    for family in FamilyGoldenTests.families { #expect(try FamilyGoldens.load(family).cases.count >= 40) }
  }

  /// Ids of text and markers, the number of image tokens, and their positions.
  @Test(arguments: cases.filter { $0.type == "F32" }) func promptsAgree(golden: FamilyGolden) throws {
    let layout = try FamilySession.make(golden).layout(raw: golden.prompt, images: FamilySession.images(golden))
    #expect(layout.ids.map { $0.map(Int.init) } == golden.ids)
    let expected = golden.positions ?? golden.ids.indices.map { [$0, $0, $0] }
    #expect(layout.positions.map { [Int($0.t), Int($0.y), Int($0.x)] } == expected)
  }

  @Test(arguments: cases.filter { !$0.pictures.isEmpty }) func embeddingsAgree(golden: FamilyGolden) throws {
    let found = try FamilySession.embeddings(golden)
    #expect(found.count == golden.imageTokens)
    // Quantised weights multiply rounded activations: on both sides, or on ours alone where transformers is the reference.
    let own = golden.embeddingsFromDequantized ?? 0
    let bound = golden.isFloat ? 0.02 : own == 0 ? 0.03 : max(4 * own, 0.02)
    for (index, expected) in golden.rows where found.indices.contains(index) {
      if golden.isFloat { #expect(cosine(found[index], expected) >= 0.9999, "row \(index)") }
      #expect(error(of: found[index], from: expected) <= bound, "row \(index)")
    }
    if let all = golden.embeddings {
      #expect(cosine(found.flatMap { $0 }, all) >= (golden.isFloat ? 0.9999 : 0.999))
    }
  }

  /// Within 2 % of the logits' deviation for float weights; for others within four times of what the rounding of
  /// activations costs llama.cpp with these weights, for this prompt or for the median of them.
  @Test(arguments: cases) func logitsAgree(golden: FamilyGolden) throws {
    let rows = try FamilySession.make(golden).logits(
      raw: golden.prompt, images: FamilySession.images(golden),
      continuation: golden.steps.dropLast().map { Int32($0.ids[0]) },
      pruning: .off)
    let bound = FamilyGoldenTests.bound(golden)
    #expect(error(of: rows[0], from: golden.logits) <= bound)
    for (index, (row, step)) in zip(rows, golden.steps).enumerated() {
      guard FamilyGoldenTests.hasMargin(golden, step) else { continue }
      let best = try #require(row.indices.max { (row[$0], $1) < (row[$1], $0) })
      #expect(best == step.ids[0], "step \(index)")
    }
  }

  /// Steps whose best token rounding can exchange are not compared: of a model and format enough must be left.
  @Test func stepsHaveMargins() {
    for goldens in Dictionary(grouping: FamilyGoldenTests.cases, by: { "\($0.model) \($0.type)" }).values {
      let compared = goldens.reduce(0) { sum, golden in
        sum + golden.steps.count { FamilyGoldenTests.hasMargin(golden, $0) }
      }
      #expect(compared >= goldens.count * (goldens[0].isFloat ? 8 : 2), "\(goldens[0].model) \(goldens[0].type)")
    }
  }

  private static func bound(_ golden: FamilyGolden) -> Double {
    guard !golden.isFloat else { return 0.02 }
    // Where rounding sends a token to another expert, one prompt costs far more than those beside it.
    let costs = FamilyGoldenTests.cases.filter { $0.model == golden.model && $0.type == golden.type }
      .map(\.logitsFromDequantized).sorted()
    return max(0.02, 4 * max(golden.logitsFromDequantized, costs[costs.count / 2]))
  }

  private static func hasMargin(_ golden: FamilyGolden, _ step: GoldenStep) -> Bool {
    Double(step.logits[0] - step.logits[1]) > 2 * bound(golden) * deviation(golden.logits)
  }
}

/// The reference processors' tiles, pixel by pixel.
@Suite struct FamilyPixelTests {
  @Test(arguments: ["smolvlm", "gemma3", "llava-next", "internvl", "qwen2vl", "qwen3vl", "qwen35", "lfm2vl", "gemma4"])
  func tilesAreTheReferences(family: String) throws {
    let goldens = try FamilyGoldens.load(family).pixels
    #expect(goldens.count >= 5)
    for golden in goldens {
      let image = try FamilySession.decoded(golden.picture)
      let files = try Fixture.makeFiles(golden.model, "F32")
      let plan = try ModelRegistry.visionPlan(GGUFFile(path: try #require(files.projector)))
      let picture = plan.processor.prepare(image)
      #expect(picture.layout == plan.processor.layout(width: image.width, height: image.height), "\(golden)")
      #expect(picture.layout.imageTokens == golden.tokens, "\(golden)")
      #expect(picture.layout.tiles.count == golden.checksums.count, "\(golden)")
      guard picture.layout.tiles.count == golden.checksums.count else { continue }
      for (index, checksum) in golden.checksums.enumerated() {
        let tile = picture.tile(index)
        #expect((tile.height, tile.width) == golden.sizes[index], "\(golden) tile \(index)")
        #expect(crc32(FamilySession.bytes(tile, plan.shape)) == checksum, "\(golden) tile \(index)")
      }
      for sample in golden.normalized {
        let tile = picture.tile(sample.tile)
        let value = tile.pixels.pointer[(sample.colour * tile.height + sample.y) * tile.width + sample.x]
        #expect(abs(value - sample.value) < 1e-5, "\(golden)")
      }
    }
  }
}

enum FamilySession {
  static func make(_ golden: FamilyGolden) throws -> Session {
    let files = try golden.files()
    let key = files.text
    return try models.withLock { models in
      if let model = models[key] { return try model.makeSession(options(golden)) }
      var options = ModelOptions(threads: 2)
      options.encoderType = .stored
      let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
      models[key] = model
      return try model.makeSession(self.options(golden))
    }
  }

  private static func options(_ golden: FamilyGolden) -> SessionOptions {
    let format: SessionOptions.CacheFormat = golden.type == "F32" ? .f32 : .f16
    return SessionOptions(keyFormat: format, valueFormat: format)
  }

  private static let models = Guarded<[String: VisionLanguageModel]>([:])

  static func decoded(_ picture: String) throws -> Image {
    if let drawn = DrawnPicture(name: picture) {
      return Image(width: drawn.width, height: drawn.height, pixels: drawn.pixels)
    }
    let path = "\(Locations.photos)/\(picture)"
    return try decodeImage(try Files.read(path), subject: path)
  }

  static func images(_ golden: FamilyGolden) throws -> [ImageSource] {
    try golden.pictures.map { .bytes(encodePNG(try decoded($0)), name: $0) }
  }

  /// Of all pictures, in the order of the prompt.
  static func embeddings(_ golden: FamilyGolden) throws -> [[Float]] {
    let session = try make(golden)
    return try images(golden).flatMap { try session.imageEmbeddings($0) }
  }

  /// The tile's bytes before they were normalised.
  static func bytes(_ tile: PreparedImage, _ shape: VisionShape) -> [UInt8] {
    let area = tile.width * tile.height
    return (0..<area).flatMap { pixel in
      (0..<3).map { channel in
        let value = tile.pixels.pointer[channel * area + pixel]
        return UInt8(((value * shape.deviation[channel] + shape.mean[channel]) * 255).rounded())
      }
    }
  }
}
