import Occam
import OccamCore
import OccamGGUF
import OccamPruning
import OccamTestSupport
import Testing

/// Which files make a model.
@Suite(.serialized) struct ModelFileTests {
  private static let prompt = "USER: <__media__>\nWhat is this? ASSISTANT:"

  private func logits(_ model: VisionLanguageModel) throws -> [[Float]] {
    try model.makeSession().logits(
      raw: ModelFileTests.prompt, images: [.file("\(Locations.photos)/cat.jpg")], continuation: [300, 301],
      pruning: GenerationOptions.Pruning())
  }

  /// A folder with copies of the tiny pair's files.
  private func folder(_ files: [(name: String, source: String)]) throws -> String {
    let folder = TemporaryFolder.make()
    for file in files { try Files.write(try Files.read(file.source), to: "\(folder)/\(file.name)") }
    return folder
  }

  @Test func aFusedFileEqualsThePair() throws {
    let pair = try Fixture.make("g1", "Q8_0")
    let fused = try Fixture.makeFused("g1", "Q8_0")
    let model = try TinyModel.load(fused, nil)
    #expect(model.projectorPath == fused && model.notes.isEmpty)
    let separate = try TinyModel.load(pair.text, pair.projector)
    #expect(try logits(model) == logits(separate))
    #expect(model.weightsBytes == separate.weightsBytes)
    // A projector that is given wins over the one inside.
    #expect(try TinyModel.load(fused, pair.projector).projectorPath == pair.projector)
  }

  @Test func theProjectorIsFoundBesideTheModel() throws {
    let files = try TinyModel.files()
    let folder = try folder([("model.gguf", files.text), ("mmproj-model-f16.gguf", files.projector)])
    let model = try TinyModel.load("\(folder)/model.gguf", nil)
    #expect(model.projectorPath == "\(folder)/mmproj-model-f16.gguf")
    #expect(model.notes.contains { $0.contains("mmproj-model-f16.gguf") })
    #expect(try logits(model) == logits(TinyModel.load(files.text, files.projector)))
    // Given, nothing is said.
    #expect(try TinyModel.load("\(folder)/model.gguf", "\(folder)/mmproj-model-f16.gguf").notes.isEmpty)
  }

  /// A text model in the folder of somebody else's projector runs without it; given, that projector is an error.
  @Test func aFoundProjectorOfAnotherModelIsLeftOut() throws {
    let files = try TinyModel.files()
    let other = try Fixture.make("g3", "Q8_0")
    let junk = "\(TemporaryFolder.make())/junk"
    try Files.write(Array("junk".utf8), to: junk)
    for (projector, reason) in [(other.projector, "width 480"), (junk, "GGUF")] {
      let folder = try folder([("model.gguf", files.text), ("mmproj-other.gguf", projector)])
      let model = try TinyModel.load("\(folder)/model.gguf", nil)
      #expect(model.projectorPath == nil)
      let note = model.notes.first ?? ""
      #expect(note.contains("mmproj-other.gguf") && note.contains(reason) && note.contains("--mmproj"), "\(note)")
      #expect(try MemoryPlan(path: "\(folder)/model.gguf").visionWeightsBytes == 0)
      #expect(try model.makeSession().logits(raw: "Hello", images: [], continuation: [], pruning: .off).count == 1)
      #expect(throws: OccamError.self) {
        try TinyModel.load("\(folder)/model.gguf", "\(folder)/mmproj-other.gguf")
      }
    }
  }

  @Test func ofSeveralTheOneThatIsNamedAlike() throws {
    let files = try TinyModel.files()
    // What must not be taken is no model at all.
    let junk = "\(TemporaryFolder.make())/junk"
    try Files.write(Array("junk".utf8), to: junk)
    let folder = try folder([
      ("llava-tiny-Q4.gguf", files.text), ("mmproj-llava-tiny-F16.gguf", files.projector),
      ("mmproj-llava-large-F16.gguf", junk), ("mmproj-other.gguf", junk), ("mmproj.gguf", junk),
      ("mmproj-llava.txt", junk),
      ("not-mmproj-llava-tiny-Q4.gguf", junk),
    ])
    #expect(
      try TinyModel.load("\(folder)/llava-tiny-Q4.gguf", nil).projectorPath == "\(folder)/mmproj-llava-tiny-F16.gguf")
  }

  @Test func withoutOneTheModelIsTextOnly() throws {
    let files = try TinyModel.files()
    let folder = try folder([("model.gguf", files.text), ("model.mmproj.gguf", files.projector)])
    let model = try TinyModel.load("\(folder)/model.gguf", nil)
    #expect(model.projectorPath == nil && !model.isCalibrated)
    var options = GenerationOptions()
    options.maxTokens = 2
    #expect(try model.makeSession().respond(to: "What?", options: options).generatedTokens >= 1)
    let plan = try MemoryPlan(path: "\(folder)/model.gguf")
    #expect(plan.visualTokens == 0 && plan.visionWeightsBytes == 0 && plan.layers == 2)
  }

  /// A calibration belongs to the encoder in either reading of its layout.
  @Test func theSidecarIsFoundInBothLayouts() throws {
    let files = try TinyModel.files()
    let folder = try folder([("model.gguf", files.text), ("mmproj-model.gguf", files.projector)])
    let file = try GGUFFile(path: files.projector)
    let sidecar = Sidecar(
      model: try VisionLanguageModel.fingerprint(file), plan: RegisterPlan([.init(layer: 0, channel: 1)]))
    try sidecar.write(to: "\(folder)/mmproj-model.gguf.occam.json")
    for layout in ModelOptions.VisionLayout.allCases {
      var options = ModelOptions(threads: 1)
      options.visionLayout = layout
      #expect(try VisionLanguageModel(path: "\(folder)/model.gguf", options: options).isCalibrated)
    }
  }

  /// What is behind the last whole patch is left out, as a convolution without padding does (SigLIP: 384 by 14).
  @Test func imageSizesThatAreNoMultipleOfThePatch() throws {
    let files = try TinyModel.files()
    var edited = try EditedModel(files.projector)
    edited.set("clip.vision.image_size", .uint32(41))
    let model = try TinyModel.load(files.text, try edited.write())
    let session = try model.makeSession()
    var options = GenerationOptions()
    options.maxTokens = 1
    let metrics = try session.respond(
      to: "What?", images: [.file("\(Locations.photos)/cat.jpg")], options: options)
    #expect(metrics.pruning.first?.total == 4)
    #expect(try !session.keepMap(image: 0).isEmpty)
  }

  @Test func theMemoryPlanReadsHeadersOnly() throws {
    let files = try TinyModel.files()
    let plan = try MemoryPlan(path: files.text, projector: files.projector)
    #expect(plan.visualTokens == 4 && plan.contextLength == 256 && plan.layers == 2)
    // Keys of 2 heads of 16, values padded to 32, 2 bytes each, 2 layers.
    #expect(plan.kvBytesPerToken == 2 * (16 + 32) * 2 * 2)
    #expect(plan.kvBytes(tokens: 10) == 64 * plan.kvBytesPerToken)
    let model = try TinyModel.load(files.text, files.projector)
    // And the embedding table, which stays in the file.
    let embedding = try GGUFFile(path: files.text).requireTensor("token_embd.weight").byteRange.count
    #expect(plan.textWeightsBytes + plan.visionWeightsBytes == model.weightsBytes + embedding)
    #expect(plan.lines().contains { $0.contains("4 visual") })
  }

  @Test func progressRunsFromNothingToAll() throws {
    let files = try TinyModel.files()
    var shares: [Double] = []
    _ = try VisionLanguageModel(path: files.text, projector: files.projector, options: ModelOptions(threads: 1)) {
      shares.append($0)
    }
    #expect(shares.count > 20 && shares.last == 1)
    #expect(zip(shares, shares.dropFirst()).allSatisfy { $0 <= $1 })
  }

  @Test func optionsThatCannotBeHonoured() throws {
    let files = try TinyModel.files()
    for options in [ModelOptions(threads: 0), ModelOptions(threads: 257), ModelOptions(kernel: "abacus")] {
      let error = #expect(throws: OccamError.self) {
        try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
      }
      #expect(error?.code == .invalidOption)
    }
  }
}
