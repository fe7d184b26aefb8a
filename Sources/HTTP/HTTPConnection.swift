import OccamCore

/// What the loop knows of one client. The loop's thread only.
final class HTTPConnection {
  enum Phase {
    /// Between two requests.
    case idle
    case head
    case body
    /// A request is whole or refused; nothing is read until its answer is sent.
    case answering
    /// All is sent; what still comes is discarded until the client closes.
    case lingering
    case closed
  }

  /// What follows when all that waits is sent.
  enum Ending { case nextRequest, linger }

  /// Times and bytes of something that must not take too long; times are values of `Clock.nanoseconds()`.
  struct Pace {
    var start: UInt64
    var last: UInt64
    var bytes = 0

    init(_ now: UInt64) { (start, last) = (now, now) }

    mutating func advance(_ count: Int, _ now: UInt64) {
      bytes += count
      last = now
    }

    /// - Parameters:
    ///   - idle: seconds that may pass without a byte.
    ///   - rate: bytes a second on average, beyond `idle`; 0: none.
    func deadline(idle: Double, rate: Double) -> UInt64 {
      let pause = Clock.after(last, seconds: idle)
      return rate > 0 ? min(pause, Clock.after(start, seconds: idle + Double(bytes) / rate)) : pause
    }
  }

  let id: UInt64
  let descriptor: Int32
  /// Beyond the limit of connections, there to be told so.
  let isRefused: Bool
  var phase = Phase.idle
  /// Of the phase: of its reading, or of the sending while `output` waits.
  var pace: Pace
  /// Requests whose answers are sent.
  var answered = 0

  // MARK: Reading

  var parser: HTTPRequestParser
  /// Bytes behind the current request, and the first of them that is unread.
  var leftover: [UInt8] = []
  var leftoverStart = 0
  var head: HTTPRequestHead?
  var framing: HTTPFraming?
  var body: HTTPBodyCollector?

  // MARK: Answering

  /// Of the exchange that is answered.
  var outbox: HTTPOutbox?
  var output = HTTPSendQueue()
  var ending: Ending?
  var keepsAlive = true

  // MARK: Watching

  var interest: Epoll.Interest = []
  /// The earliest entry in the timers.
  var due = UInt64.max
  var isTouched = false

  init(id: UInt64, descriptor: Int32, isRefused: Bool, parser: HTTPRequestParser, now: UInt64) {
    self.id = id
    self.descriptor = descriptor
    self.isRefused = isRefused
    self.parser = parser
    pace = Pace(now)
  }

  var isReading: Bool { phase == .idle || phase == .head || phase == .body }

  /// The head of the request that is read or was refused, where it was whole.
  var knownHead: HTTPRequestHead? { head ?? parser.refusedHead }

  /// Events that the kernel shall report now.
  var wantedInterest: Epoll.Interest {
    var wanted: Epoll.Interest = output.isEmpty ? [] : .writable
    if isReading || phase == .lingering { wanted.insert(.readable) }
    // A client that closed its side may still read an answer that is whole; without one it counts as gone.
    if phase == .answering && outbox != nil && ending == nil { wanted.insert(.peerClosed) }
    return wanted
  }

  /// When the connection has taken too long.
  func deadline(_ limits: HTTPLimits) -> UInt64 {
    switch phase {
    case .idle:
      Clock.after(pace.start, seconds: answered == 0 ? limits.headSeconds : limits.keepAliveSeconds)
    case .head: Clock.after(pace.start, seconds: limits.headSeconds)
    case .body: pace.deadline(idle: limits.bodyIdleSeconds, rate: limits.minimumBytesPerSecond)
    case .answering:
      output.isEmpty
        ? .max : pace.deadline(idle: limits.writeStallSeconds, rate: limits.minimumBytesPerSecond)
    case .lingering:
      min(
        Clock.after(pace.last, seconds: limits.lingerSeconds),
        Clock.after(pace.start, seconds: 6 * limits.lingerSeconds))
    case .closed: .max
    }
  }
}
