import Occam
import OccamCore
import OccamGGUF
import OccamPruning
import OccamTestSupport
import Testing

/// Model files that cannot be run: each a typed error that names the file and what is wrong in it.
@Suite(.serialized) struct BadModelTests {
  @Test func theTinyPairItselfRuns() throws {
    let files = try TinyModel.files()
    try TinyModel.ask(TinyModel.load(files.text, files.projector))
  }

  // MARK: Tensors

  /// Every tensor of both files in turn; those that may be absent are named.
  @Test(arguments: [false, true]) func missingTensors(isProjector: Bool) throws {
    let files = try TinyModel.files()
    let path = isProjector ? files.projector : files.text
    for tensor in try EditedModel(path).tensors {
      var edited = try EditedModel(path)
      edited.remove(tensor: tensor.name)
      let broken = try edited.write()
      let error = isProjector ? loadingError(files.text, broken) : loadingError(broken, files.projector)
      // A tied output, a bias of zero.
      let isOptional =
        tensor.name == "output.weight"
        || tensor.name.hasSuffix(".bias") && !["ln1", "ln2", "pre_ln"].contains { tensor.name.contains($0) }
      if isOptional {
        #expect(error == nil, "\(tensor.name)")
        continue
      }
      let isKnown =
        error.map { [.invalidModel, .mismatch].contains($0.code) && $0.description.contains(broken) } ?? false
      #expect(isKnown, "\(tensor.name): \(error?.description ?? "loads")")
      // Without the class token the position table is one row too long.
      let named = tensor.name == "v.class_embd" ? "v.position_embd.weight" : tensor.name
      #expect(error?.message.contains(named) == true, "\(error?.description ?? "")")
    }
  }

  @Test(arguments: [false, true]) func wrongShapes(isProjector: Bool) throws {
    let files = try TinyModel.files()
    let path = isProjector ? files.projector : files.text
    for tensor in try EditedModel(path).tensors {
      var shapes = [tensor.dimensions.map { $0 + 1 }, tensor.dimensions + [2]]
      if let last = tensor.dimensions.last { shapes.append(tensor.dimensions.dropLast() + [last + 1]) }
      if tensor.dimensions.count > 1, tensor.dimensions.first != tensor.dimensions.last {
        shapes.append(tensor.dimensions.reversed())
      }
      for shape in shapes where shape.count <= 4 {
        var edited = try EditedModel(path)
        try edited.replace(tensor: tensor.name, dimensions: shape)
        let broken = try edited.write()
        let error = isProjector ? loadingError(files.text, broken) : loadingError(broken, files.projector)
        #expect(error.map { [.invalidModel, .mismatch].contains($0.code) } == true, "\(tensor.name) \(shape)")
        #expect(
          error?.description.contains(broken) == true, "\(tensor.name) \(shape): \(error?.description ?? "loads")")
        // The projector's inner width is its tensors' own: there the bias or the other matrix is what does not fit.
        if !tensor.name.hasPrefix("mm.") {
          // A feed-forward matrix of the exchanged shape is read by its exchanged name.
          let name = tensor.name.hasPrefix("v.") && tensor.name.contains("ffn_") ? ".ffn_" : tensor.name
          #expect(error?.message.contains(name) == true, "\(shape): \(error?.description ?? "loads")")
        }
      }
    }
  }

  @Test(arguments: [GGMLType.i8, .i16, .i64, .f64, .q8_1]) func formatsThatDoNotRun(type: GGMLType) throws {
    let files = try TinyModel.files()
    for (name, isProjector) in [
      ("blk.1.ffn_down.weight", false), ("token_embd.weight", false), ("v.blk.0.attn_q.weight", true),
    ] {
      var edited = try EditedModel(isProjector ? files.projector : files.text)
      try edited.replace(tensor: name, type: type)
      let broken = try edited.write()
      let error = isProjector ? loadingError(files.text, broken) : loadingError(broken, files.projector)
      #expect(error?.code == .unsupportedModel && error?.subject == broken)
      #expect(error?.message.contains(name) == true && error?.message.contains(type.name) == true)
    }
  }

  // MARK: Kinds of files

  @Test func unknownArchitecturesAndProjectors() throws {
    let files = try TinyModel.files()
    var text = try EditedModel(files.text)
    text.set("general.architecture", .string("mamba7"))
    let mamba = loadingError(try text.write(), files.projector)
    #expect(mamba?.code == .unsupportedModel && mamba?.message.contains("'mamba7'") == true)
    text.set("general.architecture", nil)
    #expect(loadingError(try text.write(), files.projector)?.code == .unsupportedModel)
    text.set("general.architecture", .uint32(3))
    #expect(loadingError(try text.write(), files.projector)?.code == .invalidModel)
    text.set("general.architecture", .string("llama"))
    text.set("llama.expert_count", .uint32(8))
    #expect(loadingError(try text.write(), files.projector)?.code == .unsupportedModel)

    var projector = try EditedModel(files.projector)
    projector.set("clip.projector_type", .string("ldpv3"))
    let ldp = loadingError(files.text, try projector.write())
    #expect(ldp?.code == .unsupportedModel && ldp?.message.contains("'ldpv3'") == true)
    projector.set("clip.projector_type", .string("mlp"))
    try projector.replace(tensor: "mm.0.bias", by: "mm.3.weight")
    #expect(loadingError(files.text, try projector.write())?.code == .unsupportedModel)
  }

  @Test func filesInTheWrongPlace() throws {
    let files = try TinyModel.files()
    let asModel = loadingError(files.projector, nil)
    #expect(asModel?.code == .mismatch && asModel?.subject == files.projector)
    #expect(asModel?.message.contains("--mmproj") == true)
    #expect(loadingError(files.projector, files.projector)?.code == .mismatch)
    let asProjector = loadingError(files.text, files.text)
    #expect(asProjector?.code == .mismatch && asProjector?.subject == files.text)
    #expect(asProjector?.message.contains("no vision encoder") == true)
    #expect(loadingError("/nowhere/model.gguf", nil)?.description.contains("/nowhere/model.gguf") == true)
    let missing = loadingError(files.text, "/nowhere/mmproj.gguf")
    #expect(missing?.description.contains("/nowhere/mmproj.gguf") == true)
    let junk = "\(TemporaryFolder.make())/junk.gguf"
    try Files.write(Array("not a model".utf8), to: junk)
    #expect(loadingError(junk, nil)?.code == .invalidModel)
    #expect(loadingError(files.text, junk)?.description.contains(junk) == true)
  }

  @Test func pairsThatDoNotFit() throws {
    let tiny = try TinyModel.files()
    let other = try Fixture.make("g3", "Q8_0")
    let error = loadingError(tiny.text, other.projector)
    #expect(error?.code == .mismatch && error?.subject == other.projector)
    #expect(error?.message.contains("480") == true && error?.message.contains("64") == true)
    #expect(error?.message.contains(tiny.text) == true)
  }

  @Test func sidecarsOfOtherModels() throws {
    let files = try TinyModel.files()
    let other = Sidecar(
      model: ModelFingerprint(architecture: "clip", layers: 24, hiddenSize: 1024, tensorHash: "0"),
      plan: RegisterPlan([.init(layer: 3, channel: 9)]))
    let path = "\(TemporaryFolder.make())/other.json"
    try other.write(to: path)
    func attempt() -> OccamError? {
      do {
        _ = try TinyModel.load(files.text, files.projector, sidecar: path)
        return nil
      } catch { return error as? OccamError }
    }
    #expect(attempt()?.code == .mismatch && attempt()?.description.contains(path) == true)
    try Files.write(Array("{\"version\": 1".utf8), to: path)
    #expect(attempt()?.code == .file && attempt()?.description.contains(path) == true)
  }

  // MARK: Hyperparameters

  struct Change: Sendable, CustomTestStringConvertible {
    let key: String
    let value: GGUFValue
    var testDescription: String { "\(key) = \(value)" }
    var isVision: Bool { key.hasPrefix("clip.") }
  }

  private static func changes(_ key: String, _ values: GGUFValue...) -> [Change] {
    values.map { Change(key: key, value: $0) }
  }

  static let impossible: [Change] =
    changes("llama.attention.head_count", .uint32(0), .uint32(3), .uint32(100_000), .int32(-4), .string("4"))
    + changes("llama.attention.head_count_kv", .uint32(0), .uint32(3), .uint32(8), .int64(-2))
    + changes("llama.attention.key_length", .uint32(0), .uint32(15), .uint32(514), .uint32(1024), .uint64(.max))
    + changes("llama.attention.value_length", .uint32(8))
    + changes("llama.embedding_length", .uint32(0), .uint32(65), .uint64(1 << 40))
    + changes("llama.feed_forward_length", .uint32(0), .uint32(97), .uint64(1 << 62))
    + changes("llama.block_count", .uint32(0), .uint32(3), .uint32(1 << 31))
    + changes("llama.context_length", .uint32(0), .uint64(1 << 40))
    + changes("llama.vocab_size", .uint32(0), .uint32(5), .uint32(1 << 30))
    + changes("llama.attention.layer_norm_rms_epsilon", .float32(.nan), .float32(-1), .float32(.infinity))
    + changes("llama.rope.freq_base", .float32(.nan), .float32(0), .float32(-1), .float32(.infinity))
    + changes("llama.rope.dimension_count", .uint32(0), .uint32(18), .uint32(7))
    + changes("llama.rope.scaling.type", .string("yarn"))
    + changes("clip.vision.attention.head_count", .uint32(0), .uint32(3), .uint32(1 << 20))
    + changes("clip.vision.embedding_length", .uint32(0), .uint32(33), .uint64(1 << 50))
    + changes("clip.vision.feed_forward_length", .uint32(0), .uint32(65))
    + changes("clip.vision.block_count", .uint32(0), .uint32(3), .uint32(1 << 20))
    + changes("clip.vision.image_size", .uint32(0), .uint32(13), .uint32(42), .uint32(1 << 20))
    + changes("clip.vision.patch_size", .uint32(0), .uint32(1), .uint32(28), .uint32(29), .uint64(.max))
    + changes("clip.vision.attention.layer_norm_epsilon", .float32(.nan), .float32(-1))
    + changes("clip.vision.image_mean", .array(.float32([0])), .array(.float32([0, 0, .nan])), .float32(0))
    + changes(
      "clip.vision.image_std", .array(.float32([1, 1, 0])), .array(.float32([1, 1, .infinity])), .array(.float32([])))
    + changes(
      "clip.vision.feature_layer", .array(.int32([0])), .array(.int32([3])), .array(.int32([1, 2])), .uint32(1))
    + changes("clip.use_silu", .uint32(1))

  @Test(arguments: impossible) func impossibleHyperparameters(change: Change) throws {
    let files = try TinyModel.files()
    var edited = try EditedModel(change.isVision ? files.projector : files.text)
    edited.set(change.key, change.value)
    let broken = try edited.write()
    let error = change.isVision ? loadingError(files.text, broken) : loadingError(broken, files.projector)
    #expect(error?.code == .invalidModel, "\(error?.description ?? "loads")")
    #expect(error?.description.contains(broken) == true, "\(error?.description ?? "loads")")
  }

  @Test func bothActivationsAtOnce() throws {
    let files = try TinyModel.files()
    var edited = try EditedModel(files.projector)
    edited.set("clip.use_gelu", .bool(true))
    edited.set("clip.use_silu", .bool(true))
    #expect(loadingError(files.text, try edited.write())?.message.contains("use_silu") == true)
  }
}
