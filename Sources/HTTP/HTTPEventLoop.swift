import Glibc
import OccamCore

/// The loop that owns all sockets. Everything but the mailbox belongs to the thread of `run`.
final class HTTPEventLoop {
  /// Ids below are no connections: the mailbox is 0, then come the listeners.
  private static let firstConnection: UInt64 = 1 << 16

  let limits: HTTPLimits
  let screen: @Sendable (HTTPRequestHead) -> HTTPResponse?
  let handler: @Sendable (HTTPExchange) -> Void
  let ownAnswer: HTTPServer.Refusal
  let mailbox: HTTPMailbox
  let budget: HTTPBodyBudget
  private let statistics: Guarded<HTTPStatistics>
  let epoll: Epoll
  var acceptor: HTTPAcceptor
  var connections: [UInt64: HTTPConnection] = [:]
  var refusedOpen = 0
  private var nextID = HTTPEventLoop.firstConnection
  private var timers = HTTPTimers()
  private var touched: [HTTPConnection] = []
  var counts: HTTPStatistics
  /// Of the current turn, in values of `Clock.nanoseconds()`.
  var now = Clock.nanoseconds()
  /// What one read takes at most.
  let scratch = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 256 << 10)
  private(set) var isDraining = false
  private var date = (second: 0, text: "")

  init(
    limits: HTTPLimits, screen: @escaping @Sendable (HTTPRequestHead) -> HTTPResponse?,
    handler: @escaping @Sendable (HTTPExchange) -> Void, refusal: @escaping HTTPServer.Refusal,
    mailbox: HTTPMailbox, epoll: Epoll, listeners: [HTTPListener], statistics: Guarded<HTTPStatistics>
  ) {
    self.limits = limits
    self.screen = screen
    self.handler = handler
    ownAnswer = refusal
    self.mailbox = mailbox
    self.statistics = statistics
    counts = statistics.withLock { $0 }
    budget = HTTPBodyBudget(limits.totalBodyBytes)
    self.epoll = epoll
    acceptor = HTTPAcceptor(listeners)
  }

  deinit { scratch.deallocate() }

  /// Until drained or stopped; every connection and listener is closed then.
  func run() {
    defer {
      acceptor.end(epoll)
      for connection in Array(connections.values) { drop(connection) }
      publish()
    }
    acceptor.watch(epoll)
    while true {
      let command = mailbox.command
      if command.isStopped { return }
      if let deadline = command.drainDeadline {
        now = Clock.nanoseconds()
        if !isDraining { beginDrain() }
        if connections.isEmpty || now >= deadline { return }
      }
      turn(command)
    }
  }

  private func turn(_ command: HTTPMailbox.Command) {
    let due = min(timers.next ?? .max, command.drainDeadline ?? .max, acceptor.resume ?? .max)
    let mayWait = mailbox.prepareToSleep(seen: command)
    let events = epoll.wait(milliseconds: mayWait ? milliseconds(until: due) : 0)
    now = Clock.nanoseconds()
    acceptor.resumeIfDue(now, epoll)
    for event in events where event.id != 0 { handle(event) }
    for id in mailbox.take(wasWoken: events.contains { $0.id == 0 }) {
      if let connection = connections[id] { deliver(connection) }
    }
    while let entry = timers.takeDue(now) { checkDeadline(entry) }
    settle()
    publish()
  }

  /// Rounded up, lest the loop spin in the last millisecond.
  private func milliseconds(until due: UInt64) -> Int32 {
    if due == .max { return -1 }
    let time = Clock.nanoseconds()
    return due <= time ? 0 : Int32(min(3_600_000, (due - time) / 1_000_000 + 1))
  }

  private func handle(_ event: Epoll.Event) {
    if event.id < HTTPEventLoop.firstConnection {
      accept(from: event.id)
      return
    }
    guard let connection = connections[event.id] else { return }
    touch(connection)
    if !event.interest.isDisjoint(with: [.error, .hungUp]) && !connection.isReading { return drop(connection) }
    let outbox = connection.outbox
    if event.interest.contains(.writable) { flush(connection) }
    if !event.interest.isDisjoint(with: [.readable, .error, .hungUp]) { read(connection) }
    // Whoever has just become an exchange has its turn to be answered before the client's end counts.
    if event.interest.contains(.peerClosed), let outbox, connection.outbox === outbox { drop(connection) }
  }

  // MARK: Connections

  func open(_ descriptor: Int32, isRefused: Bool) -> HTTPConnection? {
    let connection = HTTPConnection(
      id: nextID, descriptor: descriptor, isRefused: isRefused,
      parser: HTTPRequestParser(limits: limits), now: now)
    connection.interest = connection.wantedInterest
    guard epoll.add(descriptor, id: connection.id, connection.interest) else {
      close(descriptor)
      return nil
    }
    nextID += 1
    connections[connection.id] = connection
    if isRefused { refusedOpen += 1 }
    touch(connection)
    return connection
  }

  /// Closes a connection in whatever state it is; an exchange that is not finished is abandoned.
  /// - Parameter reset: the client shall see that the answer was cut.
  func drop(_ connection: HTTPConnection, reset: Bool = false) {
    guard connection.phase != .closed else { return }
    connection.phase = .closed
    if reset {
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(connection.descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    }
    close(connection.descriptor)
    connections[connection.id] = nil
    if connection.isRefused { refusedOpen -= 1 }
    connection.body = nil
    let outbox = connection.outbox
    connection.outbox = nil
    outbox?.abandon()
  }

  /// The connection's interest and deadline are looked at when the turn ends.
  func touch(_ connection: HTTPConnection) {
    guard !connection.isTouched else { return }
    connection.isTouched = true
    touched.append(connection)
  }

  private func settle() {
    for connection in touched {
      connection.isTouched = false
      guard connection.phase != .closed else { continue }
      let wanted = connection.wantedInterest
      if wanted != connection.interest {
        connection.interest = wanted
        guard epoll.modify(connection.descriptor, id: connection.id, wanted) else {
          drop(connection)
          continue
        }
      }
      let deadline = connection.deadline(limits)
      if deadline < connection.due {
        connection.due = deadline
        timers.add(due: deadline, id: connection.id)
      }
    }
    touched.removeAll(keepingCapacity: touched.count < 1024)
  }

  private func checkDeadline(_ entry: (due: UInt64, id: UInt64)) {
    guard let connection = connections[entry.id], connection.due == entry.due else { return }
    connection.due = .max
    touch(connection)
    if connection.deadline(limits) <= now { expire(connection) }
  }

  private func expire(_ connection: HTTPConnection) {
    switch connection.phase {
    case .idle, .lingering, .closed: drop(connection)
    // No answer to empty lines: the client would take it for that to its next request.
    case .head where connection.parser.isBetweenRequests: drop(connection)
    case .head: refuse(connection, 408, "the request's head took too long")
    case .body: refuse(connection, 408, "the request's body took too long")
    case .answering: drop(connection, reset: true)
    }
  }

  private func beginDrain() {
    isDraining = true
    // Who came before is still heard.
    acceptAllWaiting()
    acceptor.end(epoll)
    for connection in Array(connections.values) where connection.phase == .idle {
      touch(connection)
      // A request may be on its way already.
      read(connection)
      if connection.phase == .idle { drop(connection) }
    }
    settle()
  }

  // MARK: -

  func dateText() -> String {
    let second = time(nil)
    if second != date.second || date.text.isEmpty { date = (second, HTTPResponseHead.date(second)) }
    return date.text
  }

  private func publish() {
    counts.open = connections.count
    let counts = counts
    statistics.withLock { $0 = counts }
  }
}
