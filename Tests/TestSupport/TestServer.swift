import Dispatch
import OccamHTTP

/// A server on a thread of its own, on a free port of this machine.
package final class TestServer: Sendable {
  package let server: HTTPServer
  package let port: UInt16
  private let ended = DispatchSemaphore(value: 0)

  package convenience init(
    _ address: HTTPAddress = .tcp(host: "127.0.0.1", port: 0), limits: HTTPLimits = HTTPLimits(),
    screen: @escaping @Sendable (HTTPRequestHead) -> HTTPResponse? = { _ in nil },
    refusal: @escaping HTTPServer.Refusal = { _, status, message in .failure(status, message) },
    handler: @escaping @Sendable (HTTPExchange) -> Void = TestServer.echo
  ) throws {
    try self.init(HTTPServer(limits: limits, screen: screen, refusal: refusal, handler: handler), address)
  }

  package init(_ server: HTTPServer, _ address: HTTPAddress = .tcp(host: "127.0.0.1", port: 0)) throws {
    self.server = server
    try server.listen(address)
    port = server.ports.first ?? 0
    onThread { [server, ended] in
      server.run()
      ended.signal()
    }
  }

  deinit { server.stop() }

  package func client() throws -> HTTPTestClient { try HTTPTestClient(port: port) }

  /// Whether `run` has returned; waits for it.
  package func hasEnded() -> Bool {
    guard ended.wait(timeout: .now() + .seconds(HTTPTestClient.seconds)) == .success else { return false }
    ended.signal()
    return true
  }

  /// Answers with what it was asked.
  package static let echo: @Sendable (HTTPExchange) -> Void = { exchange in
    let head = exchange.request.head
    let text = "\(head.method) \(head.target) \(exchange.request.body.count) "
    exchange.respond(HTTPResponse(200, contentType: "text/plain", body: Array(text.utf8) + exchange.request.body))
  }
}
