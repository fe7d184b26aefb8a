import Dispatch
import Glibc
import OccamCore
import OccamHTTP
import OccamTestSupport
import Testing

/// How clients and servers come and go.
@Suite(.serialized) struct ServerLifeTests {
  enum Leaving: CaseIterable { case disconnect, reset, halfClose }

  @Test(arguments: Leaving.allCases, [false, true]) func ownersLearnThatTheClientLeft(how: Leaving, streaming: Bool)
    throws
  {
    let held = Guarded<HTTPExchange?>(nil)
    let calls = Guarded(0)
    let server = try TestServer(handler: { exchange in
      exchange.onAbandon { calls.withLock { $0 += 1 } }
      if streaming { exchange.begin(200, HTTPHeaders()) }
      held.withLock { $0 = exchange }
    })
    let client = try server.client()
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { held.withLock { $0 != nil } })
    let exchange = try #require(held.withLock { $0 })
    #expect(!exchange.isAbandoned)
    switch how {
    case .disconnect: client.disconnect()
    case .reset: client.reset()
    case .halfClose: client.closeSending()
    }
    #expect(eventually { exchange.isAbandoned && calls.withLock { $0 } == 1 })
    #expect(!exchange.write([1]))
    exchange.onAbandon { calls.withLock { $0 += 10 } }
    #expect(calls.withLock { $0 } == 11)
    exchange.respond(HTTPResponse(200, contentType: "", body: []))
    exchange.finish()
    #expect(exchange.isAbandoned && calls.withLock { $0 } == 11)
    #expect(eventually { server.server.statistics.open == 0 })
  }

  /// Counts itself when it is let go.
  final class Token: Sendable {
    let count: Guarded<Int>
    init(_ count: Guarded<Int>) { self.count = count }
    deinit { count.withLock { $0 += 1 } }
  }

  @Test(arguments: ["/respond", "/finish", "/leave"]) func closuresThatHoldTheExchangeAreLetGo(path: String) throws {
    let freed = Guarded(0)
    let server = try TestServer(handler: { exchange in
      let token = Token(freed)
      exchange.onAbandon { withExtendedLifetime((token, exchange)) {} }
      if path == "/respond" { TestServer.echo(exchange) }
      if path == "/finish" {
        exchange.begin(200, HTTPHeaders())
        exchange.finish()
      }
    })
    let client = try server.client()
    try client.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
    if path == "/leave" {
      #expect(eventually { server.server.statistics.requests == 1 })
      client.disconnect()
    } else {
      #expect(try client.response().status == 200)
    }
    #expect(eventually { freed.withLock { $0 } == 1 })
  }

  @Test func nobodyIsToldAfterTheAnswer() throws {
    let calls = Guarded(0)
    let server = try TestServer(handler: { exchange in
      exchange.onAbandon { calls.withLock { $0 += 1 } }
      TestServer.echo(exchange)
      exchange.onAbandon { calls.withLock { $0 += 1 } }
    })
    let client = try server.client()
    #expect(try client.get("/").status == 200)
    client.reset()
    #expect(eventually { server.server.statistics.open == 0 })
    #expect(calls.withLock { $0 } == 0)
  }

  @Test func aClientThatClosesItsSideGetsAnAnswerThatIsReady() throws {
    let server = try TestServer()
    let client = try server.client()
    try client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    client.closeSending()
    #expect(try client.response().text == "GET /x 0 ")
  }

  @Test func aClientThatClosesItsSideGetsAllOfALargeAnswer() throws {
    let server = try TestServer()
    let client = try HTTPTestClient(port: server.port, receiveBuffer: 4096)
    let body = (0..<4 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    try client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
    try client.send(body)
    client.closeSending()
    // The answer is much more than the sockets hold: it waits while the client's end is there already.
    #expect(eventually { server.server.statistics.bytesOut > 0 })
    for _ in 0..<10 { usleep(10_000) }
    #expect(try client.response().body.suffix(body.count) == body[...])
    #expect(try client.receive().isEmpty)
    #expect(eventually { server.server.statistics.open == 0 })
  }

  @Test func stopAbandonsWhatRuns() throws {
    let held = Guarded<HTTPExchange?>(nil)
    let server = try TestServer(handler: { exchange in held.withLock { $0 = exchange } })
    let (client, idle) = (try server.client(), try server.client())
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { held.withLock { $0 != nil } })
    server.server.stop()
    #expect(server.hasEnded())
    #expect(held.withLock { $0?.isAbandoned } == true)
    #expect(try client.receive().isEmpty)
    #expect(try idle.receive().isEmpty)
    #expect(throws: TestFailure.self) { try server.client() }
    #expect(throws: HTTPError.self) { try server.server.listen(.tcp(host: "127.0.0.1", port: 0)) }
    server.server.run()
  }

  @Test func drainFinishesWhatRuns() throws {
    let held = Guarded<[HTTPExchange]>([])
    let server = try TestServer(handler: { exchange in
      if exchange.request.head.path == "/wait" { return held.withLock { $0.append(exchange) } }
      TestServer.echo(exchange)
    })
    let (waiting, half, idle) = (try server.client(), try server.client(), try server.client())
    #expect(try idle.get("/").status == 200)
    try waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    try half.send("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
    #expect(eventually { held.withLock { $0.count } == 1 && server.server.statistics.requests == 3 })
    server.server.drain(seconds: 1000)
    #expect(try idle.receive().isEmpty)
    #expect(throws: TestFailure.self) { try server.client() }
    try half.send("b")
    let late = try half.response()
    #expect(late.text == "POST /half 2 ab" && late.headers["Connection"] == "close")
    TestServer.echo(held.withLock { $0.removeFirst() })
    let response = try waiting.response()
    #expect(response.status == 200 && response.headers["Connection"] == "close")
    waiting.disconnect()
    half.disconnect()
    #expect(server.hasEnded())
    #expect(server.server.statistics.open == 0)
  }

  @Test func drainHearsWhoeverCameBefore() throws {
    let gate = DispatchSemaphore(value: 0)
    let server = try TestServer(handler: { exchange in
      // The loop stands still meanwhile: clients wait in the kernel's queue, more than one turn takes.
      if exchange.request.head.path == "/block" { gate.wait() }
      TestServer.echo(exchange)
    })
    let first = try server.client()
    try first.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { server.server.statistics.accepted == 1 })
    let clients = try (0..<150).map { _ in try server.client() }
    for client in clients { try client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n") }
    server.server.drain(seconds: 1000)
    gate.signal()
    #expect(try first.response().status == 200)
    for client in clients { #expect(try client.response().text == "GET /x 0 ") }
    for client in clients + [first] { client.disconnect() }
    #expect(server.hasEnded())
  }

  @Test func drainCutsWhatTakesTooLong() throws {
    let held = Guarded<HTTPExchange?>(nil)
    let server = try TestServer(handler: { exchange in held.withLock { $0 = exchange } })
    let client = try server.client()
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { held.withLock { $0 != nil } })
    server.server.drain(seconds: 0.1)
    #expect(server.hasEnded())
    #expect(held.withLock { $0?.isAbandoned } == true)
  }

  @Test func drainUnderLoadAnswersEveryRequestItTook() throws {
    let server = try TestServer(handler: { exchange in onThread { TestServer.echo(exchange) } })
    let (answers, left) = (Guarded(0), Guarded(6))
    for _ in 0..<6 {
      onThread {
        defer { left.withLock { $0 -= 1 } }
        while let client = try? server.client() {
          while (try? client.get("/").status) == 200 { answers.withLock { $0 += 1 } }
        }
      }
    }
    #expect(eventually { answers.withLock { $0 } > 200 })
    server.server.drain(seconds: 1000)
    #expect(server.hasEnded())
    #expect(eventually { left.withLock { $0 } == 0 })
    #expect(answers.withLock { $0 } == server.server.statistics.requests)
  }

  @Test func servesAUnixSocketAndReplacesAStaleOne() throws {
    let path = "\(TemporaryFolder.make())/socket"
    let server = try TestServer(.unix(path: path))
    #expect(try HTTPTestClient(path: path).get("/u").text == "GET /u 0 ")
    #expect(server.server.ports.isEmpty)
    // A live one stays.
    #expect(throws: HTTPError("unix:\(path)", "another server listens there")) { try TestServer(.unix(path: path)) }
    server.server.stop()
    #expect(server.hasEnded())
    #expect(!Files.exists(path))
    // What a killed server leaves behind.
    let stale = HTTPServer(handler: TestServer.echo)
    try stale.listen(.unix(path: path))
    #expect(rename(path, path + ".moved") == 0)
    stale.stop()
    stale.run()
    #expect(rename(path + ".moved", path) == 0)
    let next = try TestServer(.unix(path: path))
    #expect(try HTTPTestClient(path: path).get("/v").text == "GET /v 0 ")
    next.server.stop()
    #expect(next.hasEnded() && !Files.exists(path))
    // What is no socket stays as well.
    try Files.write([1], to: path)
    #expect(throws: HTTPError("unix:\(path)", "the path is taken by something else")) {
      try TestServer(.unix(path: path))
    }
    #expect(try Files.read(path) == [1])
    let long = String(repeating: "x", count: 200)
    #expect(throws: HTTPError.self) { try TestServer(.unix(path: "/tmp/\(long)")) }
  }

  /// Whether the kernel has given an interface the address ::1.
  static let hasIPv6 = (try? Files.read("/proc/net/if_inet6")).map { content in
    content.split(separator: 10).contains { $0.starts(with: "\(String(repeating: "0", count: 31))1 ".utf8) }
  }

  @Test(.enabled(if: hasIPv6 == true, "no IPv6 here"), arguments: ["::1", "[::1]"])
  func servesIPv6(host: String) throws {
    let address = HTTPAddress.tcp(host: host, port: 0)
    #expect("\(address)" == "[::1]:0")
    let server = try TestServer(address)
    #expect(try HTTPTestClient(ipv6: server.port).get("/").text == "GET / 0 ")
  }

  @Test func servesSeveralAddresses() throws {
    let server = HTTPServer(handler: TestServer.echo)
    try server.listen(.tcp(host: "127.0.0.1", port: 0))
    try server.listen(.tcp(host: "localhost", port: 0))
    try server.listen(.tcp(host: "*", port: 0))
    #expect(server.ports.count == 3 && !server.ports.contains(0))
    onThread { server.run() }
    defer { server.stop() }
    for port in server.ports { #expect(try HTTPTestClient(port: port).get("/").status == 200) }
  }

  @Test func saysWhyItCannotListen() throws {
    let server = try TestServer()
    let taken = HTTPAddress.tcp(host: "127.0.0.1", port: server.port)
    #expect(throws: HTTPError("\(taken)", "cannot listen: Address already in use")) { try TestServer(taken) }
    #expect(throws: HTTPError.self) { try TestServer(.tcp(host: "no such host", port: 0)) }
    #expect(throws: HTTPError.self) { try TestServer(.descriptor(-1)) }
    var pipes: [Int32] = [0, 0]
    #expect(pipe(&pipes) == 0)
    defer { for descriptor in pipes { close(descriptor) } }
    #expect(throws: HTTPError.self) { try TestServer(.descriptor(pipes[0])) }
  }

  @Test func servesASocketThatWasHandedOver() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #expect(throws: HTTPError.self) { try TestServer(.descriptor(descriptor)) }
    #expect(listen(descriptor, 5) == 0)
    let server = try TestServer(.descriptor(descriptor))
    #expect(server.port != 0)
    #expect(try server.client().get("/").status == 200)
  }
}
