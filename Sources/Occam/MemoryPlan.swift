import OccamCore
import OccamGGUF
import OccamModels
import OccamQuantFormats
import OccamTensors

/// What a model will need, computed from its files' headers alone; nothing is loaded.
public struct MemoryPlan: Sendable {
  public let textWeightsBytes: Int
  public let visionWeightsBytes: Int
  /// Of the draft model; 0: there is none.
  public let draftWeightsBytes: Int
  /// Whether the vision weights are in memory only while pictures are encoded (`ModelOptions.lowMemory`).
  public let lowMemory: Bool
  /// KV bytes one token costs over all layers that store it, while sliding windows are not full.
  public let kvBytesPerToken: Int
  public let layers: Int
  /// Visual tokens of one image, unpruned; 0 for a text-only model.
  public let visualTokens: Int
  public let contextLength: Int
  /// Largest activations of a prefill of the images and 64 text tokens, and of the encoder.
  public var activationBytes: Int { activationBytes(textTokens: 64) }
  /// MemAvailable of this machine; nil where it cannot be read.
  public let availableBytes: Int?
  private let text: TextShape
  private let vision: VisionPlan?
  private let layouts: [PictureLayout]
  /// A calibration names register neurons.
  private let movesActivations: Bool
  private let formats: KVCacheFormats
  /// The draft model's sizes, and the guesses of a pass.
  private let draft: TextShape?
  private let guesses: Int

  /// - Parameters:
  ///   - options: how the model would be loaded.
  ///   - images: planned for; their headers are read. Empty: one large square photo.
  public init(
    path: String, projector: String? = nil, session: SessionOptions = SessionOptions(),
    options: ModelOptions = ModelOptions(), speculation: Speculation = Speculation(), images: [ImageSource] = []
  ) throws(OccamError) {
    let files = try ModelFiles(path: path, projector: projector)
    var layouts: [PictureLayout]?
    if !images.isEmpty, let file = files.projector {
      let plan = try MemoryPlan.visionPlan(file, options)
      layouts = []
      for image in images { layouts?.append(try ImagePipeline.layout(of: image, plan.processor)) }
    }
    try self.init(files, session, options, layouts, speculation)
  }

  private static func visionPlan(_ file: GGUFFile, _ options: ModelOptions) throws(OccamError) -> VisionPlan {
    try translating(file.subject) { try ModelRegistry.visionPlan(file).limited(to: options.imageTokens) }
  }

  /// - Parameter layouts: of the images planned for; nil: of one large square photo.
  init(
    _ files: ModelFiles, _ session: SessionOptions, _ options: ModelOptions, _ layouts: [PictureLayout]? = nil,
    _ speculation: Speculation = Speculation()
  ) throws(OccamError) {
    let path = files.text.subject
    let text = try translating(path) { try ModelRegistry.textShape(files.text) }
    let vision = try files.projector.map { file throws(OccamError) in try MemoryPlan.visionPlan(file, options) }
    let loader = WeightLoader.dry(files.text)
    textWeightsBytes = try translating(path) { try ModelRegistry.textDecoder(loader).weightBytes } + loader.mappedBytes
    visionWeightsBytes = try translating(path) {
      guard let file = files.projector else { return 0 }
      let loader = WeightLoader.dry(file)
      loader.requantizesFloats = options.encoderType.format
      return try ModelRegistry.vision(loader).weightBytes
    }
    let draftFile = try options.draftModel.map { draft throws(OccamError) in
      try DraftModel.open(draft, for: path, try VisionLanguageModel.tokenizer(files.text, text))
    }
    draft = try draftFile.map { file throws(OccamError) in
      try translating(file.subject) { try ModelRegistry.textShape(file) }
    }
    draftWeightsBytes =
      try draftFile.map { file throws(OccamError) in
        let loader = WeightLoader.dry(file)
        return try translating(file.subject) { try ModelRegistry.textDecoder(loader).weightBytes } + loader.mappedBytes
      } ?? 0
    guesses = speculation.mostGuesses(hasDraftModel: draft != nil)
    lowMemory = options.lowMemory
    self.text = text
    formats = session.cacheFormats
    kvBytesPerToken = MemoryPlan.kvBytesPerToken(text, formats)
    layers = text.layers
    let layouts = layouts ?? vision.map { [$0.processor.layout(width: 1024, height: 1024)] } ?? []
    visualTokens = layouts.reduce(0) { $0 + $1.imageTokens }
    contextLength = min(session.contextLength ?? text.contextLength, text.contextLength)
    self.vision = vision
    self.layouts = layouts
    movesActivations = try VisionLanguageModel.readSidecar(options, files) != nil
    availableBytes = MemoryPlan.available()
  }

  /// Of a conversation with a model that is loaded.
  /// - Parameter images: their headers are read.
  init(
    _ model: VisionLanguageModel, _ session: SessionOptions, _ speculation: Speculation, images: [ImageSource]
  ) throws(OccamError) {
    let plan = model.vision?.plan
    var layouts: [PictureLayout] = []
    for image in images {
      guard let plan else { throw OccamError.cannotSee(model.path) }
      layouts.append(try ImagePipeline.layout(of: image, plan.processor))
    }
    text = model.decoder.shape
    formats = session.cacheFormats
    vision = plan
    self.layouts = layouts
    textWeightsBytes = model.decoder.weightBytes
    visionWeightsBytes = model.vision?.weightBytes ?? 0
    draft = model.parts.draft?.decoder.shape
    draftWeightsBytes = model.parts.draft?.decoder.weightBytes ?? 0
    guesses = speculation.mostGuesses(hasDraftModel: draft != nil)
    lowMemory = model.parts.vision.map { !$0.isKept } ?? false
    kvBytesPerToken = MemoryPlan.kvBytesPerToken(text, formats)
    layers = text.layers
    visualTokens = layouts.reduce(0) { $0 + $1.imageTokens }
    contextLength = min(session.contextLength ?? text.contextLength, text.contextLength)
    movesActivations = model.sidecar != nil
    availableBytes = nil
  }

  /// Of a whole block: that is what a cache takes at a time.
  private static func kvBytesPerToken(_ text: TextShape, _ formats: KVCacheFormats) -> Int {
    text.states.reduce(0) { sum, state in
      guard case .attention(let shape) = state else { return sum }
      return sum + shape.byteCount(entries: 64, formats: formats) / 64
    }
  }

  /// Most that activations take at a time while a prompt of the images and `textTokens` of text is processed: a budget that
  /// a session stays below. Weights, states and the packed pictures are not in it.
  public func activationBytes(textTokens: Int) -> Int {
    let scratch = 1 << 22
    // The draft model reads no images. Logits of guesses are the session's, and those of a pass with others.
    let drafting = draft.map { scratch / 4 + decoderFloats($0, visual: 0, text: textTokens) } ?? 0
    return scratch
      + 4 * max(decoderFloats(text, visual: visualTokens, text: textTokens), vision.map(encoderFloats) ?? 0)
      + 4 * (drafting + 2 * guesses * text.vocabulary)
  }

  /// A chunk's rows through a layer; hidden states of all rows and stage II's scores where images are pruned.
  private func decoderFloats(_ text: TextShape, visual: Int, text textTokens: Int) -> Int {
    let rows = visual + textTokens
    let chunk = min(rows, PrefillDriver.chunk + (text.imagesAreBidirectional ? visual : 0))
    let widths = (0..<text.layers).compactMap { text.attention($0) }.map {
      2 * text.heads * $0.headDimension + 2 * $0.kvHeads * $0.headDimension
    }
    let width = max(widths.max() ?? 0, text.mixerWidth)
    let kept = text.readsInputs ? 2 : 1
    let all = visual > 0 ? kept * rows * text.hidden + textTokens * visual : chunk * text.hidden
    let inside =
      text.experts?.activationFloats(rows: rows, hidden: text.hidden) ?? min(rows, 256) * 5 * text.feedForward / 2
    return all + chunk * (2 * text.hidden + width) + chunk * text.hidden / 2 + inside + text.vocabulary
      + chunk * text.layerInputs
  }

  /// Of the largest tile, with keys and values as attention reads them and packed inputs of products; of all tiles the
  /// features, and their tokens once more while they are projected.
  private func encoderFloats(_ vision: VisionPlan) -> Int {
    let shape = vision.shape
    let patches = (layouts.flatMap(\.tiles).map { vision.patches(of: $0) }.max() ?? 0) + 2
    // Without a class token stage I reads the attention of every patch, a few rows at a time.
    let scores = shape.hasClassToken ? patches : 64 * patches
    // Register neurons compare the values of all patches, gate and product both; else a part of the rows is enough.
    let expanded = movesActivations ? patches : min(patches, EncoderLimits.rowsPerStep)
    let kept = visualTokens * (vision.merge.width(hidden: shape.hidden) + vision.outputs)
    return patches * (10 * shape.hidden + 6 * shape.patchSize * shape.patchSize) + expanded * 5 * shape.feedForward / 2
      + scores + kept
  }

  /// KV bytes of a conversation of `tokens` tokens, as the caches allocate them: whole blocks, windows no longer than
  /// they are.
  public func kvBytes(tokens: Int) -> Int {
    let drafted = draft?.stateBytes(tokens: max(tokens - visualTokens, 0), formats: formats) ?? 0
    return text.stateBytes(tokens: tokens, formats: formats) + guesses * text.rowBytes + drafted
  }

  /// Vision weights that pictures bring into memory with them, and that go before their prompt is processed.
  var passingBytes: Int { lowMemory && !layouts.isEmpty ? visionWeightsBytes : 0 }

  /// Most at a time of weights, activations and the KV cells of one unpruned image with 64 text tokens and 256 answered
  /// ones. In low memory the vision weights are gone before the first cell is there.
  public var totalBytes: Int {
    let entries = kvBytes(tokens: min(visualTokens + 320, contextLength))
    return textWeightsBytes + draftWeightsBytes + activationBytes
      + (lowMemory ? max(visionWeightsBytes, entries) : visionWeightsBytes + entries)
  }

  /// The plan as lines of text.
  /// - Parameter visualBudget: visual tokens to plan for beside the unpruned ones.
  public func lines(visualBudget: Int? = nil) -> [String] {
    let budget = min(visualBudget ?? 64, visualTokens)
    var lines = [
      "text weights        \(pad(mebibytes(textWeightsBytes), 10)) MiB",
      "vision weights      \(pad(mebibytes(visionWeightsBytes), 10)) MiB"
        + (lowMemory ? "  while pictures are encoded" : ""),
      "activations         \(pad(mebibytes(activationBytes), 10)) MiB",
      "KV cells            \(pad(fixed(Double(kvBytesPerToken) / 1024, 1), 10)) KiB a token, \(layers) layers",
    ]
    if draft != nil {
      lines.insert("draft weights       \(pad(mebibytes(draftWeightsBytes), 10)) MiB", at: 2)
    }
    if visualTokens > 0 {
      let text = 320
      lines.append(
        "  one image unpruned\(pad(mebibytes(kvBytes(tokens: visualTokens + text)), 10)) MiB"
          + "  (\(visualTokens) visual + \(text) text tokens)")
      lines.append(
        "  one image pruned  \(pad(mebibytes(kvBytes(tokens: budget + text)), 10)) MiB"
          + "  (\(budget) visual + \(text) text tokens)")
    }
    lines.append("  context full      \(pad(mebibytes(kvBytes(tokens: contextLength)), 10)) MiB  (\(contextLength))")
    lines.append("total, one image    \(pad(mebibytes(totalBytes), 10)) MiB")
    if let availableBytes {
      let verdict = totalBytes <= availableBytes ? "fits" : "does not fit"
      lines.append("available here      \(pad(mebibytes(availableBytes), 10)) MiB  -> \(verdict)")
    }
    return lines
  }

  private static func available() -> Int? {
    guard let content = try? Files.read("/proc/meminfo", limit: 1 << 16) else { return nil }
    for line in String(decoding: content, as: UTF8.self).split(separator: "\n") where line.hasPrefix("MemAvailable:") {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }
    return nil
  }
}
