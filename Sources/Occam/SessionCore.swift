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
  let imageReading: ImageReading
  let states: SequenceState
  var images: [SessionImage] = []
  var systemPrompt: String?
  var messages: [ChatMessage] = []
  /// Prompt items whose traces `states` hold, and whether any of their tokens was pruned away.
  var cached: [PromptItem] = []
  var cacheIsPruned = false
  var lastWasRaw = false
  /// Behind the last item of `cached`: where the next token stands.
  var nextPosition: Int32 = 0
  /// Tokens of `cached`, nothing pruned: what the context's length counts.
  var length = 0
  /// The position of the token being decoded: memory once, not once a token.
  let decodePosition = AlignedBuffer<Position>(count: 1)
  let decodeToken = AlignedBuffer<Int32>(count: 1)

  init(model: VisionLanguageModel, options: SessionOptions) throws(OccamError) {
    self.model = model
    let limit = model.decoder.shape.contextLength
    let wanted = options.contextLength ?? limit
    guard wanted >= 1 else { throw OccamError(.invalidOption, "context length", "\(wanted) is not positive") }
    contextLength = min(wanted, limit)
    if wanted > limit { Log.warning("the model was trained for \(limit) positions; the context is limited to that") }
    compute = Compute(kernels: model.kernels, team: model.team)
    states = SequenceState(model.decoder.shape, format: options.cells.stored)
    imageReading = options.images
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

  func dropCache() {
    states.removeAll()
    cached = []
    nextPosition = 0
    length = 0
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
      // The whole prompt is known to fit before an image costs anything.
      let shown = try shown.map { image throws(OccamError) in try readable(image) }
      let user = SessionCore.userMessage(text, images: shown.count)
      let prompt =
        options.raw ? try rawPrompt(text, images: images.count + shown.count) : try chatPrompt(user)
      try checkLength(prompt, shown)
      try addImages(shown, selector, onEvent, &metrics)
      let logits = try prefill(prompt, selector, onEvent, &metrics)
      let generator = Generator(core: self, options: options, start: start)
      try generator.run(logits: logits, history: prompt.items, onEvent: onEvent, metrics: &metrics)
      states.snapshot(0..<model.decoder.shape.layers, at: nextPosition)
      if !options.raw { messages += [user, ChatMessage(role: "assistant", text: metrics.text)] }
    } catch {
      images.removeSubrange(imagesBefore...)
      dropCache()
      throw error
    }
    finish(&metrics, isPruned: selector != nil, options)
    return metrics
  }

  // MARK: Prompt

  /// - Parameter images: how many the text must mark; the session's are numbered from 0.
  func rawPrompt(_ text: String, images: Int) throws(OccamError) -> Prompt {
    try Prompt(text, images: Array(0..<images), tokenizer: model.tokenizer)
  }

  /// Images first, then the question.
  static func userMessage(_ text: String, images: Int) -> ChatMessage {
    ChatMessage(role: "user", content: Array(repeating: .image, count: images) + [.text(text)])
  }

  func chatPrompt(_ user: ChatMessage) throws(OccamError) -> Prompt {
    let system = systemPrompt.map { [ChatMessage(role: "system", text: $0)] } ?? []
    let turns = system + messages + [user]
    var prompt = try translating("chat template") { try render(turns, addGenerationPrompt: true) }
    // What the prompt would be without this turn tells where the question starts.
    if turns.count > 1, let older = try? render(Array(turns.dropLast()), addGenerationPrompt: false) {
      prompt.questionStart = Prompt.common(older.items, prompt.items)
    }
    return prompt
  }

  private func render(_ turns: [ChatMessage], addGenerationPrompt: Bool) throws -> Prompt {
    let defaults = model.vision?.chat
    let segments = try model.chat.segments(
      messages: turns, addGenerationPrompt: addGenerationPrompt,
      imageLiterals: defaults?.placeholders.map(\.literal) ?? [], imageBreak: defaults?.imageBreak ?? "")
    return Prompt(segments, chat: defaults, tokenizer: model.tokenizer)
  }
}
