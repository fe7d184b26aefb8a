import Dispatch
import OccamCore
import OccamModels
import OccamTensors
import OccamTokenizer
import Synchronization

/// One conversation with a model: its KV cache, activations, images, sampler state. Replies of a session follow each
/// other; sessions of one model may be used from several threads.
public final class Session: Sendable {
  public let model: VisionLanguageModel
  // Touched on `queue` only.
  nonisolated(unsafe) private let core: SessionCore
  private let queue = DispatchQueue(label: "occam.session", qos: .userInitiated)
  // Which session a queue belongs to: a callback that asks its own session may not wait for it.
  private static let owner = DispatchSpecificKey<ObjectIdentifier>()
  // Replies are numbered when they are asked for; cancelling ends all up to a number, so that one that has not begun to
  // compute is ended too.
  private let asked = Atomic<Int>(0)
  private let cancelled = Atomic<Int>(0)

  init(model: VisionLanguageModel, options: SessionOptions) throws(OccamError) {
    self.model = model
    core = try SessionCore(model: model, options: options)
    queue.setSpecific(key: Session.owner, value: ObjectIdentifier(self))
  }

  /// Streams the reply to a user's turn. Computing starts at once, on a thread of the session's own.
  ///
  /// Ending the iteration early, or cancelling its task, stops the computation between two layers.
  /// - Parameters: images: shown to the model before the text of this turn.
  public func reply(
    to prompt: String, images: [ImageSource] = [], options: GenerationOptions = GenerationOptions()
  ) -> TokenStream {
    stream { core, request throws(OccamError) in
      try core.reply(prompt, images.map { .source($0) }, try request(core, options))
    }
  }

  /// Streams the reply to a whole conversation, which takes the place of the session's own. What both begin with, text
  /// and pictures, is not computed again.
  /// - Parameter messages: the last one a user's or a tool's; or an assistant's, which the reply then goes on with.
  public func reply(to messages: [Message], options: GenerationOptions = GenerationOptions()) -> TokenStream {
    stream { core, request throws(OccamError) in try core.reply(messages, try request(core, options)) }
  }

  /// The same, on the calling thread, for programs without concurrency. Blocks until the reply is complete: never call it
  /// from Swift's cooperative pool.
  /// - Parameters:
  ///   - cancellation: ends this reply; `cancel()` ends all.
  ///   - onEvent: called on the computing thread. It may read from the session, cancel, and clear, which then
  ///     waits for the reply's end; asking for another reply is an error.
  /// - Throws: `OccamError`; code `cancelled` when stopped before the first token. Stopped later, the reply ends and its
  ///   metrics say so.
  @discardableResult
  public func respond(
    to prompt: String, images: [ImageSource] = [], options: GenerationOptions = GenerationOptions(),
    cancellation: Cancellation? = nil, onEvent: (GenerationEvent) -> Void = { _ in }
  ) throws(OccamError) -> GenerationMetrics {
    try blocking(cancellation, onEvent) { core, request throws(OccamError) in
      try core.reply(prompt, images.map { .source($0) }, try request(core, options))
    }
  }

  /// The same for a raw prompt of texts and tokens, `<__media__>` in the texts for each image. `options.raw` is taken for
  /// granted.
  @discardableResult
  public func respond(
    toRaw prompt: [PromptPart], images: [ImageSource] = [], options: GenerationOptions = GenerationOptions(),
    cancellation: Cancellation? = nil, onEvent: (GenerationEvent) -> Void = { _ in }
  ) throws(OccamError) -> GenerationMetrics {
    var options = options
    options.raw = true
    let given = options
    return try blocking(cancellation, onEvent) { core, request throws(OccamError) in
      try core.reply(raw: prompt, images.map { .source($0) }, try request(core, given))
    }
  }

  /// The same for a whole conversation; see `reply(to:)`.
  @discardableResult
  public func respond(
    to messages: [Message], options: GenerationOptions = GenerationOptions(), cancellation: Cancellation? = nil,
    onEvent: (GenerationEvent) -> Void = { _ in }
  ) throws(OccamError) -> GenerationMetrics {
    try blocking(cancellation, onEvent) { core, request throws(OccamError) in
      try core.reply(messages, try request(core, options))
    }
  }

  private typealias MakeRequest = (SessionCore, GenerationOptions) throws(OccamError) -> SessionCore.Request
  private typealias Reply = @Sendable (SessionCore, MakeRequest) throws(OccamError) -> GenerationMetrics

  private func stream(_ reply: @escaping Reply) -> TokenStream {
    let (stream, continuation) = AsyncThrowingStream<GeneratedToken, any Error>.makeStream()
    let result = MetricsBox()
    let ticket = makeTicket()
    continuation.onTermination = { reason in
      if case .cancelled = reason { ticket.drop() }
    }
    queue.async {
      do {
        let metrics = try reply(self.core) { core, options throws(OccamError) in
          SessionCore.Request(
            options: options, selector: try core.selector(options.pruning),
            onEvent: { event in if case .token(let token) = event { continuation.yield(token) } },
            isCancelled: { self.isEnded(ticket) })
        }
        result.store(metrics)
        continuation.finish()
      } catch {
        continuation.finish(throwing: error)
      }
    }
    return TokenStream(stream: stream, result: result, ticket: ticket)
  }

  private func blocking(
    _ cancellation: Cancellation?, _ onEvent: (GenerationEvent) -> Void, _ reply: Reply
  ) throws(OccamError) -> GenerationMetrics {
    let ticket = makeTicket()
    let result: Result<GenerationMetrics, OccamError> = withoutActuallyEscaping(onEvent) { onEvent in
      do throws(OccamError) {
        let metrics = try measured { core throws(OccamError) in
          try reply(core) { core, options throws(OccamError) in
            SessionCore.Request(
              options: options, selector: try core.selector(options.pruning), onEvent: onEvent,
              isCancelled: { self.isEnded(ticket) || cancellation?.isCancelled == true })
          }
        }
        return .success(metrics)
      } catch { return .failure(error) }
    }
    return try result.get()
  }

  private func isEnded(_ ticket: ReplyTicket) -> Bool {
    ticket.isDropped || ticket.number <= cancelled.load(ordering: .relaxed)
  }

  private func makeTicket() -> ReplyTicket { ReplyTicket(number: asked.add(1, ordering: .relaxed).newValue) }

  /// Stops every reply asked for so far, the one in progress between two layers. Safe from any thread.
  public func cancel() { cancelled.store(asked.load(ordering: .relaxed), ordering: .relaxed) }

  /// The text every conversation starts with, as the chat template's system turn.
  public func setSystemPrompt(_ text: String?) { change { $0.systemPrompt = text } }

  /// Forgets the conversation and its images; memory of the KV cache is given back.
  public func clear() { change { $0.clear() } }

  /// Images of the conversation so far.
  public var imageCount: Int { isComputing ? core.images.count : queue.sync { core.images.count } }

  /// An image of the conversation with dropped patches dimmed (stage I grey, stage II tinted), as PNG bytes.
  /// - Parameters:
  ///   - image: index in the order the images were shown, from 0.
  ///   - longestSide: pixels that the map may be wide and high; nil: as the image.
  public func keepMap(image: Int, longestSide: Int? = nil) throws(OccamError) -> [UInt8] {
    if isComputing { return try core.keepMap(image, longestSide: longestSide) }
    return try measured { core throws(OccamError) in try core.keepMap(image, longestSide: longestSide) }
  }

  /// Whether the caller is a callback of this session's own reply.
  private var isComputing: Bool { DispatchQueue.getSpecific(key: Session.owner) == ObjectIdentifier(self) }

  /// Changes the session: at once, or when the reply that is calling back has ended.
  private func change(_ body: @escaping @Sendable (SessionCore) -> Void) {
    if isComputing {
      queue.async { body(self.core) }
    } else {
      queue.sync { body(core) }
    }
  }

  /// Runs `body` on the session's queue and waits for it; an error from a callback, which would wait for itself.
  func measured<R>(_ body: (SessionCore) throws(OccamError) -> R) throws(OccamError) -> R {
    if isComputing {
      throw OccamError(.invalidOption, "session", "cannot begin another reply from a callback of its own reply")
    }
    let result: Result<R, OccamError> = queue.sync {
      do throws(OccamError) { return .success(try body(core)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Logits [vocabulary] after a raw prompt, and after each of `continuation`: for comparing numerics.
  /// - Parameter guesses: of the continuation's tokens so many at a time are guessed behind another, and so many wrong ones
  ///   behind these, which are taken back.
  package func logits(
    raw prompt: String, images: [ImageSource], continuation: [Int32], pruning: GenerationOptions.Pruning,
    guesses: (right: Int, wrong: Int) = (0, 0)
  ) throws(OccamError) -> [[Float]] {
    try measured { core throws(OccamError) in
      try core.logits(prompt, images, continuation, pruning, guesses: guesses)
    }
  }

  /// A raw prompt as it is laid out: ids of text and markers, nil for a visual token or a learned embedding; and the
  /// position of each. For comparing with other runtimes.
  package func layout(
    raw prompt: String, images: [ImageSource]
  ) throws(OccamError) -> (ids: [Int32?], positions: [Position]) {
    try measured { core throws(OccamError) in try core.layout(prompt, images) }
  }

  /// The same of a conversation as the model's chat format writes it, system prompt included. Forgets the session's own.
  /// - Parameters:
  ///   - turns: of users and assistants, a user's last.
  ///   - images: of all turns, in their order.
  package func layout(
    chat turns: [ChatMessage], images: [ImageSource] = []
  ) throws(OccamError) -> (ids: [Int32?], positions: [Position]) {
    try measured { core throws(OccamError) in try core.layout(turns, images) }
  }

  /// KV cache entries that each text layer reads, 0 where it is recurrent: for checking what pruning leaves.
  package var entryCounts: [Int] { queue.sync { core.states.entryCounts } }

  /// The most bytes that activations took so far.
  package var peakActivationBytes: Int { queue.sync { core.compute.peakByteCount } }

  /// The embeddings [tokens x width] of an unpruned image, learned ones among them, in the prompt's order: for comparing numerics.
  package func imageEmbeddings(_ source: ImageSource) throws(OccamError) -> [[Float]] {
    try measured { core throws(OccamError) in try core.imageEmbeddings(source) }
  }
}

/// A reply as an asynchronous sequence of its tokens.
public struct TokenStream: AsyncSequence, Sendable {
  public typealias Element = GeneratedToken
  let stream: AsyncThrowingStream<GeneratedToken, any Error>
  let result: MetricsBox
  let ticket: ReplyTicket

  /// The figures of the reply; nil until the sequence has ended.
  public var metrics: GenerationMetrics? { result.value }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(base: stream.makeAsyncIterator(), end: IterationEnd(ticket))
  }

  public struct AsyncIterator: AsyncIteratorProtocol {
    var base: AsyncThrowingStream<GeneratedToken, any Error>.Iterator
    let end: IterationEnd

    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> GeneratedToken? {
      try await base.next(isolation: actor)
    }

    public mutating func next() async throws -> GeneratedToken? { try await base.next() }
  }
}

/// One reply that somebody asked for.
final class ReplyTicket: Sendable {
  let number: Int
  private let dropped = Atomic<Bool>(false)

  init(number: Int) { self.number = number }

  /// Whether nobody waits for its tokens any more.
  var isDropped: Bool { dropped.load(ordering: .relaxed) }
  func drop() { dropped.store(true, ordering: .relaxed) }
}

/// Goes with the last copy of an iterator: a loop that was left drops its reply, even while its stream is still held.
final class IterationEnd: Sendable {
  private let ticket: ReplyTicket
  init(_ ticket: ReplyTicket) { self.ticket = ticket }
  deinit { ticket.drop() }
}

final class MetricsBox: Sendable {
  private let storage = Guarded<GenerationMetrics?>(nil)
  var value: GenerationMetrics? { storage.withLock { $0 } }
  func store(_ metrics: GenerationMetrics) { storage.withLock { $0 = metrics } }
}
