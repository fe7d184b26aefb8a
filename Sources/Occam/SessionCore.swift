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
  let imageCache: ImageCache?
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
  /// The last of `cached` that are guesses, which nobody confirmed yet.
  var openGuesses = 0
  /// The rows being decoded: memory once, not once a token.
  let decodeRequest: DecodeBatcher.Request
  /// nil: the model has no draft model.
  let modelDrafter: ModelDrafter?

  init(model: VisionLanguageModel, options: SessionOptions) throws(OccamError) {
    self.model = model
    let limit = model.decoder.shape.contextLength
    let wanted = options.contextLength ?? limit
    guard wanted >= 1 else { throw OccamError(.invalidOption, "context length", "\(wanted) is not positive") }
    contextLength = min(wanted, limit)
    if wanted > limit { Log.warning("the model was trained for \(limit) positions; the context is limited to that") }
    compute = Compute(kernels: model.kernels, team: model.team)
    states = SequenceState(model.decoder.shape, formats: options.cacheFormats)
    imageReading = options.images
    imageCache = options.imageCache
    decodeRequest = DecodeBatcher.Request(states: states)
    modelDrafter = model.parts.draft.map { draft in
      ModelDrafter(draft, kernels: model.kernels, team: model.team, formats: options.cacheFormats)
    }
  }

  /// An image that did not come from a file.
  func show(_ image: SessionImage) { images.append(image) }

  func clear() {
    messages = []
    images = []
    lastWasRaw = false
    dropCache()
    modelDrafter?.forget()
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
    openGuesses = 0
    cacheIsPruned = false
  }

  /// An image of a turn, still a file or encoded already.
  enum Shown {
    case source(ImageSource)
    case encoded(EncodedPhoto)
  }

  /// What all replies need.
  struct Request {
    let options: GenerationOptions
    /// In the place of what `options` say of pruning; nil prunes nothing.
    let selector: (any VisualTokenSelector)?
    let onEvent: (GenerationEvent) -> Void
    let isCancelled: () -> Bool
  }

  /// The reply to a user's turn, behind the turns so far.
  func reply(_ text: String, _ shown: [Shown], _ request: Request) throws(OccamError) -> GenerationMetrics {
    let options = request.options
    // A raw prompt is a conversation of its own: no turn before or after it knows its images.
    if options.raw || lastWasRaw { forgetTurns() }
    lastWasRaw = options.raw
    let user = SessionCore.userMessage(text, images: shown.count)
    let metrics = try generate(showing: shown, request) { () throws(OccamError) in
      options.raw ? try rawPrompt(text, images: images.count + shown.count) : try chatPrompt(user, options)
    }
    if !options.raw { messages += [user, ChatMessage(role: "assistant", text: metrics.text)] }
    return metrics
  }

  /// The reply to a raw prompt.
  func reply(raw prompt: [PromptPart], _ shown: [Shown], _ request: Request) throws(OccamError) -> GenerationMetrics {
    forgetTurns()
    lastWasRaw = true
    return try generate(showing: shown, request) { () throws(OccamError) in
      try Prompt(prompt, images: Array(0..<images.count + shown.count), tokenizer: model.tokenizer)
    }
  }

  /// The reply to a whole conversation, which takes the place of the session's own. What both begin with is not
  /// computed again.
  func reply(_ conversation: [Message], _ request: Request) throws(OccamError) -> GenerationMetrics {
    if lastWasRaw { forgetTurns() }
    lastWasRaw = false
    let turns = try conversation.forTemplate()
    var shown = try conversation.flatMap(\.images).map { image throws(OccamError) in try readable(.source(image)) }
    shown.removeFirst(keepImages(alike: shown))
    do throws(OccamError) {
      let metrics = try generate(showing: shown, request) { () throws(OccamError) in
        try ChatPrompt(model, request.options).prompt(withSystem(turns))
      }
      messages = turns + [ChatMessage(role: "assistant", text: metrics.text)]
      return metrics
    } catch {
      clear()
      throw error
    }
  }

  private func generate(
    showing shown: [Shown], _ request: Request, prompt: () throws(OccamError) -> Prompt
  ) throws(OccamError) -> GenerationMetrics {
    let start = Clock.nanoseconds()
    try request.options.speculation.check()
    var metrics = GenerationMetrics()
    let imagesBefore = images.count
    compute.isCancelled = request.isCancelled
    modelDrafter?.isCancelled = request.isCancelled
    defer {
      compute.isCancelled = { false }
      modelDrafter?.isCancelled = { false }
    }
    do throws(OccamError) {
      // The whole prompt is known to fit before an image costs anything.
      let readable = try shown.map { image throws(OccamError) in try self.readable(image) }
      let prompt = try prompt()
      try checkLength(prompt, readable)
      try addImages(readable, request.selector, request.onEvent, &metrics)
      let logits = try prefill(prompt, request.selector, request.onEvent, &metrics)
      let generator = Generator(core: self, options: request.options, start: start)
      try generator.run(logits: logits, history: prompt.items, onEvent: request.onEvent, metrics: &metrics)
      states.snapshot(0..<model.decoder.shape.layers, at: nextPosition)
    } catch {
      images.removeSubrange(min(imagesBefore, images.count)...)
      dropCache()
      throw error
    }
    finish(&metrics, isPruned: request.selector != nil, request.options)
    return metrics
  }

  /// Of the session's images keeps those that begin the list of those to be shown. - Returns: how many.
  private func keepImages(alike shown: [Shown]) -> Int {
    let kept = zip(images, shown).prefix { image, other in
      if case .source(.bytes(let bytes, _)) = other { image.bytes == bytes } else { false }
    }.count
    guard kept < images.count else { return kept }
    images.removeSubrange(kept...)
    // Their numbers may come again for other images.
    cached = cached.map { item in
      if case .image(let index) = item, index >= kept { .image(-1) } else { item }
    }
    return kept
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

  func chatPrompt(
    _ user: ChatMessage, _ options: GenerationOptions = GenerationOptions()
  ) throws(OccamError) -> Prompt {
    try ChatPrompt(model, options).prompt(withSystem(messages + [user]))
  }

  /// The session's system prompt stands in front of turns that have none.
  private func withSystem(_ turns: [ChatMessage]) -> [ChatMessage] {
    guard let systemPrompt, turns.first?.role != "system" else { return turns }
    return [ChatMessage(role: "system", text: systemPrompt)] + turns
  }
}
