import Dispatch
import Glibc
import OccamCore
import OccamHTTP

/// A server on a thread of its own, on a free port of this machine.
final class TestServer: Sendable {
  let server: HTTPServer
  let port: UInt16
  private let ended = DispatchSemaphore(value: 0)

  init(
    _ address: HTTPAddress = .tcp(host: "127.0.0.1", port: 0), limits: HTTPLimits = HTTPLimits(),
    screen: @escaping @Sendable (HTTPRequestHead) -> HTTPResponse? = { _ in nil },
    handler: @escaping @Sendable (HTTPExchange) -> Void = TestServer.echo
  ) throws {
    server = HTTPServer(limits: limits, screen: screen, handler: handler)
    try server.listen(address)
    port = server.ports.first ?? 0
    onThread { [server, ended] in
      server.run()
      ended.signal()
    }
  }

  deinit { server.stop() }

  func client() throws -> TestClient { try TestClient(port: port) }

  /// Whether `run` has returned; waits for it.
  func hasEnded() -> Bool {
    guard ended.wait(timeout: .now() + .seconds(TestClient.seconds)) == .success else { return false }
    ended.signal()
    return true
  }

  /// Answers with what it was asked.
  static let echo: @Sendable (HTTPExchange) -> Void = { exchange in
    let head = exchange.request.head
    let text = "\(head.method) \(head.target) \(exchange.request.body.count) "
    exchange.respond(HTTPResponse(200, contentType: "text/plain", body: Array(text.utf8) + exchange.request.body))
  }
}

/// A moment between two steps of a slow client.
func usleepShort() { usleep(10_000) }

func onThread(_ body: @escaping @Sendable () -> Void) {
  let box = Unmanaged.passRetained(Guarded(body) as AnyObject)
  var thread = pthread_t()
  let status = pthread_create(
    &thread, nil,
    { argument in
      let held = argument.map { Unmanaged<AnyObject>.fromOpaque($0).takeRetainedValue() }
      let body = (held as? Guarded<@Sendable () -> Void>)?.withLock { $0 }
      body?()
      return nil
    }, box.toOpaque())
  precondition(status == 0)
  pthread_detach(thread)
}

/// Waits until a condition holds; false when it never does.
func eventually(_ condition: () -> Bool) -> Bool {
  let start = Clock.nanoseconds()
  while !condition() {
    if Clock.milliseconds(since: start) > Double(TestClient.seconds) * 1000 { return false }
    usleep(2000)
  }
  return true
}
