import OccamCore

/// What an exchange's owner wrote and the loop has not sent: the meeting point of their threads.
final class HTTPOutbox: Sendable {
  /// What the loop shall send next.
  struct Delivery: Sendable {
    enum End: Sendable {
      case open
      /// Nothing follows.
      case finished
      /// The answer cannot be ended properly: the connection must be cut.
      case aborted
    }
    var head: HTTPResponseHead?
    var segments: [[UInt8]] = []
    var end = End.open
  }

  private enum Phase { case waiting, streaming, finished, abandoned }

  private struct State {
    var phase = Phase.waiting
    var delivery = Delivery()
    var hasNoBody = false
    /// Bytes of the body that were written and not yet sent.
    var unsent = 0
    /// Bytes of the part that was written when nothing waited: they do not count towards the limit.
    var lead = 0
    /// Whether the loop was told and did not come yet.
    var isPosted = false
    var watchers: [@Sendable () -> Void] = []
  }

  private let connection: UInt64
  private let mailbox: HTTPMailbox
  private let isHead: Bool
  private let isChunked: Bool
  private let unsentLimit: Int
  private let failure: @Sendable (String) -> HTTPResponse
  private let state = Guarded(State())

  /// - Parameter failure: the answer of an owner who gives none, from its message.
  init(
    connection: UInt64, mailbox: HTTPMailbox, isHead: Bool, isChunked: Bool, unsentLimit: Int,
    failure: @escaping @Sendable (String) -> HTTPResponse
  ) {
    self.connection = connection
    self.mailbox = mailbox
    self.isHead = isHead
    self.isChunked = isChunked
    self.unsentLimit = unsentLimit
    self.failure = failure
  }

  // MARK: The owner's threads

  func respond(_ response: HTTPResponse) {
    update { state in
      guard state.phase == .waiting else { return false }
      let head = HTTPResponseHead(
        status: response.status, headers: response.headers, body: .length(response.body.count))
      state.delivery.head = head
      if !head.hasNoBody && !isHead { HTTPOutbox.append(response.body, to: &state) }
      HTTPOutbox.end(&state)
      return true
    }
  }

  func begin(_ status: Int, _ headers: HTTPHeaders) {
    update { state in
      guard state.phase == .waiting else { return false }
      state.phase = .streaming
      let head = HTTPResponseHead(status: status, headers: headers, body: isChunked ? .chunked : .untilClose)
      state.delivery.head = head
      state.hasNoBody = head.hasNoBody || isHead
      return true
    }
  }

  func write(_ bytes: [UInt8]) -> Bool {
    var abandoned: [@Sendable () -> Void] = []
    let (isTaken, mustPost) = state.withLock { state -> (Bool, Bool) in
      guard state.phase == .streaming else { return (false, false) }
      // An empty chunk would end the answer.
      if bytes.isEmpty || state.hasNoBody { return (true, false) }
      // A client that has taken all is not slow, however large the next part is.
      if state.unsent == 0 { state.lead = bytes.count }
      guard state.unsent == 0 || bytes.count <= unsentLimit + state.lead - state.unsent else {
        abandoned = HTTPOutbox.abandon(&state)
        return (false, HTTPOutbox.mustPost(&state))
      }
      if isChunked {
        HTTPOutbox.append(Array("\(String(bytes.count, radix: 16))\r\n".utf8), to: &state)
        HTTPOutbox.append(bytes, to: &state)
        HTTPOutbox.append([ASCII.carriageReturn, ASCII.lineFeed], to: &state)
      } else {
        HTTPOutbox.append(bytes, to: &state)
      }
      return (true, HTTPOutbox.mustPost(&state))
    }
    if mustPost { mailbox.post(connection) }
    for watcher in abandoned { watcher() }
    return isTaken
  }

  func finish() {
    var wasWaiting = false
    update { state in
      wasWaiting = state.phase == .waiting
      guard state.phase == .streaming else { return false }
      if isChunked && !state.hasNoBody { HTTPOutbox.append(Array("0\r\n\r\n".utf8), to: &state) }
      HTTPOutbox.end(&state)
      return true
    }
    if wasWaiting { respond(failure("the request was finished without an answer")) }
  }

  /// The owner let the exchange go, finished or not.
  func release() {
    if state.withLock({ $0.phase == .waiting }) {
      respond(failure("the request was dropped without an answer"))
    }
    update { state in
      guard state.phase == .streaming else { return false }
      // A proper end would make half an answer look whole. The owner itself gave it up, so nobody is told.
      state.phase = .abandoned
      state.delivery = Delivery(end: .aborted)
      return true
    }
  }

  var isAbandoned: Bool { state.withLock { $0.phase == .abandoned } }

  func onAbandon(_ body: @escaping @Sendable () -> Void) {
    let isGone = state.withLock { state in
      if state.phase == .waiting || state.phase == .streaming { state.watchers.append(body) }
      return state.phase == .abandoned
    }
    if isGone { body() }
  }

  // MARK: The loop's thread

  func take() -> Delivery {
    state.withLock { state in
      state.isPosted = false
      let delivery = state.delivery
      state.delivery = Delivery(end: delivery.end)
      return delivery
    }
  }

  /// Bytes of the answer that the socket took.
  func didSend(_ count: Int) { state.withLock { $0.unsent = max(0, $0.unsent - count) } }

  /// The client is gone.
  func abandon() {
    let watchers = state.withLock { HTTPOutbox.abandon(&$0) }
    for watcher in watchers { watcher() }
  }

  // MARK: -

  /// - Parameter change: true when the loop has something to do.
  private func update(_ change: (inout State) -> Bool) {
    let (mustPost, forgotten) = state.withLock { state -> (Bool, [@Sendable () -> Void]) in
      let mustPost = change(&state) && HTTPOutbox.mustPost(&state)
      guard state.phase == .finished || state.phase == .abandoned else { return (mustPost, []) }
      defer { state.watchers = [] }
      return (mustPost, state.watchers)
    }
    if mustPost { mailbox.post(connection) }
    // Letting closures go may run the code of others, which must not happen under the lock.
    withExtendedLifetime(forgotten) {}
  }

  private static func mustPost(_ state: inout State) -> Bool {
    defer { state.isPosted = true }
    return !state.isPosted
  }

  private static func append(_ bytes: [UInt8], to state: inout State) {
    state.unsent += bytes.count
    state.delivery.segments.join(bytes)
  }

  private static func end(_ state: inout State) {
    state.phase = .finished
    state.delivery.end = .finished
  }

  /// - Returns: whom to tell, outside the lock.
  private static func abandon(_ state: inout State) -> [@Sendable () -> Void] {
    guard state.phase == .waiting || state.phase == .streaming else { return [] }
    defer { state.watchers = [] }
    state.phase = .abandoned
    state.delivery = Delivery(end: .aborted)
    return state.watchers
  }
}
