import Glibc
import OccamCore

/// A server for HTTP/1.1 and 1.0 over TCP and Unix sockets: one loop on the thread of `run`, which reads requests and
/// sends answers; exchanges are answered from any thread. TLS and compression are the duty of a proxy in front of it.
package final class HTTPServer: Sendable {
  /// An answer to a request that the server refuses itself, on the loop's thread or on that of an exchange's owner. Must
  /// not block.
  package typealias Refusal = @Sendable (_ head: HTTPRequestHead?, _ status: Int, _ message: String) -> HTTPResponse

  private enum Phase { case listening, running, ended }

  private struct State {
    var phase = Phase.listening
    var listeners: [HTTPListener] = []
    var ports: [UInt16] = []
  }

  private let limits: HTTPLimits
  private let screen: @Sendable (HTTPRequestHead) -> HTTPResponse?
  private let handler: @Sendable (HTTPExchange) -> Void
  private let refusal: Refusal
  /// nil when the process had no descriptor left for them; `listen` says so.
  private let waiting: (mailbox: HTTPMailbox, epoll: Epoll)?
  private let state = Guarded(State())
  private let counts = Guarded(HTTPStatistics())

  /// - Parameters:
  ///   - screen: asked on the loop's thread as soon as a head is complete, before any body is read. A response refuses
  ///     the request; where a body would follow, the connection closes after it. Must not block.
  ///   - refusal: what the server says itself: of requests that are none, too large or too slow, of too many clients, and
  ///     of exchanges that nobody answers. The head is nil where none was read to its end. `Retry-After` is the server's.
  ///   - handler: gets every other request, whole, on the loop's thread. Must not block.
  package init(
    limits: HTTPLimits = HTTPLimits(), screen: @escaping @Sendable (HTTPRequestHead) -> HTTPResponse? = { _ in nil },
    refusal: @escaping Refusal = { _, status, message in .failure(status, message) },
    handler: @escaping @Sendable (HTTPExchange) -> Void
  ) {
    self.limits = limits
    self.screen = screen
    self.refusal = refusal
    self.handler = handler
    waiting = HTTPServer.openWaiting()
  }

  private static func openWaiting() -> (mailbox: HTTPMailbox, epoll: Epoll)? {
    guard let mailbox = try? HTTPMailbox(), let epoll = try? Epoll(),
      epoll.add(mailbox.descriptor, id: 0, .readable)
    else { return nil }
    return (mailbox, epoll)
  }

  deinit { state.withLock { state in for listener in state.listeners { listener.end() } } }

  /// Opens an address; clients can connect from now on and are served by `run`. Any thread, before `run`. Looks host
  /// names up, which may take time.
  package func listen(_ address: HTTPAddress) throws(HTTPError) {
    guard waiting != nil else { throw HTTPError("\(address)", "the process has no descriptor left") }
    let listeners = try HTTPListener.open(address)
    let isInTime = state.withLock { state in
      guard state.phase == .listening else { return false }
      state.listeners += listeners
      if let port = listeners.first?.port { state.ports.append(port) }
      return true
    }
    guard isInTime else {
      for listener in listeners { listener.end() }
      throw HTTPError("\(address)", "the server runs already")
    }
  }

  /// The TCP ports, one for each address that has one, in the order of `listen`.
  package var ports: [UInt16] { state.withLock { $0.ports } }

  /// Serves on the calling thread until drained or stopped. Once: a second call returns at once.
  package func run() {
    let listeners = state.withLock { state -> [HTTPListener]? in
      guard state.phase == .listening else { return nil }
      state.phase = .running
      defer { state.listeners = [] }
      return state.listeners
    }
    guard let listeners, let waiting else { return }
    defer { state.withLock { $0.phase = .ended } }
    let loop = HTTPEventLoop(
      limits: limits, screen: screen, handler: handler, refusal: refusal, mailbox: waiting.mailbox,
      epoll: waiting.epoll, listeners: listeners, statistics: counts)
    loop.run()
  }

  /// Ends gently: no new connections, idle ones are closed, running exchanges are finished and their connections
  /// closed; then `run` returns. What is left after `seconds` is cut. Any thread, but no signal handler.
  package func drain(seconds: Double) {
    waiting?.mailbox.drain(deadline: Clock.after(Clock.nanoseconds(), seconds: seconds))
  }

  /// Ends at once: exchanges that are not finished are abandoned. Any thread, but no signal handler.
  package func stop() { waiting?.mailbox.stop() }

  /// For tests, which cannot see from outside what the loop took and what it let go.
  package var statistics: HTTPStatistics { counts.withLock { $0 } }
}
