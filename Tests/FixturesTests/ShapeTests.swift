import Occam
import OccamCommandLine
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamModels
import OccamQuantFormats
import OccamTestSupport
import Testing

@Suite struct ShapeTests {
  /// Billions of numbers that the published models hold (their model cards; TinyLLaVA: 1.10 and 0.30), and visual tokens of
  /// one tile.
  static let published: [(name: String, billions: Double, tokens: Int)] = [
    ("llava-1.5-7b", 7.06, 576), ("llava-1.5-13b", 13.35, 576), ("tinyllava-1.1b", 1.41, 576),
    ("smolvlm-256m", 0.256, 64), ("smolvlm-500m", 0.507, 64), ("smolvlm-2.2b", 2.25, 81), ("qwen3-vl-2b", 2.13, 256),
    ("qwen3-vl-4b", 4.44, 256), ("qwen3-vl-8b", 8.77, 256), ("gemma-3-4b", 4.30, 256),
  ]

  @Test("every shape is as large as the published model and loads its configuration", arguments: published)
  func sizes(name: String, billions: Double, tokens: Int) throws {
    let shape = try #require(ModelShape.named(name))
    let model = try shape.spec.synthesize(type: .q4_0, projectorType: .f16)
    let count = (model.text.tensors + model.projector.tensors).reduce(0) { $0 + $1.elementCount }
    #expect(abs(Double(count) / 1e9 / billions - 1) < 0.02, "\(count) numbers")
    #expect(shape.visualTokens == tokens)
    let text = try ModelRegistry.textShape(model.text)
    let vision = try ModelRegistry.visionPlan(model.projector).shape
    #expect(text.hidden == shape.spec.text.width && text.layers == shape.spec.text.layers)
    #expect(vision.patches == tokens * shape.merge * shape.merge && vision.patchesPerSide % shape.merge == 0)
    #expect(vision.layers == shape.spec.vision.layers)
  }

  @Test("every published shape is listed") func listIsComplete() {
    #expect(ModelShape.all.map(\.name) == ShapeTests.published.map(\.name))
    #expect(ModelShape.all.filter(\.isExact).map(\.name) == ["llava-1.5-7b", "llava-1.5-13b", "tinyllava-1.1b"])
  }

  @Test(
    "a mistyped name has a neighbour",
    arguments: [
      ("lava-1.5-7b", "llava-1.5-7b"), ("smolvlm-250m", "smolvlm-256m"), ("qwen3vl-8b", "qwen3-vl-8b"),
    ])
  func nearest(typed: String, meant: String) {
    #expect(ModelShape.named(typed) == nil)
    #expect(NearestName.find(typed, among: ModelShape.all.map(\.name)) == meant)
    #expect(ModelShape.named(meant.uppercased())?.name == meant)
  }

  // MARK: A small shape, end to end

  /// 64 patches, merged 2 x 2 to 16 visual tokens; heads of 72 in the encoder, as SigLIP-SO400M has.
  static func small(isTied: Bool = false) throws -> ModelShape {
    var shape = try #require(ModelShape.named("smolvlm-256m"))
    shape.merge = 2
    shape.spec.vocabulary = .builtIn(minimumCount: 3000)
    var text = shape.spec.text
    (text.layers, text.width, text.heads, text.kvHeads, text.headSize, text.feedForward) = (4, 256, 8, 2, 32, 768)
    text.isTied = isTied
    shape.spec.text = text
    var vision = shape.spec.vision
    (vision.imageSize, vision.width, vision.heads, vision.feedForward, vision.layers) = (128, 288, 4, 608, 2)
    vision.projectorWidth = 544
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
    var answer = ShapeAnswer()
    (answer.tiles, answer.merge, answer.textTokens, answer.answerTokens) = (8, shape.merge, 10, 3)
    let unpruned = try session.measure(answer)
    #expect(unpruned.promptTokens == 8 * 16 + 10)
    #expect(unpruned.meanVisualTokensPerLayer == 128 && unpruned.pruning.isEmpty)
    #expect(unpruned.generatedTokens == 3 && unpruned.timings.decodeTokensPerSecond > 0)
    answer.pruning = GenerationOptions.Pruning()
    (answer.pruning.lambda2, answer.pruning.maxVisualTokens) = (0, 4)
    let pruned = try session.measure(answer)
    #expect(pruned.promptTokens == unpruned.promptTokens)
    // 250 of 576 is 7 of 16.
    #expect(pruned.pruning.map { [$0.stage1, $0.kept] } == Array(repeating: [7, 4], count: 8))
    #expect(pruned.kvBytes < unpruned.kvBytes)
    // Nothing of an answer is left for the next one.
    let again = try session.measure(answer)
    #expect(again.pruning.map(\.keptIndices) == pruned.pruning.map(\.keptIndices))
  }

  @Test(
    "the plan's weights are those packed, within 3 percent",
    arguments: [
      (FixtureType.q4_0, false), (.q4_K_M, true), (.q8_0, false), (.f16, true),
    ], [ModelOptions.EncoderType.auto, .stored])
  func planIsTrue(kind: (type: FixtureType, isTied: Bool), encoder: ModelOptions.EncoderType) throws {
    let shape = try ShapeTests.small(isTied: kind.isTied)
    let model = try shape.spec.synthesize(type: kind.type, projectorType: .f16)
    let plan = try MemoryPlan(
      text: model.text, projector: model.projector, session: SessionOptions(), encoderType: encoder,
      visualTokens: shape.visualTokens)
    #expect(plan.visualTokens == 16)
    var planned = plan.textWeightsBytes + plan.visionWeightsBytes
    // An embedding table that is not the output matrix too stays in the file, and counts in the plan only.
    if !kind.isTied { planned -= try model.text.requireTensor("token_embd.weight").byteRange.count }
    let packed = try ShapeTests.load(model, encoder: encoder).weightsBytes
    #expect(abs(Double(planned) / Double(packed) - 1) < 0.03, "planned \(planned), packed \(packed)")
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
