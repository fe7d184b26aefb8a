import Glibc
import OccamCore

/// The listening sockets, and what to do when the process has no descriptor left. The loop's thread.
struct HTTPAcceptor: ~Copyable {
  enum Outcome {
    case connection(Int32, isTCP: Bool)
    /// Nobody waits any more, or nobody can be taken for a while.
    case none
    /// Who waited has left again: the next one may wait.
    case left
    /// Somebody waited, and could only be told that there is no descriptor.
    case turnedAway
  }

  /// Waiting time when even the reserve does not help.
  private static let pauseSeconds = 0.1

  private var listeners: [UInt64: HTTPListener] = [:]
  /// A descriptor to give up when there is no other, so that the next client can be told instead of left in the queue,
  /// which would keep the loop spinning.
  private var reserve: Int32
  /// When the listeners are watched again; nil: they are.
  private(set) var resume: UInt64?

  init(_ listeners: [HTTPListener]) {
    for (index, listener) in listeners.enumerated() { self.listeners[UInt64(index) + 1] = listener }
    reserve = HTTPAcceptor.openReserve()
  }

  deinit { if reserve >= 0 { close(reserve) } }

  private static func openReserve() -> Int32 { open("/dev/null", O_RDONLY | O_CLOEXEC) }

  var ids: [UInt64] { Array(listeners.keys) }

  func watch(_ epoll: Epoll) {
    for (id, listener) in listeners where !epoll.add(listener.descriptor, id: id, .readable) {
      Log.warning("http: cannot watch a listening socket: \(String(cString: strerror(errno)))")
    }
  }

  /// Closes the listeners; the kernel refuses further clients. A socket that another process holds as well stays open,
  /// and epoll would go on to report whoever connects to it.
  mutating func end(_ epoll: Epoll) {
    for listener in listeners.values {
      epoll.remove(listener.descriptor)
      listener.end()
    }
    listeners = [:]
    resume = nil
  }

  mutating func resumeIfDue(_ now: UInt64, _ epoll: Epoll) {
    guard let time = resume, now >= time else { return }
    resume = nil
    watch(epoll)
  }

  /// Takes one client.
  /// - Parameter refusal: what a client is told for whom there is no descriptor.
  mutating func accept(from id: UInt64, now: UInt64, _ epoll: Epoll, refusal: () -> [UInt8]) -> Outcome {
    guard let listener = listeners[id] else { return .none }
    let descriptor = acceptOne(listener)
    if descriptor >= 0 { return .connection(descriptor, isTCP: listener.port != nil) }
    switch errno {
    case EAGAIN, EWOULDBLOCK: return .none
    case EMFILE, ENFILE: return turnAway(listener, now, epoll, refusal())
    case ENOBUFS, ENOMEM:
      pause(now, epoll)
      return .none
    // The client gave up, or its network failed: the next one may be better.
    case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
      ENETUNREACH, EPERM:
      return .left
    default:
      pause(now, epoll)
      return .none
    }
  }

  private func acceptOne(_ listener: HTTPListener) -> Int32 {
    acceptConnection(listener.descriptor, nil, nil, O_NONBLOCK | O_CLOEXEC)
  }

  private mutating func turnAway(
    _ listener: HTTPListener, _ now: UInt64, _ epoll: Epoll, _ refusal: [UInt8]
  ) -> Outcome {
    if reserve >= 0 { close(reserve) }
    let descriptor = acceptOne(listener)
    let code = errno
    if descriptor >= 0 { HTTPAcceptor.say(refusal, to: descriptor) }
    reserve = HTTPAcceptor.openReserve()
    if descriptor >= 0 { return .turnedAway }
    if code != EAGAIN { pause(now, epoll) }
    return .none
  }

  /// Tells a client what fits into its socket's buffer, and closes. What it sent is read first: unread bytes would make
  /// the kernel reset the connection and the answer with it.
  static func say(_ bytes: [UInt8], to descriptor: Int32) {
    withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) {
      _ = recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
    }
    _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
    shutdown(descriptor, Int32(SHUT_WR))
    close(descriptor)
  }

  private mutating func pause(_ now: UInt64, _ epoll: Epoll) {
    guard resume == nil else { return }
    Log.warning("http: cannot accept connections: \(String(cString: strerror(errno)))")
    resume = Clock.after(now, seconds: HTTPAcceptor.pauseSeconds)
    for listener in listeners.values { epoll.remove(listener.descriptor) }
  }
}

extension HTTPEventLoop {
  /// Clients taken in one turn from one listener.
  private static let acceptLimit = 64
  /// Clients beyond the limit that are seen off properly; further ones are told and closed without waiting for them.
  private static let refusedLimit = 128

  /// - Returns: whether it stopped at its limit: more may wait.
  @discardableResult func accept(from id: UInt64) -> Bool {
    for _ in 0..<HTTPEventLoop.acceptLimit {
      switch acceptor.accept(from: id, now: now, epoll, refusal: { bytes(tooManyConnections()) }) {
      case .none: return false
      case .left: break
      case .turnedAway: counts.refused += 1
      case .connection(let descriptor, let isTCP):
        counts.accepted += 1
        if isTCP { HTTPEventLoop.tune(descriptor) }
        if connections.count - refusedOpen < limits.connections {
          _ = open(descriptor, isRefused: false)
          continue
        }
        counts.refused += 1
        if refusedOpen >= HTTPEventLoop.refusedLimit {
          HTTPAcceptor.say(bytes(tooManyConnections()), to: descriptor)
        } else if let connection = open(descriptor, isRefused: true) {
          refuse(connection, tooManyConnections())
        }
      }
    }
    return true
  }

  /// Takes who waits already. Bounded by what the kernel's queue can hold: others may come as fast as they are taken.
  func acceptAllWaiting() {
    for id in acceptor.ids {
      var rounds = Int(HTTPListener.backlog) / HTTPEventLoop.acceptLimit
      while rounds > 0, accept(from: id) { rounds -= 1 }
    }
  }

  private func tooManyConnections() -> HTTPResponse {
    refusal(nil, 503, "the server has too many connections", retryAfter: 1)
  }

  /// Parts of a stream go out at once; a peer that vanished without a word is found out in a few minutes.
  private static func tune(_ descriptor: Int32) {
    HTTPListener.set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    HTTPListener.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    HTTPListener.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 60)
    HTTPListener.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 15)
    HTTPListener.set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 4)
  }

  /// A whole answer after which the connection closes.
  func bytes(_ response: HTTPResponse, isHead: Bool = false) -> [UInt8] {
    let head = HTTPResponseHead(
      status: response.status, headers: response.headers, body: .length(response.body.count))
    return head.bytes(keepsAlive: false, date: dateText()) + (isHead || head.hasNoBody ? [] : response.body)
  }
}
