import Occam
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTestSupport
import Testing

/// No model file may trap the process: it is refused with an error, or it runs, whatever it says then.
@Suite(.serialized) struct HostileModelTests {
  /// Loads and, if that succeeds, asks. Only a trap fails here.
  private func attempt(_ text: String, _ projector: String, cells: SessionOptions.CacheFormat = .f16) throws {
    do {
      try TinyModel.ask(TinyModel.load(text, projector), cells: cells)
    } catch is OccamError {}
    _ = try? MemoryPlan(path: text, projector: projector).lines
  }

  private static let values: [GGUFValue] = [
    .uint32(0), .uint32(1), .uint32(2), .uint32(63), .uint32(.max), .int64(-1), .int64(.min), .uint64(.max),
    .float32(0), .float32(.nan), .float32(.leastNonzeroMagnitude), .float32(.greatestFiniteMagnitude), .bool(true),
    .string(""),
    .array(.int32([])), .array(.int32([-1, 7])), .array(.float32([.nan, 1, 2])),
    .array(.string(GGUFStrings(["", "x"]))),
  ]

  /// Each key of the file with each of these values, and without the key.
  @Test(arguments: [false, true]) func everyKeyWithHostileValues(isProjector: Bool) throws {
    let files = try TinyModel.files()
    let path = isProjector ? files.projector : files.text
    let extra =
      isProjector
      ? ["clip.vision.feature_layer", "clip.use_silu"]
      : [
        "llama.vocab_size", "llama.rope.scaling.type", "llama.rope.scaling.factor", "llama.expert_count",
        "tokenizer.ggml.eot_token_id", "tokenizer.ggml.add_space_prefix",
      ]
    var tried = 0
    for key in try EditedModel(path).keys + extra {
      for value in HostileModelTests.values.map({ Optional($0) }) + [nil] {
        var edited = try EditedModel(path)
        edited.set(key, value)
        let changed: String
        do { changed = try edited.write() } catch is GGUFError { continue }
        try isProjector ? attempt(files.text, changed) : attempt(changed, files.projector)
        tried += 1
      }
    }
    #expect(tried > 200)
  }

  /// Weights that are no numbers, in every format, with every kernel set, cells and reference.
  @Test(arguments: [FixtureType.f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .iq4_nl, .mxfp4])
  func weightsThatAreNoNumbers(type: FixtureType) throws {
    let files = try TinyModel.files(type)
    for byte in [0xFF, 0x7F, 0x00] as [UInt8] {
      for (text, projector) in [(true, false), (false, true), (true, true)] {
        var (model, encoder) = (try EditedModel(files.text), try EditedModel(files.projector))
        if text { try model.fill(byte) }
        if projector { try encoder.fill(byte) }
        let (path, other) = (try model.write(), try encoder.write())
        for set in KernelSet.available() {
          let loaded = try TinyModel.load(path, other, kernel: set.name, sidecar: try HostileModelTests.sidecar(other))
          for cells in SessionOptions.CacheFormat.allCases { try TinyModel.ask(loaded, cells: cells) }
        }
        try attempt(path, other)
        let calibrator = try Calibrator(model: try TinyModel.load(path, other))
        _ = try calibrator.run(images: ["\(Locations.photos)/cup.jpg"], questions: ["What is this?"])
      }
    }
  }

  /// K-quants need rows of 256.
  @Test(arguments: [FixtureType.q4_K_M, .q6_K, .q2_K, .q3_K_S, .iq4_xs]) func superBlocksThatAreNoNumbers(
    type: FixtureType
  ) throws {
    var spec = TinyModel.spec
    spec.text.width = 256
    spec.text.heads = 16
    spec.text.feedForward = 256
    spec.vision.width = 256
    spec.vision.feedForward = 256
    let files = try spec.write(to: TemporaryFolder.make(), type: type)
    for byte in [0xFF, 0x7F] as [UInt8] {
      var (model, encoder) = (try EditedModel(files.text), try EditedModel(files.projector ?? ""))
      try model.fill(byte)
      try encoder.fill(byte)
      let (path, other) = (try model.write(), try encoder.write())
      for set in KernelSet.available() { try TinyModel.ask(TinyModel.load(path, other, kernel: set.name)) }
    }
  }

  private static func sidecar(_ projector: String) throws -> String {
    let file = try GGUFFile(path: projector)
    let path = "\(TemporaryFolder.make())/sidecar.json"
    // Channels and layers beyond the encoder's are in the file format's range: they must be harmless.
    let plan = RegisterPlan([.init(layer: 0, channel: 1), .init(layer: 1, channel: 1 << 24)])
    try Sidecar(model: VisionLanguageModel.fingerprint(file), plan: plan, lambda1: 0.1, textLayer: 60).write(
      to: path)
    return path
  }

  // MARK: Vocabulary

  @Test func tokenIdsOutsideTheVocabulary() throws {
    let files = try TinyModel.files()
    for key in ["bos", "eos", "unknown", "eot"] {
      for id in [100_000, -1] as [Int32] {
        var edited = try EditedModel(files.text)
        edited.set("tokenizer.ggml.\(key)_token_id", .int32(id))
        let error = loadingError(try edited.write(), files.projector)
        #expect(error?.code == .invalidModel && error?.description.contains("\(key)_token_id") == true)
      }
    }
  }

  /// A text may then hold a token that has no embedding.
  @Test func moreTokensThanEmbeddings() throws {
    let files = try TinyModel.files()
    var edited = try EditedModel(files.text)
    let rows = 400
    for name in ["token_embd.weight", "output.weight"] { try edited.replace(tensor: name, dimensions: [64, rows]) }
    // Without vocab_size the table is too small for the tokens; with it, it is what the file says.
    #expect(loadingError(try edited.write(), files.projector)?.message.contains("token_embd.weight") == true)
    edited.set("llama.vocab_size", .uint32(UInt32(rows)))
    let error = loadingError(try edited.write(), files.projector)
    #expect(error?.code == .invalidModel && error?.message.contains("weights hold \(rows)") == true)
  }

  /// The table may be longer (padded); a padding row that wins is a token without text.
  @Test func moreEmbeddingsThanTokens() throws {
    let model = try HostileModelTests.modelThatSays(1999, rows: 2000)
    var ids: [Int32] = []
    let metrics = try model.makeSession().respond(to: "What?", options: HostileModelTests.threeTokens) { event in
      if case .token(let token) = event { ids.append(token.id) }
    }
    #expect(ids == [1999, 1999, 1999] && metrics.text.isEmpty)
  }

  /// An answer that spells the image marker is text: the next turn must not look for its image.
  @Test func answersThatSpellTheImageMarker() throws {
    let model = try HostileModelTests.modelThatSays(400, rows: 2000) { edited in
      guard case .array(.string(let tokens)) = edited.value("tokenizer.ggml.tokens") else { return }
      var texts = tokens.strings
      texts[400] = "<__media__>"
      edited.set("tokenizer.ggml.tokens", .array(.string(GGUFStrings(texts))))
    }
    let session = try model.makeSession()
    let image = ImageSource.file("\(Locations.photos)/cup.jpg")
    let first = try session.respond(to: "What?", images: [image], options: HostileModelTests.threeTokens)
    #expect(first.text == "<__media__><__media__><__media__>")
    let second = try session.respond(to: "And?", options: HostileModelTests.threeTokens)
    #expect(second.generatedTokens == 3 && second.pruning.count == 1)
  }

  private static let threeTokens: GenerationOptions = {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = 3
    options.logprobs = 2
    return options
  }()

  /// Every hidden state is the vector of ones, and only the output row of `token` is not zero.
  private static func modelThatSays(
    _ token: Int, rows: Int, _ change: (inout EditedModel) -> Void = { _ in }
  ) throws -> VisionLanguageModel {
    func bytes(_ value: Float, _ count: Int) -> [UInt8] {
      [Float](repeating: value, count: count).withUnsafeBytes { Array($0) }
    }
    let files = try TinyModel.files(.f32)
    var edited = try EditedModel(files.text)
    try edited.replace(tensor: "token_embd.weight", dimensions: [64, rows], data: bytes(1, 64 * rows))
    try edited.replace(
      tensor: "output.weight", dimensions: [64, rows],
      data: bytes(0, 64 * token) + bytes(100, 64) + bytes(0, 64 * (rows - token - 1)))
    for layer in 0..<2 {
      try edited.replace(tensor: "blk.\(layer).attn_output.weight")
      try edited.replace(tensor: "blk.\(layer).ffn_down.weight")
    }
    edited.set("llama.vocab_size", .uint32(UInt32(rows)))
    change(&edited)
    return try TinyModel.load(try edited.write(), files.projector)
  }

  /// Logits outlive the trimming of the prefill's buffers, whatever the vocabulary's size.
  @Test func logitsSurviveTrimming() throws {
    let compute = Compute(kernels: try KernelSet.named(nil), team: WorkerTeam(threads: 1))
    let columns = (1 << 20) + 1
    let logits = compute.view(.logits, rows: 1, columns: columns)
    let scratch = compute.view(.gate, rows: 1, columns: columns)
    compute.trim()
    #expect(compute.view(.logits, rows: 1, columns: columns).pointer == logits.pointer)
    // What is not wanted any more is given back: the small buffer asked for now is another one.
    _ = scratch
    #expect(compute.view(.gate, rows: 1, columns: 16).rows == 1)
  }
}
