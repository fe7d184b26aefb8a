import Occam
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamMatmul
import OccamPruning
import OccamTestSupport
import Testing

/// What HostileModelTests and BadModelTests hold of LLaVA-1.5, of the families beside it: no file traps the process,
/// and what is refused is refused by name.
@Suite(.serialized) struct HostileFamilyTests {
  @Test(arguments: TinyFamily.allCases) func theTinyModelsThemselvesRun(family: TinyFamily) throws {
    let files = try family.files()
    try TinyFamily.ask(TinyModel.load(files.text, files.projector))
  }

  // MARK: Metadata

  private static let values: [GGUFValue] = [
    .uint32(0), .uint32(1), .uint32(2), .uint32(3), .uint32(63), .uint32(.max), .int64(-1), .int64(.min), .uint64(.max),
    .float32(0),
    .float32(.nan), .float32(.leastNonzeroMagnitude), .float32(.greatestFiniteMagnitude), .bool(true), .string(""),
    .array(.bool([false, true])), .array(.bool([true, true])),
    .array(.int32([])), .array(.int32([-1, 7])), .array(.float32([.nan, 1, 2])), .array(.string(GGUFStrings(["x"]))),
  ]

  /// Keys that the tiny files leave out.
  private static func unnamed(_ family: TinyFamily, isProjector: Bool) -> [String] {
    isProjector
      ? [
        "clip.vision.feature_layer", "clip.use_silu", "clip.vision.image_grid_pinpoints", "clip.vision.n_wa_pattern",
        "clip.vision.fullatt_block_indexes", "clip.vision.window_size", "clip.vision.spatial_merge_size",
      ]
      : [
        "rope.scaling.type", "rope.freq_base_swa", "final_logit_softcapping", "expert_count", "vocab_size",
        "n_deepstack_layers", "nextn_predict_layers", "attention.recurrent_layers",
        "expert_gating_func", "expert_weights_scale", "expert_weights_norm", "expert_group_count",
        "expert_shared_feed_forward_length", "attention.sliding_window", "attention.causal",
      ].map { "\(family.prefix).\($0)" }
  }

  /// Each key with each of these values, and without the key: refused with an error, or it runs.
  @Test(arguments: TinyFamily.allCases, [false, true]) func everyKeyWithHostileValues(
    family: TinyFamily, isProjector: Bool
  ) throws {
    let files = try family.files()
    guard let path = isProjector ? files.projector : files.text else { return }
    var tried = 0
    for key in try EditedModel(path).keys + HostileFamilyTests.unnamed(family, isProjector: isProjector) {
      for value in HostileFamilyTests.values.map({ Optional($0) }) + [nil] {
        var edited = try EditedModel(path)
        edited.set(key, value)
        let changed: String
        do { changed = try edited.write() } catch is GGUFError { continue }
        let (text, projector) = isProjector ? (files.text, changed) : (changed, files.projector)
        tried += 1
        _ = try? MemoryPlan(path: text, projector: projector).lines()
        let model: VisionLanguageModel
        do {
          model = try TinyModel.load(text, projector)
        } catch let error as OccamError {
          // Beside the changed file, a pair may be at fault, or the template.
          let isKnown = [.invalidModel, .unsupportedModel, .mismatch, .template].contains(error.code)
          #expect(isKnown && (error.description.contains(changed) || error.code == .template), "\(key): \(error)")
          continue
        }
        do { try TinyFamily.ask(model) } catch is OccamError {}
      }
    }
    #expect(tried > 300)
  }

  struct Change: Sendable, CustomTestStringConvertible {
    let family: TinyFamily
    let key: String
    let value: GGUFValue
    var testDescription: String { "\(family.rawValue): \(key) = \(value)" }
  }

  private static func changes(_ family: TinyFamily, _ key: String, _ values: GGUFValue...) -> [Change] {
    values.map { Change(family: family, key: key, value: $0) }
  }

  static let impossible: [Change] =
    changes(
      .smolVLM, "clip.vision.projector.scale_factor", .uint32(0), .uint32(3), .uint32(65), .int32(-2), .uint64(.max),
      .string("2"), .float32(2))
    + changes(
      .smolVLM, "clip.vision.preproc_image_size", .uint32(0), .int32(-96), .uint32(32_769), .uint64(.max),
      .string("96"), .array(.int32([96])),
      // 128 x 128 tiles of 32 pixels, and 17 x 17.
      .uint32(32_768), .uint32(513))
    + changes(.gemma3, "clip.vision.projector.scale_factor", .uint32(0), .uint32(3), .uint32(65))
    + changes(
      .gemma3, "gemma3.attention.sliding_window", .int32(-1), .int64(.min), .uint64(1 << 40), .string("4"),
      .float32(.nan))
    + changes(
      .gemma3, "gemma3.rope.freq_base_swa", .float32(0), .float32(-1), .float32(.nan), .float32(.infinity),
      .string("1"))
    + changes(
      .llavaNeXT, "clip.vision.image_grid_pinpoints", .array(.int32([28])), .array(.int32([28, 56, 28])),
      .array(.int32([0, 28])), .array(.int32([-28, 28])), .array(.int32([28, 42])), .array(.int32([28, 16_408])),
      .array(.int32(Array(repeating: 28, count: 130))), .array(.string(GGUFStrings(["28", "56"]))),
      .array(.float32([28, 56])), .string("28"),
      // 16 x 16 tiles and the overview.
      .array(.int32([448, 448])))
    + changes(.internVL, "clip.vision.projector.scale_factor", .uint32(0), .uint32(3), .uint32(65), .string("2"))
    + changes(
      .internVL, "clip.vision.preproc_min_tiles", .uint32(0), .uint32(5), .int32(-1), .uint64(.max), .string("1"),
      .array(.int32([1])))
    + changes(
      // 256 tiles and an overview are one too many.
      .internVL, "clip.vision.preproc_max_tiles", .uint32(0), .int32(-4), .uint32(256), .uint32(257), .uint64(.max),
      .float32(4))
    + changes(.qwen3, "qwen3.attention.key_length", .uint32(0), .uint32(15), .uint32(514), .uint64(.max))
    + changes(.qwen3, "qwen3.rope.freq_base", .float32(0), .float32(.nan))
    + changes(
      .gemma4, "gemma4.attention.sliding_window_pattern", .array(.bool([])), .array(.bool([true, false, true])),
      .array(.int32([1, 0, 1, 0])), .bool(true))
    + changes(
      .gemma4, "gemma4.attention.head_count_kv", .uint32(3), .array(.int32([2, 1, 2])),
      .array(.int32([2, 1, 2, 0])), .array(.int32([2, 1, 2, 3])), .string("2"))
    + changes(
      .gemma4, "gemma4.feed_forward_length", .array(.int32([96, 96, 192])), .array(.int32([96, 96, 192, -1])),
      .array(.uint32([96, 96, 192, .max])))
    + changes(.gemma4, "gemma4.attention.shared_kv_layers", .int32(-1), .uint32(4), .uint64(.max), .string("2"))
    + changes(.gemma4, "gemma4.embedding_length_per_layer_input", .int32(-1), .uint32(65_537))
    + changes(.gemma4, "gemma4.attention.key_length", .uint32(514), .uint32(33), .uint32(0))
    + changes(.gemma4, "gemma4.attention.key_length_swa", .uint32(514), .uint32(15))
    + changes(.gemma4, "gemma4.rope.dimension_count", .uint32(34), .uint32(3))
    + changes(.gemma4, "gemma4.rope.dimension_count_swa", .uint32(18), .uint32(0))
    + changes(.gemma4, "gemma4.final_logit_softcapping", .float32(-1), .float32(.nan), .float32(.infinity))
    + changes(.gemma4, "tokenizer.ggml.padding_token_id", .uint32(1 << 20), .int32(-1))
    + changes(
      .qwen25VL, "clip.vision.n_wa_pattern", .int32(-1), .uint32(257), .uint64(.max), .string("2"), .float32(2))
    + changes(
      .qwen25VL, "clip.vision.fullatt_block_indexes", .array(.int32([])), .array(.int32([-1])),
      .array(.int32([1, 256])), .array(.float32([1])), .string("1"))
    + changes(
      .qwen25VL, "clip.vision.window_size", .uint32(0), .uint32(27), .uint32(16_385), .int32(-112), .uint64(.max),
      .string("112"))
    + changes(.qwen2VL, "clip.vision.spatial_merge_size", .uint32(0), .uint32(5), .int32(-2), .string("2"))
    // 46 pixels a side, 16,384 times.
    + changes(.qwen2VL, "clip.vision.patch_size", .uint32(23))
    + changes(.qwen3VL, "clip.vision.spatial_merge_size", .uint32(0), .uint32(5), .int32(-2), .string("2"))
    + changes(
      .qwen3VL, "clip.vision.is_deepstack_layers", .array(.bool([true])), .array(.bool([])),
      .array(.bool([true, true, true])), .array(.int32([1, 1])), .bool(true), .string("11"))
    + changes(.qwen3VL, "clip.vision.patch_size", .uint32(23))
    + changes(
      .gemma4, "clip.vision.projector.scale_factor", .uint32(0), .uint32(17), .int32(-3), .uint64(.max), .string("3"))
    + changes(.qwen3VL, "qwen3vl.n_deepstack_layers", .uint32(3), .int32(-1), .uint64(.max), .string("2"))
    + changes(
      .qwen3VL, "qwen3vl.rope.dimension_sections", .array(.int32([3, 3])), .array(.int32([3, 3, 3, 0])),
      .array(.int32([-1, 6, 3, 0])), .array(.int32([3, 3, 1, 1])), .array(.int32([])), .uint32(8), .string("332"))
    + changes(.qwen35, "qwen35.ssm.conv_kernel", .uint32(0), .uint32(65), .int32(-4), .uint64(.max), .string("4"))
    // There are four value heads.
    + changes(.qwen35, "qwen35.ssm.group_count", .uint32(0), .uint32(3), .int32(-1), .uint64(.max), .float32(2))
    + changes(.qwen35, "qwen35.ssm.time_step_rank", .uint32(0), .uint32(1025), .int32(-4), .uint64(.max))
    + changes(.qwen35, "qwen35.ssm.state_size", .uint32(0), .uint32(513), .int32(-8), .uint64(.max))
    + changes(.qwen35, "qwen35.ssm.inner_size", .uint32(0), .uint32(31), .uint64(.max), .string("32"))
    + changes(
      .qwen35, "qwen35.full_attention_interval", .uint32(0), .uint32(3), .int32(-2), .uint64(.max), .string("2"))
    + changes(.qwen35, "qwen35.nextn_predict_layers", .uint32(2), .int32(-1), .uint64(.max), .string("1"))
    + changes(
      .qwen35, "qwen35.attention.recurrent_layers", .array(.bool([true])), .array(.bool([])), .array(.int32([1, 0])),
      .bool(true), .string("10"))
    + changes(
      .qwen35, "qwen35.rope.dimension_sections", .array(.int32([3, 3, 2])), .array(.int32([2, 1])), .uint32(4))
    + changes(
      .lfm2, "lfm2.shortconv.l_cache", .uint32(0), .uint32(1), .uint32(65), .int32(-3), .uint64(.max), .string("3"))
    // One number a layer; there are four query heads.
    + changes(
      .lfm2, "lfm2.attention.head_count_kv", .array(.int32([])), .array(.int32([2])), .array(.int32([0, 0])),
      .array(.int32([0, 3])), .array(.int32([-1, 2])), .array(.int32([0, 2, 2])), .array(.float32([0, 2])), .uint32(0),
      .uint32(3), .string("2"))
    + changes(.lfm2, "lfm2.attention.sliding_window", .int32(-1), .uint64(1 << 40), .string("4"))
    + changes(.lfm2, "lfm2.attention.causal", .string("yes"))
    + changes(
      .lfm2, "clip.vision.projector.scale_factor", .uint32(0), .uint32(3), .uint32(65), .int32(-2), .string("2"))
    // Pictures of up to three million patches.
    + changes(.lfm2, "clip.vision.patch_size", .uint32(1))

  @Test(arguments: impossible) func impossibleHyperparameters(change: Change) throws {
    let files = try change.family.files()
    let isVision = change.key.hasPrefix("clip.")
    var edited = try EditedModel(isVision ? try #require(files.projector) : files.text)
    edited.set(change.key, change.value)
    let broken = try edited.write()
    let error = isVision ? loadingError(files.text, broken) : loadingError(broken, files.projector)
    #expect(error?.code == .invalidModel, "\(error?.description ?? "loads")")
    #expect(error?.description.contains(broken) == true, "\(error?.description ?? "loads")")
    // A head's size is named by what it is.
    let names = [change.key] + (change.key.hasSuffix("key_length") ? ["head size"] : [])
    #expect(names.contains { error?.description.contains($0) == true }, "\(error?.description ?? "loads")")
  }

  /// At the limit all is well: 15 x 15 tiles and an overview; windows of one position and of more than any context, of
  /// one token and of more than any picture, in all layers and in none; feed-forwards whose width no key tells; a context
  /// of a billion positions costs nothing until it is used.
  @Test func extremesThatRun() throws {
    let extremes =
      HostileFamilyTests.changes(.smolVLM, "clip.vision.preproc_image_size", .uint32(1), .uint32(480))
      + HostileFamilyTests.changes(.gemma3, "gemma3.attention.sliding_window", .uint32(0), .uint32(1), .uint32(1 << 30))
      + HostileFamilyTests.changes(.qwen3, "qwen3.context_length", .uint32(1 << 30))
      // Marks for layers that are not there, all false.
      + HostileFamilyTests.changes(
        .qwen3VL, "clip.vision.is_deepstack_layers", .array(.bool([true, true, false, false])))
      + HostileFamilyTests.changes(.gemma3, "gemma3.context_length", .uint32(1 << 30))
      + HostileFamilyTests.changes(.qwen25VL, "clip.vision.n_wa_pattern", .uint32(0), .uint32(1), .uint32(256))
      + HostileFamilyTests.changes(
        .qwen25VL, "clip.vision.fullatt_block_indexes", .array(.int32([0])), .array(.int32([1, 1, 255])),
        .array(.int32([255])))
      + HostileFamilyTests.changes(.qwen25VL, "clip.vision.window_size", .uint32(28), .uint32(1 << 14))
      + HostileFamilyTests.changes(.qwen2VL, "clip.vision.feed_forward_length", .uint32(0))
      + HostileFamilyTests.changes(.lfm2, "lfm2.attention.sliding_window", .uint32(0), .uint32(1), .uint32(1 << 30))
    for change in extremes {
      let files = try change.family.files()
      let isVision = change.key.hasPrefix("clip.")
      var edited = try EditedModel(isVision ? try #require(files.projector) : files.text)
      edited.set(change.key, change.value)
      let changed = try edited.write()
      let (text, projector) = isVision ? (files.text, changed) : (changed, files.projector)
      let model = try TinyModel.load(text, projector)
      // 226 tiles of 4 tokens are more than the context holds, which is said before any is encoded.
      if change.value == .uint32(480) {
        let error = #expect(throws: OccamError.self) {
          try model.makeSession().respond(to: "What?", images: [TinyFamily.picture]) { event in
            if case .encoding = event { Issue.record("encoded") }
          }
        }
        #expect(error?.code == .promptTooLong)
      } else {
        try TinyFamily.ask(model)
      }
      _ = try MemoryPlan(path: text, projector: projector).lines()
    }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity, 1e-20]) func decayThatGrowsIsRefused(value: Float) throws {
    let files = try TinyFamily.qwen35.files()
    var edited = try EditedModel(files.text)
    let count = try #require(edited.tensors.first { $0.name == "blk.0.ssm_a" }).elementCount
    let numbers = [Float](repeating: -1, count: count - 1) + [value]
    try edited.replace(tensor: "blk.0.ssm_a", data: numbers.flatMap { withUnsafeBytes(of: $0) { Array($0) } })
    let error = loadingError(try edited.write(), files.projector)
    #expect(error?.code == .invalidModel && error?.message.contains("blk.0.ssm_a") == true)
  }

  @Test func cappedLogitsAreRefused() throws {
    let files = try TinyFamily.gemma3.files()
    var edited = try EditedModel(files.text)
    edited.set("gemma3.final_logit_softcapping", .float32(30))
    let error = loadingError(try edited.write(), files.projector)
    #expect(error?.code == .unsupportedModel && error?.message.contains("final_logit_softcapping") == true)
  }

  @Test func modelsThatLookAheadAreRefused() throws {
    let files = try TinyFamily.lfm2.files()
    var edited = try EditedModel(files.text)
    edited.set("lfm2.attention.causal", .bool(false))
    let error = loadingError(try edited.write(), files.projector)
    #expect(error?.code == .unsupportedModel && error?.message.contains("lfm2.attention.causal") == true)
  }

  @Test func aClassTokenBesideAnySizeIsRefused() throws {
    let files = try TinyFamily.lfm2.files()
    var edited = try EditedModel(try #require(files.projector))
    try edited.replace(tensor: "v.patch_embd.bias", by: "v.class_embd")
    let error = loadingError(files.text, try edited.write())
    #expect(error?.code == .invalidModel && error?.message.contains("v.class_embd") == true)
  }

  // MARK: Tensors

  /// Whether a model is one without it: a tied output, a bias of zero, LLaVA's and SigLIP's norms round the encoder.
  private static func isOptional(_ name: String) -> Bool {
    name == "output.weight" || ["attn_q.bias", "attn_k.bias", "attn_v.bias"].contains { name.hasSuffix($0) }
      || name.hasSuffix(".bias") && !["ln1", "ln2", "pre_ln", "post_ln"].contains { name.contains($0) }
      || ["attn_q_norm.weight", "attn_k_norm.weight"].contains { name.hasSuffix($0) }
  }

  /// The same of Gemma 4's text model: rotation without divisors, values that are keys, layers without a factor.
  private static func isOptionalOfGemma4(_ name: String) -> Bool {
    name == "rope_freqs.weight"
      || ["attn_v.weight", "layer_output_scale.weight"].contains { name.hasPrefix("blk.") && name.hasSuffix($0) }
  }

  @Test(arguments: TinyFamily.allCases, [false, true]) func missingTensors(
    family: TinyFamily, isProjector: Bool
  ) throws {
    let files = try family.files()
    guard let path = isProjector ? files.projector : files.text else { return }
    for tensor in try EditedModel(path).tensors {
      var edited = try EditedModel(path)
      edited.remove(tensor: tensor.name)
      let broken = try edited.write()
      let error = isProjector ? loadingError(files.text, broken) : loadingError(broken, files.projector)
      if HostileFamilyTests.isOptional(tensor.name), error == nil { continue }
      if family == .gemma4, HostileFamilyTests.isOptionalOfGemma4(tensor.name), error == nil { continue }
      // Of a norm round the encoder both halves, or none: without its weight the bias is left over.
      if ["v.post_ln.weight", "v.pre_ln.weight", "mm.input_norm.weight"].contains(tensor.name), error == nil {
        continue
      }
      let isKnown =
        error.map { [.invalidModel, .mismatch].contains($0.code) && $0.description.contains(broken) } ?? false
      #expect(isKnown, "\(tensor.name): \(error?.description ?? "loads")")
      let named = tensor.name == "v.class_embd" ? "v.position_embd.weight" : tensor.name
      #expect(error?.message.contains(named) == true, "\(error?.description ?? "")")
    }
  }

  @Test(arguments: TinyFamily.allCases, [false, true]) func wrongShapes(family: TinyFamily, isProjector: Bool) throws {
    let files = try family.files()
    guard let path = isProjector ? files.projector : files.text else { return }
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
      }
    }
  }

  // MARK: Weights

  /// Divisors and limits (Gemma 4), and decay that would let states grow (Qwen3.5), which are checked while loading.
  private static func isChecked(_ name: String) -> Bool {
    name == "rope_freqs.weight" || ["put_min", "put_max", ".ssm_a"].contains { name.hasSuffix($0) }
  }

  /// Weights that are no numbers, with every kernel set, with and without a register.
  @Test(arguments: TinyFamily.allCases) func weightsThatAreNoNumbers(family: TinyFamily) throws {
    for type in [FixtureType.f16, .q8_0, .q4_0] {
      let files = try family.files(type)
      for byte in [0xFF, 0x7F, 0x00] as [UInt8] {
        for (fillsText, fillsProjector) in [(true, false), (false, true), (true, true)] {
          if fillsProjector, files.projector == nil { continue }
          var model = try EditedModel(files.text)
          if fillsText { try model.fill(byte, except: HostileFamilyTests.isChecked) }
          let path = try model.write()
          var projector = files.projector
          if fillsProjector, let other = projector {
            var encoder = try EditedModel(other)
            try encoder.fill(byte, except: HostileFamilyTests.isChecked)
            projector = try encoder.write()
          }
          try TinyFamily.ask(TinyModel.load(path, projector))
          let sidecar = try projector.map(HostileFamilyTests.sidecar)
          for set in KernelSet.available() {
            try TinyFamily.ask(TinyModel.load(path, projector, kernel: set.name, sidecar: sidecar), cells: .q8_0)
          }
        }
      }
    }
  }

  private static func sidecar(_ projector: String) throws -> String {
    let path = "\(TemporaryFolder.make())/sidecar.json"
    let plan = RegisterPlan([.init(layer: 0, channel: 1), .init(layer: 1, channel: 1 << 24)])
    try Sidecar(
      model: VisionLanguageModel.fingerprint(try GGUFFile(path: projector)), plan: plan, lambda1: 0.1, textLayer: 60
    ).write(to: path)
    return path
  }
}
