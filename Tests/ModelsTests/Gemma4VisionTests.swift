import Occam
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTensors
import OccamTestSupport
import Testing

/// What is Gemma 4's own on the eyes' side: sizes of pictures, positions of columns and rows, limits, scores of all patches.
@Suite struct Gemma4VisionTests {
  private static func vision(_ path: String) throws -> (vision: VisionModel, compute: Compute) {
    let team = WorkerTeam(threads: 2)
    let kernels = try KernelSet.named(nil)
    let loader = WeightLoader(file: try GGUFFile(path: path), kernels: kernels, team: team)
    return (try ModelRegistry.vision(loader), Compute(kernels: kernels, team: team))
  }

  private static func projector(_ fixture: String, _ type: String = "F32") throws -> String {
    try #require(try Fixture.makeFiles(fixture, type).projector)
  }

  private static func prepared(_ vision: VisionModel, _ picture: String) throws -> PreparedPicture {
    let drawn = try #require(DrawnPicture(name: picture))
    return vision.plan.processor.prepare(Image(width: drawn.width, height: drawn.height, pixels: drawn.pixels))
  }

  // MARK: Sizes

  /// Columns and rows of tokens by Hugging Face transformers 5.24,
  /// `get_aspect_ratio_preserving_size(height, width, 16, 9 * tokens, 3)`, for three of the model's budgets.
  static let sizes: [(tokens: Int, photo: (Int, Int), grid: (Int, Int))] = [
    (70, (4000, 3000), (9, 7)), (70, (40, 4000), (1, 70)), (70, (1, 1), (8, 8)), (70, (3, 5), (6, 10)),
    (70, (2000, 1), (70, 1)), (70, (20_000, 1080), (36, 1)), (70, (960, 672), (10, 7)),
    (280, (4000, 3000), (19, 14)), (280, (3000, 4000), (14, 19)), (280, (40, 4000), (1, 167)),
    (280, (4000, 40), (167, 1)), (280, (1, 1), (16, 16)), (280, (3, 5), (12, 21)), (280, (640, 480), (19, 14)),
    (280, (1, 2000), (1, 280)), (280, (2000, 1), (280, 1)), (280, (20_000, 1080), (72, 3)),
    (280, (960, 672), (20, 14)), (280, (9000, 9000), (16, 16)),
    (1120, (4000, 3000), (38, 28)), (1120, (40, 4000), (3, 334)), (1120, (1, 1), (33, 33)),
    (1120, (3, 5), (25, 43)), (1120, (1, 2000), (1, 1120)), (1120, (20_000, 1080), (144, 7)),
    (1120, (768, 768), (33, 33)),
  ]

  @Test func sizesAreTheReferences() throws {
    let spec = try #require(FixtureSpec.named("gemma4-e2b"))
    let plan = try ModelRegistry.visionPlan(try #require(try spec.synthesizeProjector(type: .f16)))
    for (tokens, photo, grid) in Gemma4VisionTests.sizes {
      // 280 unless told otherwise.
      let plan = tokens == 280 ? plan : try plan.limited(to: ImageTokenBudget(maximum: tokens))
      let layout = plan.processor.layout(width: photo.0, height: photo.1)
      let window = try #require(layout.tiles.first)
      #expect([window.columns.count, window.rows.count] == [grid.0, grid.1], "\(photo) \(tokens)")
      #expect(layout.tiles.count == 1 && layout.imageTokens == grid.0 * grid.1)
      #expect(
        plan.processor.canvas(width: photo.0, height: photo.1)
          == ImageSize(width: 48 * grid.0, height: 48 * grid.1))
      #expect(layout.frame.first == .text("<|image>") && layout.frame.last == .text("<image|>"))
    }
  }

  @Test func usersMoveTheBudget() throws {
    let spec = try #require(FixtureSpec.named("gemma4-e2b"))
    let plan = try ModelRegistry.visionPlan(try #require(try spec.synthesizeProjector(type: .f16)))
    func tokens(_ minimum: Int?, _ maximum: Int?) throws -> Int {
      try plan.limited(to: ImageTokenBudget(minimum: minimum, maximum: maximum)).processor
        .layout(width: 960, height: 672).imageTokens
    }
    #expect(try tokens(nil, nil) == 280 && tokens(70, nil) == 280 && tokens(1, 1) == 1)
    // Pictures fill the budget: a minimum above it raises it.
    #expect(try tokens(560, nil) == tokens(nil, 560) && tokens(560, nil) > 500)
    #expect(try tokens(nil, 1120) == 1120)
    for (minimum, maximum) in [(nil, 1121), (1121, nil), (nil, 0), (0, nil), (100, 70)] as [(Int?, Int?)] {
      let error = #expect(throws: ModelError.self) { try tokens(minimum, maximum) }
      #expect(error?.subject.hasPrefix("image-m") == true)
    }
  }

  /// No picture is longer than the table of positions, whatever its shape and the budget.
  @Test func picturesFitTheTable() throws {
    let path = try Gemma4VisionTests.projector("gemma4-b")
    let plan = try ModelRegistry.visionPlan(GGUFFile(path: path))
    for (width, height) in [(1, 1), (1, 5000), (5000, 1), (40, 4000), (4000, 3000), (7, 1_000_000)] {
      let window = try #require(plan.processor.layout(width: width, height: height).tiles.first)
      #expect(window.count >= 1 && window.count <= 24)
      #expect(max(window.columns.count, window.rows.count) * 2 <= 48, "\(width) x \(height)")
    }
    #expect(throws: ModelError.self) { try plan.limited(to: ImageTokenBudget(maximum: 25)) }
    let error = #expect(throws: ModelError.self) {
      var edited = try EditedModel(Gemma4VisionTests.projector("gemma4-c"))
      // 300 tokens of 336 x 336 pixels.
      edited.set("clip.vision.patch_size", .uint32(112))
      _ = try ModelRegistry.visionPlan(GGUFFile(path: edited.write()))
    }
    #expect(error?.description.contains("clip.vision.patch_size") == true)
  }

  // MARK: Encoder

  /// Stage I's scores are transformers' attention weights of the last layer; patches row by row.
  @Test(arguments: ["gemma4-a", "gemma4-b", "gemma4-c"]) func scoresAreTheReferences(fixture: String) throws {
    let golden = try NumPyArray(path: "\(Locations.goldens)/gemma4/data/\(fixture).scores.npy")
    let (vision, compute) = try Gemma4VisionTests.vision(Gemma4VisionTests.projector(fixture))
    let tile = try Gemma4VisionTests.prepared(vision, "300x90-2").tile(0)
    let encoded = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true), compute: compute, observer: nil)
    let scores = try #require(encoded.scores)
    #expect(scores.count == golden.values.count && encoded.patches == scores.count)
    #expect(abs(scores.reduce(0, +) - 1) < 1e-4)
    #expect(error(of: scores, from: golden.values) < 2e-3)
    #expect(golden.shape[0] * golden.shape[1] == scores.count && golden.shape[0] != golden.shape[1])
    // A token's is the mean of its patches'.
    let tokens = vision.tokens(encoded, of: tile, window: TokenWindow(rows: 0..<1, columns: 0..<1))
    let side = vision.plan.merge.side
    let first = (0..<side * side).map { scores[$0 / side * golden.shape[1] + $0 % side] }
    #expect(abs(try #require(tokens.scores).scores[0] - first.reduce(0, +) / Float(first.count)) < 1e-7)
    // Lengths of keys instead: one a patch, and other numbers.
    let lengths = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true, score: .keyNorm), compute: compute, observer: nil)
    #expect(lengths.scores?.count == scores.count && lengths.scores?.allSatisfy { $0 > 0 } == true)
    #expect(lengths.scores != encoded.scores)
  }

  /// Register neurons and observers: a row more, and nothing without a register.
  @Test func registersAndObservers() throws {
    let (vision, compute) = try Gemma4VisionTests.vision(Gemma4VisionTests.projector("gemma4-a"))
    let picture = try Gemma4VisionTests.prepared(vision, "300x90-2")
    let tile = picture.tile(0)
    let plan = RegisterPlan([.init(layer: 0, channel: 5), .init(layer: 2, channel: 7)])
    let (watched, plain) = (WatchedPatches(), WatchedPatches())
    let encoded = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true, register: plan), compute: compute, observer: watched)
    let patches = encoded.patches
    #expect(patches == tile.width / 16 * (tile.height / 16) && encoded.hasRegister)
    #expect(encoded.scores?.count == patches + 1 && encoded.features.count == (patches + 1) * encoded.hidden)
    #expect(watched.hidden.count == 3 && watched.outputs == [patches, patches, patches])
    #expect(watched.sum(layer: 0, channel: 5) == 0 && watched.sum(layer: 2, channel: 7) == 0)
    #expect(watched.sum(layer: 0, channel: 7) > 0 && watched.sum(layer: 1, channel: 5) > 0)
    let without = try vision.encoder.encode(tile, request: EncoderRequest(), compute: compute, observer: plain)
    #expect(!without.hasRegister && without.scores == nil && plain.sum(layer: 0, channel: 5) > 0)
    #expect(without.features.count == patches * encoded.hidden)
    // The register bypasses pooling.
    let tokens = vision.tokens(encoded, of: tile, window: picture.layout.tiles[0])
    #expect(tokens.hasRegister && tokens.scores?.kind == .register)
    let register = Array(UnsafeBufferPointer(start: tokens.rows.row(tokens.tokens), count: tokens.width))
    let row = Array(UnsafeBufferPointer(start: encoded.rows.row(patches), count: encoded.hidden))
    #expect(zip(register, row).allSatisfy { abs($0 - $1) <= 1e-5 * max(1, abs($1)) })
  }

  /// The limits matter, and files without them are models of their own.
  @Test func limitsAreKept() throws {
    let path = try Gemma4VisionTests.projector("gemma4-a")
    func features(_ path: String) throws -> [Float] {
      let (vision, compute) = try Gemma4VisionTests.vision(path)
      let tile = try Gemma4VisionTests.prepared(vision, "300x90-2").tile(0)
      let encoded = try vision.encoder.encode(tile, request: EncoderRequest(), compute: compute, observer: nil)
      return withExtendedLifetime(encoded) { Array(encoded.features.buffer) }
    }
    let limited = try features(path)
    var edited = try EditedModel(path)
    for tensor in edited.tensors where tensor.name.contains("put_m") { edited.remove(tensor: tensor.name) }
    let free = try features(edited.write())
    #expect(error(of: free, from: limited) > 0.05 && free.allSatisfy(\.isFinite))
    // All four of a layer, or none; and in order.
    for name in ["input_min", "input_max", "output_min", "output_max"].map({ "v.blk.1.attn_v.\($0)" }) {
      var half = try EditedModel(path)
      half.remove(tensor: name)
      let broken = try half.write()
      let missing = #expect(throws: ModelError.self) { try Gemma4VisionTests.vision(broken) }
      #expect(missing?.description.contains(name) == true)
      var crossed = try EditedModel(path)
      let value: Float = name.hasSuffix("min") ? 100 : -100
      try crossed.replace(tensor: name, data: withUnsafeBytes(of: value) { Array($0) })
      let other = try crossed.write()
      let error = #expect(throws: ModelError.self) { try Gemma4VisionTests.vision(other) }
      #expect(error?.description.contains(name) == true)
      try crossed.replace(tensor: name, data: withUnsafeBytes(of: Float.nan) { Array($0) })
      let nothing = try crossed.write()
      #expect(throws: ModelError.self) { try Gemma4VisionTests.vision(nothing) }
    }
  }

  /// Bias and scale of tokens: both, or none.
  @Test func halfAStandardIsNone() throws {
    for name in ["v.std_bias", "v.std_scale"] {
      var edited = try EditedModel(Gemma4VisionTests.projector("gemma4-b"))
      edited.remove(tensor: name)
      let path = try edited.write()
      let error = #expect(throws: ModelError.self) { try Gemma4VisionTests.vision(path) }
      #expect(error?.description.contains(name) == true)
    }
  }

  /// The encoder-free projector of Gemma 4 12B ("unified") is refused by name.
  @Test func unifiedProjectorsAreRefused() throws {
    let files = try Fixture.makeFiles("gemma4-a", "F16")
    var edited = try EditedModel(try #require(files.projector))
    edited.set("clip.projector_type", .string("gemma4uv"))
    let path = try edited.write()
    let error = #expect(throws: OccamError.self) {
      try VisionLanguageModel(path: files.text, projector: path, options: ModelOptions(threads: 1))
    }
    #expect(error?.code == .unsupportedModel && error?.message.contains("gemma4uv") == true)
  }
}

private final class WatchedPatches: EncoderObserver {
  private(set) var hidden: [[[Float]]] = []
  private(set) var outputs: [Int] = []

  func sum(layer: Int, channel: Int) -> Float { hidden[layer].reduce(0) { $0 + abs($1[channel]) } }

  func hidden(layer: Int, _ values: MatrixView<Float>) {
    hidden.append((0..<values.rows).map { Array(UnsafeBufferPointer(start: values.row($0), count: values.columns)) })
  }

  func output(layer: Int, _ values: MatrixView<Float>) { outputs.append(values.rows) }
}
