import Occam
import OccamCore
import OccamHTTP

/// The replies to one request, from the session's events to the client: one nearly always, several where it asks for
/// choices or brings several prompts, which follow each other. Runs on the session's thread alone.
final class GenerationRun: @unchecked Sendable {
  typealias Respond =
    @Sendable (Session, Cancellation, (GenerationEvent) -> Void) throws(OccamError) -> GenerationMetrics

  struct Reply: Sendable {
    /// Used on the session's thread only.
    nonisolated(unsafe) let shape: any ReplyShape
    /// It answers the prompt that the one before it does.
    var repeatsPrompt = false
    let respond: Respond
  }

  /// What the request asks for besides the text.
  struct Form: Sendable {
    var isStreamed = false
    var tokens = false
    var keepMap = false
    /// How far encoding and prefill are.
    var progress = false
    /// The same of the prompt, as llama-server says it.
    var promptProgress = false
    /// `timings` in every event of a stream.
    var timings = false
  }

  let cancellation = Cancellation()
  private let service: Service
  private let exchange: HTTPExchange
  private let replies: [Reply]
  private let form: Form
  private var shape: any ReplyShape
  private var tokens: [GeneratedToken] = []
  private var speed = ReplySpeed()
  /// Of the replies before.
  private var earlier = Outcome.Tokens()
  private var whole: [JSONValue] = []
  /// Headers are sent; and the first events of the reply at work.
  private var hasBegun = false
  private var replyHasBegun = false
  private var lastWrite: UInt64 = 0
  private var lastProgress = (phase: "", percent: -1)

  /// A silent connection is closed by some proxies after a minute, by some after less.
  private static let keepAliveSeconds = 10.0
  /// Pixels that a keep map is wide and high at most.
  private static let mapSide = 1024

  /// - Parameter replies: one or more.
  init(
    service: Service, exchange: HTTPExchange, _ replies: [Reply], _ form: Form
  ) {
    self.service = service
    self.exchange = exchange
    self.replies = replies
    shape = replies[0].shape
    self.form = form
  }

  func start(_ session: Session) {
    guard !exchange.isAbandoned, !cancellation.isCancelled else { return }
    lastWrite = Clock.nanoseconds()
    do throws(OccamError) {
      for (index, reply) in replies.enumerated() {
        shape = reply.shape
        (tokens, speed, replyHasBegun) = ([], ReplySpeed(), false)
        let metrics = try reply.respond(session, cancellation, { self.take($0) })
        service.metrics.count(metrics)
        let isLast = index == replies.count - 1 || metrics.stop == .cancelled
        // Choices share their pictures: the last one shows what was kept of them.
        let drawsMaps = form.keepMap && metrics.stop != .cancelled && (isLast || !replies[index + 1].repeatsPrompt)
        let outcome = Outcome(
          metrics: metrics, tokens: tokens, keepMaps: drawsMaps ? try keepMaps(session) : [], earlier: earlier,
          repeatsPrompt: reply.repeatsPrompt)
        end(outcome, isLast: isLast)
        guard metrics.stop != .cancelled else { return }
        earlier = outcome.tokensSoFar
      }
    } catch {
      fail(ServiceError(error))
    }
  }

  private func keepMaps(_ session: Session) throws(OccamError) -> [[UInt8]] {
    var maps: [[UInt8]] = []
    for image in 0..<session.imageCount {
      maps.append(try session.keepMap(image: image, longestSide: GenerationRun.mapSide))
    }
    return maps
  }

  // MARK: Events

  private func take(_ event: GenerationEvent) {
    switch event {
    case .token(let token):
      guard form.isStreamed else {
        if form.tokens { tokens.append(token) }
        return
      }
      begin()
      if token.id >= 0 { speed.generatedToken() }
      send(timed(shape.token(token)))
      // Calls and the like are held back until they are whole.
      keepAlive()
    case .encoding(_, _, let fraction): progress("encode", fraction)
    case .prefill(let tokens, let cached, let fraction):
      progress("prefill", fraction)
      guard form.isStreamed, speed.computed(fraction, of: tokens, cached: cached), form.promptProgress else {
        return
      }
      begin()
      send([shape.progress([speed.progress, speed.member])])
    }
  }

  private func timed(_ events: [ReplyEvent]) -> [ReplyEvent] {
    form.timings ? events.map { $0.adding(speed.member) } : events
  }

  private func progress(_ phase: String, _ fraction: Double) {
    guard form.isStreamed else { return }
    let percent = Int(fraction * 100)
    if form.progress, lastProgress != (phase, percent) {
      lastProgress = (phase, percent)
      begin()
      let progress: JSONValue = ["phase": .string(phase), "fraction": .number(Double(percent) / 100)]
      send([shape.progress([JSONMember("occam", ["progress": progress])])])
    } else {
      keepAlive()
    }
  }

  private func keepAlive() {
    guard Clock.milliseconds(since: lastWrite) > GenerationRun.keepAliveSeconds * 1000 else { return }
    begin()
    write(ServerSentEvents.keepAlive)
  }

  /// Headers go out with the first event only: until then an error can have a status of its own.
  private func begin() {
    defer {
      if !replyHasBegun {
        replyHasBegun = true
        send(shape.start())
      }
    }
    guard !hasBegun else { return }
    hasBegun = true
    var headers = HTTPHeaders([
      ("Content-Type", ServerSentEvents.contentType), ("Cache-Control", "no-cache"),
      // nginx would collect the events otherwise.
      ("X-Accel-Buffering", "no"), ("Server", "occam/\(OccamVersion.text)"),
    ])
    service.addOrigin(exchange.request.head, &headers)
    exchange.begin(200, headers)
  }

  private func send(_ events: [ReplyEvent]) {
    for event in events { write(ServerSentEvents.frame(event.data, event: event.name)) }
  }

  private func write(_ bytes: [UInt8]) {
    lastWrite = Clock.nanoseconds()
    if !exchange.write(bytes) { cancellation.cancel() }
  }

  // MARK: End

  private func end(_ outcome: Outcome, isLast: Bool) {
    guard form.isStreamed else {
      whole.append(shape.whole(outcome))
      if isLast { service.send(whole.count > 1 ? shape.joined(whole) : whole[0], exchange) }
      return
    }
    begin()
    send(shape.end(outcome).filter { isLast || !$0.isClosing })
    if isLast { exchange.finish() }
  }

  private func fail(_ error: ServiceError) {
    guard hasBegun else { return service.fail(exchange, error) }
    service.metrics.count(error)
    send([shape.failure(error)])
    exchange.finish()
  }
}
