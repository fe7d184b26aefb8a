import Occam
import OccamCommandLine
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamModels
import OccamQuantFormats
import OccamTensors
import OccamTestSupport
import Testing

@Suite struct ShapeTests {
  struct Published: Sendable, CustomTestStringConvertible {
    let name: String
    /// Numbers the published model holds, in billions (model cards; TinyLLaVA: 1.10 and 0.30).
    let billions: Double
    /// Encoder passes and visual tokens of a typical photo; 0 for text models.
    let tiles: Int
    let tokens: Int
    var testDescription: String { name }

    init(_ name: String, _ billions: Double, _ tiles: Int = 0, _ tokens: Int = 0) {
      (self.name, self.billions, self.tiles, self.tokens) = (name, billions, tiles, tokens)
    }
  }

  static let published = [
    Published("llava-1.5-7b", 7.06, 1, 576), Published("llava-1.5-13b", 13.35, 1, 576),
    Published("tinyllava-1.1b", 1.41, 1, 576), Published("smolvlm-256m", 0.256, 17, 1088),
    Published("smolvlm-500m", 0.507, 17, 1088), Published("smolvlm-2.2b", 2.25, 17, 1377),
    Published("smolvlm2-2.2b", 2.25, 17, 1377), Published("gemma3-270m", 0.268), Published("gemma3-1b", 1.0),
    Published("gemma-3-4b", 4.30, 1, 256), Published("llava-next-7b-vicuna", 7.06, 5, 2880),
    Published("llava-next-7b-mistral", 7.57, 5, 2880), Published("qwen2-1.5b", 1.54), Published("qwen3-1.7b", 1.72),
    Published("internvl3-1b", 0.94, 5, 1280), Published("internvl3-2b", 2.09, 5, 1280),
    Published("internvl3.5-1b", 1.06, 5, 1280),
    Published("qwen3-30b-a3b", 30.5), Published("qwen3-vl-30b-a3b", 31.1, 1, 768),
    Published("qwen2-vl-2b", 2.21, 1, 999), Published("qwen2.5-vl-3b", 3.75, 1, 999),
    Published("lfm2-vl-450m", 0.451, 7, 1770), Published("lfm2-vl-1.6b", 1.58, 7, 1770),
    Published("qwen3-vl-2b", 2.13, 1, 768), Published("qwen3-vl-8b", 8.77, 1, 768),
    Published("qwen3.5-2b", 2.21, 1, 768), Published("qwen3.5-4b", 4.54, 1, 768),
    Published("qwen3.5-35b-a3b", 35.1, 1, 768),
    Published("gemma4-e2b", 4.8, 1, 266),
  ]

  @Test("every shape is as large as the published model and loads its configuration", arguments: published)
  func sizes(published: Published) throws {
    let shape = try #require(ModelShape.named(published.name))
    let model = try shape.spec.synthesizeModel(type: .q4_0, projectorType: .f16)
    let count = (model.text.tensors + (model.projector?.tensors ?? [])).reduce(0) { $0 + $1.elementCount }
    #expect(abs(Double(count) / 1e9 / published.billions - 1) < 0.02, "\(count) numbers")
    let text = try ModelRegistry.textShape(model.text)
    #expect(text.hidden == shape.spec.text.width && text.layers == shape.spec.text.layers)
    #expect((shape.photo == nil) == (model.projector == nil) && (shape.photo == nil) == (published.tiles == 0))
    guard let projector = model.projector, let size = shape.photo else { return }
    let plan = try ModelRegistry.visionPlan(projector)
    #expect(plan.merge.side == shape.spec.vision.merge && plan.outputs == text.hidden)
    #expect(plan.shape.layers == shape.spec.vision.featureLayer ?? shape.spec.vision.layers)
    let photo = try ShapePhoto(text: model.text, projector: projector, width: size.width, height: size.height)
    #expect(photo.tiles == published.tiles && photo.visualTokens == published.tokens)
    // The plan beside a measurement is the photo's.
    let memory = try MemoryPlan(
      text: model.text, projector: projector, session: SessionOptions(), options: ModelOptions(), photo: photo)
    #expect(memory.visualTokens == published.tokens + photo.learnedTokens)
    #expect(photo.tokens + 72 <= memory.contextLength)
  }

  @Test("every published shape is listed") func listIsComplete() {
    #expect(Set(ModelShape.all.map(\.name)) == Set(ShapeTests.published.map(\.name)))
    #expect(ModelShape.all.count == ShapeTests.published.count)
  }

  @Test("the published counts of OccamToken, and their shares of other photos") func counts() throws {
    let next = try #require(ModelShape.named("llava-next-7b-vicuna"))
    #expect(next.stageOneTokens(of: 2880) == 523 && next.budgets(of: 2880) == [320, 160, 40])
    let llava = try #require(ModelShape.named("llava-1.5-7b"))
    #expect(llava.stageOneTokens(of: 576) == 250 && llava.budgets(of: 576) == [128, 64, 32])
    let gemma = try #require(ModelShape.named("gemma-3-4b"))
    #expect(gemma.stageOneTokens(of: 256) == 111 && gemma.budgets(of: 256) == [57, 28, 14])
    #expect(gemma.stageOneTokens(of: 1) == 1 && gemma.budgets(of: 1) == [1])
  }

  @Test("markers round the tiles count as their vocabulary makes them") func markers() throws {
    let spec = try #require(ModelShape.named("smolvlm-256m")).spec
    let text = try spec.synthesizeText(type: .q4_0)
    let projector = try #require(try spec.synthesizeProjector(type: .f16))
    func photo(_ width: Int, _ height: Int) throws -> ShapePhoto {
      try ShapePhoto(text: text, projector: projector, width: width, height: height)
    }
    // 16 tiles of two markers, three line breaks, one double, two before the overview and one behind it.
    #expect(try photo(1024, 1024).markerTokens == 16 * 2 + 3 + 1 + 2 + 1)
    #expect(try photo(1024, 768).tiles == 13)
    #expect(throws: OccamError.self) { try photo(0, 768) }
  }

  @Test(
    "a mistyped name has a neighbour",
    arguments: [
      ("lava-1.5-7b", "llava-1.5-7b"), ("smolvlm-250m", "smolvlm-256m"), ("gema-3-4b", "gemma-3-4b"),
    ])
  func nearest(typed: String, meant: String) {
    #expect(ModelShape.named(typed) == nil)
    #expect(NearestName.find(typed, among: ModelShape.all.map(\.name)) == meant)
    #expect(ModelShape.named(meant.uppercased())?.name == meant)
  }

  // MARK: A small shape, end to end

  /// Tiles of 64 patches, merged 2 x 2 to 16 visual tokens; heads of 72 in the encoder, as SigLIP-SO400M has. A square
  /// photo makes 2 x 2 tiles and an overview.
  static func small(isTied: Bool = false) throws -> ModelShape {
    var shape = try #require(ModelShape.named("smolvlm-256m"))
    shape.spec.vocabulary = .builtIn(minimumCount: 3000)
    var text = shape.spec.text
    (text.layers, text.width, text.heads, text.kvHeads, text.headSize, text.feedForward) = (4, 256, 8, 2, 32, 768)
    text.isTied = isTied
    shape.spec.text = text
    var vision = shape.spec.vision
    (vision.imageSize, vision.width, vision.heads, vision.feedForward, vision.layers) = (128, 288, 4, 608, 2)
    (vision.merge, vision.longestEdge) = (2, 256)
    shape.spec.vision = vision
    return shape
  }

  static func load(_ model: SyntheticModel, encoder: ModelOptions.EncoderType = .auto) throws -> VisionLanguageModel {
    var options = ModelOptions(threads: 2)
    options.encoderType = encoder
    return try VisionLanguageModel(text: model.text, projector: model.projector, options: options) { _ in }
  }

  @Test("a small shape answers, pruned and unpruned", arguments: [FixtureType.q4_0, .q4_K_M, .f16])
  func answers(type: FixtureType) throws {
    let shape = try ShapeTests.small()
    let session = try ShapeTests.load(shape.spec.synthesize(type: type, projectorType: .f16)).makeSession()
    var answer = ShapeAnswer(width: 200, height: 200)
    (answer.textTokens, answer.answerTokens) = (10, 3)
    let unpruned = try session.measure(answer)
    // 4 tiles of two markers, one line break, one double, two before the overview and one behind it.
    #expect(unpruned.promptTokens == 5 * 16 + 13 + 10)
    #expect(unpruned.meanVisualTokensPerLayer == 80 && unpruned.pruning.isEmpty)
    #expect(unpruned.generatedTokens == 3 && unpruned.timings.decodeTokensPerSecond > 0)
    #expect(unpruned.timings.imageDecode > 0 && unpruned.timings.imageEncode > 0)
    answer.pruning = GenerationOptions.Pruning()
    (answer.pruning.lambda2, answer.pruning.maxVisualTokens, answer.stageOneTokens) = (0, 4, 33)
    let pruned = try session.measure(answer)
    #expect(pruned.promptTokens == unpruned.promptTokens)
    // One count for all tiles together.
    #expect(pruned.pruning.map { [$0.total, $0.stage1, $0.kept] } == [[80, 33, 4]])
    #expect(pruned.kvBytes < unpruned.kvBytes)
    // Nothing of an answer is left for the next one.
    let again = try session.measure(answer)
    #expect(again.pruning.map(\.keptIndices) == pruned.pruning.map(\.keptIndices))
    answer.textTokens = 0
    #expect(throws: OccamError.self) { try session.measure(answer) }
  }

  /// Small models of every family that sees.
  static let seeing = FixtureSpec.all.filter { $0.hasVision && !$0.isForTimingOnly }.map(\.name)

  @Test("planned KV caches are those of the session, within 2 percent", arguments: seeing, [(300, 200), (64, 500)])
  func plannedCaches(name: String, size: (width: Int, height: Int)) throws {
    let spec = try #require(FixtureSpec.named(name))
    let model = try spec.synthesize(type: .f16, projectorType: .f16)
    let projector = try #require(model.projector)
    let photo = try ShapePhoto(text: model.text, projector: projector, width: size.width, height: size.height)
    let plan = try MemoryPlan(
      text: model.text, projector: projector, session: SessionOptions(), options: ModelOptions(), photo: photo)
    let session = try ShapeTests.load(model).makeSession()
    var answer = ShapeAnswer(width: size.width, height: size.height)
    (answer.textTokens, answer.answerTokens) = (10, 3)
    let unpruned = try session.measure(answer)
    #expect(unpruned.promptTokens == photo.tokens + 10)
    func difference(_ planned: Int, _ real: Int) -> Double { abs(Double(planned) / Double(real) - 1) }
    let planned = plan.kvBytes(tokens: photo.tokens + 13)
    // Of a recurrent layer's state the plan has all the copies that a conversation may come to hold.
    let copies = (try ModelRegistry.textShape(model.text)).states.reduce(0) { sum, state in
      if case .recurrent(let shape) = state {
        sum + RecurrentState.snapshots * shape.floats * MemoryLayout<Float>.stride
      } else {
        sum
      }
    }
    func isClose(_ planned: Int, _ real: Int) -> Bool {
      copies == 0 ? difference(planned, real) < 0.02 : real <= planned && real >= planned - copies
    }
    #expect(isClose(planned, unpruned.kvBytes), "planned \(planned), session \(unpruned.kvBytes)")
    answer.pruning = GenerationOptions.Pruning()
    let stageOne = photo.visualTokens / 2
    let kept = min(5, stageOne - 1)
    (answer.pruning.lambda2, answer.pruning.maxVisualTokens, answer.stageOneTokens) = (0, kept, stageOne)
    let pruned = try session.measure(answer)
    #expect(pruned.pruning.map { [$0.total, $0.stage1, $0.kept] } == [[photo.visualTokens, stageOne, kept]])
    // A window forgets by positions, which pruning leaves as they were: it holds no more than planned.
    let left = plan.kvBytes(tokens: photo.tokens - photo.visualTokens + kept + 13)
    let isWindowed = spec.text.slidingWindow != nil
    #expect(
      isWindowed ? pruned.kvBytes <= left : isClose(left, pruned.kvBytes),
      "planned \(left), session \(pruned.kvBytes)")
  }

  @Test("a text model of a shape is loaded without a projector") func textOnly() throws {
    var spec = try #require(ModelShape.named("gemma3-270m")).spec
    spec.vocabulary = .builtIn(minimumCount: 3000)
    (spec.text.layers, spec.text.width, spec.text.feedForward, spec.text.headSize) = (2, 256, 512, 64)
    let session = try ShapeTests.load(spec.synthesizeModel(type: .q4_0, projectorType: .f16)).makeSession()
    #expect(try session.secondsToPrefill(tokens: 20) > 0)
    #expect(try session.secondsToDecode(tokens: 2) > 0)
    #expect(throws: OccamError.self) { try session.measure(ShapeAnswer(width: 100, height: 100)) }
  }

  @Test(
    "the plan's weights are those packed",
    arguments: [
      (FixtureType.q4_0, false), (.q4_K_M, true), (.q8_0, false), (.f16, true),
    ], [ModelOptions.EncoderType.auto, .stored])
  func planIsTrue(kind: (type: FixtureType, isTied: Bool), encoder: ModelOptions.EncoderType) throws {
    var shape = try ShapeTests.small(isTied: kind.isTied)
    // Rows that end inside a block, as those of SigLIP-so400m do.
    if kind.isTied { shape.spec.vision.feedForward = 1048 }
    let model = try shape.spec.synthesize(type: kind.type, projectorType: .f16)
    var options = ModelOptions()
    options.encoderType = encoder
    let plan = try MemoryPlan(
      text: model.text, projector: model.projector, session: SessionOptions(), options: options, photo: nil)
    #expect(plan.visualTokens == 0)
    var planned = plan.textWeightsBytes + plan.visionWeightsBytes
    // An embedding table that is not the output matrix too stays in the file, and counts in the plan only.
    if !kind.isTied { planned -= try model.text.requireTensor("token_embd.weight").byteRange.count }
    let packed = try ShapeTests.load(model, encoder: encoder).weightsBytes
    #expect(planned == packed)
  }

  @Test("a model made in memory is the model of a file with the same bytes") func equalsItsFile() throws {
    let model = try ShapeTests.small().spec.synthesize(type: .q4_K_M, projectorType: .f16)
    let generator = try #require(model.text.generator)
    var writer = GGUFWriter()
    writer.copyMetadata(of: model.text)
    for tensor in model.text.tensors {
      // Row by row, where loading takes many at once.
      let bytes = AlignedBuffer<UInt8>(count: tensor.byteRange.count)
      for row in 0..<tensor.rowCount {
        generator.write(
          tensor, rows: row..<row + 1, into: UnsafeMutableRawPointer(bytes.pointer) + row * tensor.bytesPerRow)
      }
      try writer.add(tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: Array(bytes.buffer))
    }
    let path = "\(TemporaryFolder.make())/small.gguf"
    try writer.write(to: path)
    let stored = try VisionLanguageModel(path: path, options: ModelOptions(threads: 1))
    func logits(_ model: VisionLanguageModel) throws -> [[Float]] {
      try model.makeSession().logits(raw: "the cat is", images: [], continuation: [7, 300], pruning: .off)
    }
    let expected = try logits(stored)
    let made = try logits(ShapeTests.load(model))
    #expect(made == expected)
    #expect(expected.joined().allSatisfy(\.isFinite) && Set(expected[0]).count > 1000)
  }

  @Test("random blocks have about the deviation asked for and mean 0", arguments: [FixtureType.q4_K_M, .bf16, .q8_0])
  func deviations(type: FixtureType) throws {
    let model = try ShapeTests.small().spec.synthesize(type: type, projectorType: type)
    let tensor = try model.text.requireTensor("blk.0.ffn_gate.weight")
    let format = try #require(QuantFormat(rawValue: tensor.type.rawValue))
    let bytes = AlignedBuffer<UInt8>(count: tensor.byteRange.count)
    try #require(model.text.generator).write(tensor, rows: 0..<tensor.rowCount, into: bytes.pointer)
    var values = [Float](repeating: 0, count: tensor.elementCount)
    format.decode(bytes.pointer, count: values.count, into: &values)
    let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
    let deviation = (values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count))
      .squareRoot()
    // Gate matrices: gain 1.5 over 256 inputs. Floats of one exponent reach it within a factor of 2.
    let wanted = 1.5 / 16
    #expect(abs(mean) < 0.03 * wanted, "\(mean)")
    #expect(deviation > 0.5 * wanted && deviation < 1.5 * wanted, "\(deviation / wanted)")
  }

  @Test("a file that does not exist is checked like one that does") func refusals() throws {
    struct Nothing: TensorGenerator {
      func write(_ tensor: GGUFTensorInfo, rows: Range<Int>, into bytes: UnsafeMutableRawPointer) {}
    }
    func make(_ keys: [String], _ tensors: [(name: String, dimensions: [Int], type: GGMLType)]) throws {
      _ = try GGUFFile(
        subject: "x", metadata: keys.map { ($0, .bool(true)) }, tensors: tensors, generator: Nothing())
    }
    try make(["a", "b"], [("t", [32, 2], .q4_0), ("u", [3], .f32)])
    #expect(throws: GGUFError.self) { try make(["a", "a"], []) }
    #expect(throws: GGUFError.self) { try make([], [("t", [32], .q4_0), ("t", [32], .q4_0)]) }
    #expect(throws: GGUFError.self) { try make([], [("t", [33, 2], .q4_0)]) }
    #expect(throws: GGUFError.self) { try make([], [("t", [32, Int.max / 16], .f32)]) }
    #expect(throws: GGUFError.self) { try make([], [("t", [32, 0], .f32)]) }
  }
}
