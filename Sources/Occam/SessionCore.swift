import OccamCore
import OccamImages
import OccamModels
import OccamPruning
import OccamTensors
import OccamTokenizer

/// The state of a session; every method runs on the session's own queue.
final class SessionCore {
  let model: VisionLanguageModel
  let compute: Compute
  let contextLength: Int
  private(set) var cells: [LayerCells]
  private(set) var images: [SessionImage] = []
  var systemPrompt: String?
  private var messages: [ChatMessage] = []
  /// Prompt items whose keys and values `cells` hold, and whether any of their tokens was pruned away.
  private var cached: [PromptItem] = []
  private var cacheIsPruned = false
  private var lastWasRaw = false
  /// The position of the token being decoded: an array once, not once a token.
  private var decodePosition: [Int32] = [0]

  init(model: VisionLanguageModel, options: SessionOptions) throws(OccamError) {
    self.model = model
    let limit = model.decoder.shape.contextLength
    let wanted = options.contextLength ?? limit
    guard wanted >= 1 else { throw OccamError(.invalidOption, "context length", "\(wanted) is not positive") }
    contextLength = min(wanted, limit)
    if wanted > limit { Log.warning("the model was trained for \(limit) positions; the context is limited to that") }
    compute = Compute(kernels: model.kernels, team: model.team)
    let shape = model.decoder.shape
    let format: LayerCells.CellFormat =
      switch options.cells {
      case .f32: .f32
      case .f16: .f16
      case .q8_0: .q8_0
      }
    cells = (0..<shape.layers).map { _ in
      LayerCells(kvHeads: shape.kvHeads, headDimension: shape.headDimension, format: format)
    }
  }

  /// An image that did not come from a file.
  func show(_ image: SessionImage) { images.append(image) }

  func clear() {
    messages = []
    images = []
    lastWasRaw = false
    dropCache()
  }

  /// Like `clear`, but the cells of a text stay for a prompt that begins alike.
  private func forgetTurns() {
    messages = []
    guard !images.isEmpty else { return }
    images = []
    dropCache()
  }

  private func dropCache() {
    for layer in cells { layer.removeAll() }
    cached = []
    cacheIsPruned = false
  }

  func reply(
    _ text: String, _ sources: [ImageSource], _ options: GenerationOptions, _ onEvent: (GenerationEvent) -> Void,
    isCancelled: @escaping () -> Bool
  ) throws(OccamError) -> GenerationMetrics {
    let selector = try selector(options.pruning)
    return try reply(text, sources.map { .source($0) }, selector, options, onEvent, isCancelled: isCancelled)
  }

  /// An image of a turn, still a file or encoded already.
  enum Shown {
    case source(ImageSource)
    case encoded(EncodedPhoto)
  }

  /// - Parameter selector: in the place of what `options` say of pruning; nil prunes nothing.
  func reply(
    _ text: String, _ shown: [Shown], _ selector: (any VisualTokenSelector)?, _ options: GenerationOptions,
    _ onEvent: (GenerationEvent) -> Void, isCancelled: @escaping () -> Bool
  ) throws(OccamError) -> GenerationMetrics {
    let start = Clock.nanoseconds()
    var metrics = GenerationMetrics()
    compute.isCancelled = isCancelled
    defer { compute.isCancelled = { false } }
    // A raw prompt is a conversation of its own: no turn before or after it knows its images.
    if options.raw || lastWasRaw { forgetTurns() }
    lastWasRaw = options.raw
    let imagesBefore = images.count
    do throws(OccamError) {
      // Before the images cost anything.
      try options.raw ? Prompt.checkMarks(text, images: shown.count) : Prompt.refuseMarks(text)
      try addImages(shown, selector, onEvent, &metrics)
      let user = SessionCore.userMessage(text, images: shown.count)
      let prompt = options.raw ? try rawPrompt(text) : try chatPrompt(user)
      let logits = try prefill(prompt, selector, onEvent, &metrics)
      let generator = Generator(core: self, options: options, start: start)
      try generator.run(logits: logits, history: prompt.items, onEvent: onEvent, metrics: &metrics)
      // An answer that spells the marker shows no image: it would be counted as one in every later turn.
      let answer = Prompt.split(metrics.text).joined()
      if !options.raw { messages += [user, ChatMessage(role: "assistant", text: answer)] }
    } catch {
      images.removeSubrange(imagesBefore...)
      dropCache()
      throw error
    }
    finish(&metrics, isPruned: selector != nil, options)
    return metrics
  }

  // MARK: Prompt

  private func rawPrompt(_ text: String) throws(OccamError) -> Prompt {
    try Prompt(text, images: Array(images.indices), tokenizer: model.tokenizer)
  }

  /// Images first, then the question.
  private static func userMessage(_ text: String, images: Int) -> ChatMessage {
    ChatMessage(role: "user", content: Array(repeating: .image, count: images) + [.text(text)])
  }

  private func chatPrompt(_ user: ChatMessage) throws(OccamError) -> Prompt {
    let system = systemPrompt.map { [ChatMessage(role: "system", text: $0)] } ?? []
    let turns = system + messages + [user]
    let all = Array(0..<images.count)
    let rendered = try translating("chat template") {
      try model.chat.render(messages: turns, addGenerationPrompt: true)
    }
    var prompt = try Prompt(rendered, images: all, tokenizer: model.tokenizer)
    // What the prompt would be without this turn tells where the question starts.
    if turns.count > 1,
      let before = try? model.chat.render(messages: Array(turns.dropLast()), addGenerationPrompt: false),
      let older = try? Prompt(
        before, images: Array(all.dropLast(user.content.filter { $0 == .image }.count)), tokenizer: model.tokenizer)
    {
      prompt.questionStart = Prompt.common(older.items, prompt.items)
    }
    return prompt
  }

  // MARK: Images

  /// OccamToken with the settings asked for; nil when pruning is off.
  private func selector(_ options: GenerationOptions.Pruning) throws(OccamError) -> (any VisualTokenSelector)? {
    try settings(options).map(OccamTokenSelector.init)
  }

  /// The user's wishes, the calibration and the defaults, made concrete.
  func settings(_ options: GenerationOptions.Pruning) throws(OccamError) -> PruningSettings? {
    try translating("pruning") {
      try options.options.settings(layers: model.decoder.shape.layers, sidecar: model.sidecar)
    }
  }

  var pipeline: ImagePipeline {
    get throws(OccamError) {
      guard let encoder = model.encoder, let projector = model.projector else {
        throw OccamError.cannotSee(model.path)
      }
      return ImagePipeline(encoder: encoder, projector: projector, compute: compute)
    }
  }

  private func addImages(
    _ shown: [Shown], _ selector: (any VisualTokenSelector)?, _ onEvent: (GenerationEvent) -> Void,
    _ metrics: inout GenerationMetrics
  ) throws(OccamError) {
    guard !shown.isEmpty || !images.isEmpty else { return }
    let pipeline = try pipeline
    for note in selector?.settings.notes ?? [] { model.notesSaid.warnOnce(note) }
    let stageOne = StageOneSettings(selector)
    var timings = ImagePipeline.Timings()
    let total = images.filter { $0.settings != stageOne }.count + shown.count
    var done = 0
    func encode(_ name: String, _ bytes: [UInt8]) throws(OccamError) -> SessionImage {
      try withProgress({ onEvent(.encoding(image: done, of: total, fraction: $0)) }) {
        () throws(OccamError) in
        try pipeline.encode(name: name, bytes: bytes, selector: selector, timings: &timings)
      }
    }
    for index in images.indices where images[index].settings != stageOne {
      images[index] = try encode(images[index].name, images[index].bytes)
      done += 1
      dropCache()
    }
    for image in shown {
      switch image {
      case .source(let source): images.append(try encode(source.name, try ImagePipeline.read(source)))
      case .encoded(let photo): images.append(pipeline.project(photo, selector: selector, timings: &timings))
      }
      done += 1
    }
    metrics.timings.imageDecode = timings.decode
    metrics.timings.imageEncode = timings.encode
  }

  /// Hands the share done between layers to `report` while `body` runs.
  private func withProgress<R>(
    _ report: (Double) -> Void, _ body: () throws(OccamError) -> R
  ) throws(OccamError) -> R {
    let result: Result<R, OccamError> = withoutActuallyEscaping(report) { report in
      compute.progress = report
      defer { compute.progress = { _ in } }
      do throws(OccamError) { return .success(try body()) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func keepMap(_ index: Int) throws(OccamError) -> [UInt8] {
    guard images.indices.contains(index) else {
      throw OccamError(.invalidOption, "keep map", "the conversation has no image \(index + 1)")
    }
    let image = images[index]
    let photo = try translating(image.name) { try decodeImage(image.bytes, subject: image.name) }
    let stage1 = Set(image.stageOne.kept)
    let kept = Set(image.report?.keptIndices ?? image.stageOne.kept)
    let fates = (0..<image.stageOne.total).map { patch -> PatchFate in
      kept.contains(patch) ? .kept : stage1.contains(patch) ? .droppedStageII : .droppedStageI
    }
    return encodePNG(drawKeepMap(photo, grid: image.grid, fates: fates))
  }

  // MARK: Prefill

  /// Brings the cells to the prompt's state. What the cache holds of its beginning stays, except that pruned images are
  /// pruned anew for the new question, from S1.
  /// - Returns: logits after the prompt's last token.
  func prefill(
    _ prompt: Prompt, _ selector: (any VisualTokenSelector)?, _ onEvent: (GenerationEvent) -> Void,
    _ metrics: inout GenerationMetrics
  ) throws(OccamError) -> MatrixView<Float> {
    guard !prompt.items.isEmpty else { throw OccamError(.invalidOption, "prompt", "is empty") }
    let reused = reusableItems(prompt, pruned: selector != nil)
    let positions = reused.reduce(0) { $0 + width($1) }
    for layer in cells { layer.truncate(to: positions) }
    cached = Array(reused)
    let rows = PrefillRows(
      prompt.items[reused.count...], questionStart: prompt.questionStart, position: Int32(positions), images: images)
    let total = Int(rows.nextPosition)
    guard total < contextLength else {
      throw OccamError(
        .promptTooLong, "prompt", "needs \(total) positions and one to answer; the context holds \(contextLength)")
    }
    let start = Clock.nanoseconds()
    let driver = PrefillDriver(decoder: model.decoder, compute: compute, cells: cells)
    let logits = compute.view(.logits, rows: 1, columns: model.decoder.shape.vocabulary)
    let outcome = try withProgress({ onEvent(.prefill(tokens: rows.count, fraction: $0)) }) {
      () throws(OccamError) in
      try translating("prefill") {
        try compute.team.pass {
          let outcome = try driver.run(rows, images: images, selector: selector)
          model.decoder.logits(outcome.last, into: logits, compute: compute)
          return outcome
        }
      }
    }
    cached = prompt.items
    cached.reserveCapacity(contextLength)
    cacheIsPruned = selector != nil && !rows.spans.isEmpty
    if let selector { record(rows, outcome.keep, selector.settings) }
    metrics.rowsPerLayer = outcome.rowsPerLayer
    metrics.textRows = rows.tokens.count
    let elapsed = Clock.milliseconds(since: start)
    metrics.promptTokens = total
    metrics.cachedTokens = positions
    metrics.timings.prefill = elapsed
    metrics.timings.prefillTokensPerSecond = Double(total - positions) / max(elapsed, 1e-6) * 1000
    compute.trim()
    return logits
  }

  private func reusableItems(_ prompt: Prompt, pruned: Bool) -> ArraySlice<PromptItem> {
    var count = min(Prompt.common(cached, prompt.items), prompt.items.count - 1)
    if pruned || cacheIsPruned {
      let firstImage = prompt.items.firstIndex { if case .image = $0 { true } else { false } }
      count = min(count, firstImage ?? count)
    }
    return prompt.items[..<max(count, 0)]
  }

  private func width(_ item: PromptItem) -> Int {
    switch item {
    case .token: 1
    case .image(let index): images[index].stageOne.total
    }
  }

  private func record(_ rows: PrefillRows, _ keep: [KeepList], _ settings: PruningSettings) {
    for (span, list) in zip(rows.spans, keep) {
      images[span.image].report = ImagePruningReport(
        stageOne: images[span.image].stageOne, stageTwo: list, settings: settings)
    }
  }

  // MARK: Decoding

  /// Runs one token through all layers. - Returns: logits after it.
  func decode(_ token: Int32, position: Int) throws(OccamError) -> MatrixView<Float> {
    guard position < contextLength else {
      throw OccamError(.contextFull, "context", "is full (\(contextLength) positions)")
    }
    let shape = model.decoder.shape
    let hidden = compute.view(.residual, rows: 1, columns: shape.hidden)
    let logits = compute.view(.logits, rows: 1, columns: shape.vocabulary)
    decodePosition[0] = Int32(position)
    // Between passes, so that no pass allocates: every 64 tokens each layer takes another block.
    for layer in cells { layer.reserve(layer.count + 1) }
    try translating("decode") {
      try compute.team.pass {
        model.decoder.embed(token, into: hidden.row(0))
        try model.decoder.forward(
          layers: 0..<shape.layers, hidden: hidden, positions: decodePosition, cells: cells, compute: compute,
          scores: nil, lastRowOnly: true)
        model.decoder.logits(hidden, into: logits, compute: compute)
      }
    }
    cached.append(.token(token))
    return logits
  }

  func finish(
    _ metrics: inout GenerationMetrics, isPruned: Bool, _ options: GenerationOptions
  ) {
    let reports = images.enumerated().compactMap { index, image in image.report.map { (index, $0) } }
    if isPruned {
      metrics.pruning = reports.map { index, report in
        GenerationMetrics.Image(
          image: index, total: report.total, stage1: report.stage1, kept: report.kept, lambda1: report.lambda1,
          lambda2: report.lambda2, layer: report.layer, reference: report.reference.rawValue,
          keptIndices: report.keptIndices, stage1Indices: report.stage1Indices)
      }
      metrics.meanVisualTokensPerLayer =
        PruningReport(images: reports.map(\.1), layers: model.decoder.shape.layers).meanVisualTokensPerLayer
    } else {
      metrics.meanVisualTokensPerLayer = Double(images.reduce(0) { $0 + $1.stageOne.total })
    }
    metrics.timings.load = model.loadMilliseconds
    metrics.kvBytes = cells.reduce(0) { $0 + $1.byteCount }
    let positions = cached.reduce(0) { $0 + width($1) }
    metrics.kvBytesUnpruned = cells.reduce(0) { $0 + $1.byteCount(forCells: positions) }
    metrics.weightsBytes = model.weightsBytes
    metrics.peakResidentBytes = ProcessMemory.peakResidentBytes()
    metrics.kernel = model.kernel
    metrics.threads = model.threads
    metrics.seed = options.seed
  }

  // MARK: Calibration and comparing numerics

  /// Stage II's scores of one image and question, with everything of S1 kept.
  func stageTwoScores(
    _ question: String, _ image: Shown, _ selector: any VisualTokenSelector
  ) throws(OccamError) -> TokenScores? {
    clear()
    var metrics = GenerationMetrics()
    try addImages([image], selector, { _ in }, &metrics)
    let prompt = try chatPrompt(SessionCore.userMessage(question, images: 1))
    let rows = PrefillRows(prompt.items[...], questionStart: 0, position: 0, images: images)
    let driver = PrefillDriver(decoder: model.decoder, compute: compute, cells: cells)
    let outcome = try translating("prefill") {
      try compute.team.pass { try driver.run(rows, images: images, selector: selector) }
    }
    clear()
    return outcome.scores.first
  }

  func logits(
    _ text: String, _ sources: [ImageSource], _ continuation: [Int32], _ pruning: GenerationOptions.Pruning
  ) throws(OccamError) -> [[Float]] {
    clear()
    let selector = try selector(pruning)
    var metrics = GenerationMetrics()
    try addImages(sources.map { .source($0) }, selector, { _ in }, &metrics)
    let prompt = try rawPrompt(text)
    lastWasRaw = true
    var rows = [copy(try prefill(prompt, selector, { _ in }, &metrics))]
    for (index, token) in continuation.enumerated() {
      rows.append(copy(try decode(token, position: metrics.promptTokens + index)))
    }
    return rows
  }

  func imageEmbeddings(_ source: ImageSource) throws(OccamError) -> [[Float]] {
    clear()
    var metrics = GenerationMetrics()
    try addImages([.source(source)], nil, { _ in }, &metrics)
    let image = images[0]
    clear()
    let view = MatrixView(image.embeddings, rows: image.stageOne.total, columns: model.decoder.shape.hidden)
    return (0..<view.rows).map { copy(view.slice(rows: $0..<($0 + 1))) }
  }

  private func copy(_ row: MatrixView<Float>) -> [Float] {
    Array(UnsafeBufferPointer(start: row.row(0), count: row.columns))
  }
}
