import Glibc
import OccamCore
import OccamHTTP
import OccamTestSupport
import Testing

/// What clients cannot do to the server.
@Suite(.serialized) struct ServerLimitTests {
  static func limits(_ change: (inout HTTPLimits) -> Void) -> HTTPLimits {
    var limits = HTTPLimits()
    change(&limits)
    return limits
  }

  static let refused: [(request: String, status: Int)] = [
    ("nonsense\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("GET /\(String(repeating: "a", count: 20000)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 70000))\r\n\r\n", 431),
    ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil", 400),
  ]

  @Test(arguments: refused) func refusesInTheShapeOfTheAPI(request: String, status: Int) throws {
    let server = try TestServer()
    let client = try server.client()
    // Behind a good request, whose answer must come first.
    try client.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\n\(request)")
    #expect(try client.response().text == "GET /good 0 ")
    let response = try client.response()
    #expect(response.status == status && response.headers["Connection"] == "close")
    #expect(response.headers["Content-Type"]?.hasPrefix("application/json") == true)
    let error = try JSONValue(parsing: response.text)["error"]
    #expect(error?["code"]?.intValue == status)
    #expect(error?["message"]?.stringValue?.isEmpty == false)
    #expect(error?["type"]?.stringValue?.hasSuffix("_error") == true)
    #expect(try client.receive().isEmpty)
  }

  /// What a service adds: here the head that the server knew, and who said it.
  static let ownRefusal: HTTPServer.Refusal = { head, status, message in
    HTTPResponse(
      status, contentType: "text/plain", body: Array("\(head?.path ?? "-"): \(message)".utf8),
      headers: HTTPHeaders([("X-Own", "yes"), ("Connection", "keep-alive")]))
  }

  @Test(arguments: [
    ("nonsense\r\n", 400, "-"), ("GET /x HTTP/1.1\r\n\r\n", 400, "/x"), ("GET /\(long) HTTP/1.1\r\n", 414, "-"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \(long)\(long)\r\n", 431, "-"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, "/x"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3E9\r\n", 413, "/x"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", 408, "/x"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n\(long.prefix(900))", 503, "/x"),
    ("GET /drop HTTP/1.1\r\nHost: a\r\n\r\n", 500, "/drop"),
    ("GET /finish HTTP/1.1\r\nHost: a\r\n\r\n", 500, "/finish"),
  ])
  func ownersSayHowTheServerRefuses(request: String, status: Int, path: String) throws {
    let server = try TestServer(
      limits: ServerLimitTests.limits { ($0.bodyBytes, $0.totalBodyBytes, $0.bodyIdleSeconds) = (1000, 500, 0.3) },
      refusal: ServerLimitTests.ownRefusal,
      handler: { exchange in if exchange.request.head.path == "/finish" { exchange.finish() } })
    let client = try server.client()
    try client.send(request)
    let response = try client.response()
    #expect(response.status == status && response.headers["X-Own"] == "yes")
    #expect(response.text.hasPrefix("\(path): ") && response.text.utf8.count > path.utf8.count + 5)
    // What belongs to the connection stays the server's.
    #expect(response.headers.all("Connection") == [status == 500 ? "keep-alive" : "close"])
    #expect(response.headers["Retry-After"] == (status == 503 ? "1" : nil))
  }

  static let long = String(repeating: "a", count: 40000)

  @Test func ownersSayHowClientsBeyondTheLimitAreRefused() throws {
    let server = try TestServer(
      limits: ServerLimitTests.limits { $0.connections = 1 }, refusal: ServerLimitTests.ownRefusal)
    let first = try server.client()
    #expect(try first.get("/").status == 200)
    let response = try server.client().response()
    #expect(response.status == 503 && response.headers["X-Own"] == "yes" && response.headers["Retry-After"] == "1")
  }

  @Test(arguments: ["Content-Length: 5000000", "Transfer-Encoding: chunked"])
  func clientsThatOnlyWriteLearnThatTheirBodyIsTooLarge(framing: String) throws {
    let server = try TestServer(limits: ServerLimitTests.limits { $0.bodyBytes = 1000 })
    let client = try server.client()
    try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n4C4B40\r\n")
    // The whole of it is sent before the answer is read, which must still be there.
    try client.send([UInt8](repeating: 120, count: 4_999_992))
    let response = try client.response()
    #expect(response.status == 413 && response.headers["Connection"] == "close")
    #expect(try client.receive().isEmpty)
    #expect(eventually { client.disconnect() == () && server.server.statistics.open == 0 })
  }

  @Test func bodiesTogetherAreBounded() throws {
    let held = Guarded<[HTTPExchange]>([])
    let server = try TestServer(
      limits: ServerLimitTests.limits { $0.totalBodyBytes = 250_000 },
      handler: { exchange in held.withLock { $0.append(exchange) } })
    let text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n\(String(repeating: "x", count: 100_000))"
    let clients = try (0..<2).map { _ in try server.client() }
    for client in clients { try client.send(text) }
    #expect(eventually { held.withLock { $0.count } == 2 })
    let third = try server.client()
    try third.send(text)
    let refused = try third.response()
    #expect(refused.status == 503 && refused.headers["Retry-After"] != nil)
    for client in clients {
      TestServer.echo(held.withLock { $0.removeFirst() })
      #expect(try client.response().status == 200)
    }
    // All of it is given back.
    let fourth = try (0..<2).map { _ in try server.client() }
    for client in fourth { try client.send(text) }
    #expect(eventually { held.withLock { $0.count } == 2 })
    held.withLock { $0 = [] }
    for client in fourth { #expect(try client.response().status == 500) }
  }

  @Test func slowHeadsAreEnded() throws {
    let server = try TestServer(limits: ServerLimitTests.limits { $0.headSeconds = 0.3 })
    let silent = try server.client()
    let slow = try server.client()
    try slow.send("GET / HTTP/1.1\r\n")
    #expect(try slow.response().status == 408)
    #expect(try slow.receive().isEmpty)
    #expect(try silent.receive().isEmpty)
    let empty = try server.client()
    try empty.send("\r\n")
    #expect(try empty.receive().isEmpty)
    // Bytes that trickle in do not buy time.
    let trickling = try server.client()
    onThread { while (try? trickling.send("X")) != nil { usleep(10_000) } }
    #expect(try trickling.response().status == 408)
  }

  @Test func slowBodiesAreEnded() throws {
    let server = try TestServer(
      limits: ServerLimitTests.limits { ($0.bodyIdleSeconds, $0.minimumBytesPerSecond) = (0.5, 1_000_000) })
    let silent = try server.client()
    try silent.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    #expect(try silent.response().status == 408)
    let trickling = try server.client()
    try trickling.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx")
    onThread { while (try? trickling.send("X")) != nil { usleep(10_000) } }
    #expect(try trickling.response().status == 408)
  }

  @Test func idleConnectionsAreEnded() throws {
    let server = try TestServer(limits: ServerLimitTests.limits { $0.keepAliveSeconds = 0.3 })
    let client = try server.client()
    #expect(try client.get("/").status == 200)
    #expect(try client.receive().isEmpty)
  }

  @Test func waitingForAnAnswerIsNotIdle() throws {
    let held = Guarded<HTTPExchange?>(nil)
    let server = try TestServer(
      limits: ServerLimitTests.limits {
        ($0.keepAliveSeconds, $0.headSeconds, $0.bodyIdleSeconds, $0.writeStallSeconds) = (0.1, 0.1, 0.1, 0.1)
      }, handler: { exchange in held.withLock { $0 = exchange } })
    let client = try server.client()
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { held.withLock { $0 != nil } })
    for _ in 0..<100 { usleep(10_000) }
    held.withLock { $0.map(TestServer.echo) }
    #expect(try client.response().status == 200)
  }

  @Test func connectionsBeyondTheLimitAreTold() throws {
    let server = try TestServer(limits: ServerLimitTests.limits { $0.connections = 3 })
    let clients = try (0..<3).map { _ in try server.client() }
    for client in clients { #expect(try client.get("/").status == 200) }
    for _ in 0..<200 {
      let refused = try server.client()
      try? refused.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let response = try refused.response()
      #expect(response.status == 503 && response.headers["Retry-After"] == "1")
      #expect(try refused.receive().isEmpty)
    }
    #expect(server.server.statistics.refused == 200)
    for client in clients { #expect(try client.get("/").status == 200) }
    clients[0].disconnect()
    #expect(
      eventually {
        (try? server.client().get("/"))?.status == 200
      })
  }

  @Test func refusedClientsThatStayAreBounded() throws {
    let server = try TestServer(limits: ServerLimitTests.limits { $0.connections = 1 })
    let first = try server.client()
    #expect(try first.get("/").status == 200)
    var staying: [HTTPTestClient] = []
    for _ in 0..<300 {
      let client = try server.client()
      #expect(try client.response().status == 503)
      staying.append(client)
    }
    #expect(server.server.statistics.open <= 150)
    #expect(try first.get("/").status == 200)
  }

  @Test func readersThatStallAreAbandoned() throws {
    let outcome = Guarded<(isGone: Bool, calls: Int)>((false, 0))
    let server = try TestServer(
      limits: ServerLimitTests.limits { ($0.writeStallSeconds, $0.unsentBytes) = (0.3, 1 << 30) },
      handler: { exchange in
        exchange.onAbandon { outcome.withLock { $0.calls += 1 } }
        exchange.begin(200, HTTPHeaders())
        onThread {
          for _ in 0..<20 { exchange.write([UInt8](repeating: 1, count: 1 << 20)) }
          let isGone = eventually { exchange.isAbandoned }
          outcome.withLock { $0.isGone = isGone }
        }
      })
    let client = try HTTPTestClient(port: server.port, receiveBuffer: 4096)
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { outcome.withLock { $0.isGone } })
    #expect(outcome.withLock { $0.calls } == 1)
    #expect(eventually { server.server.statistics.open == 0 })
  }

  @Test func readersTooFarBehindAreAbandoned() throws {
    let written = Guarded<Int?>(nil)
    let server = try TestServer(
      limits: ServerLimitTests.limits { $0.unsentBytes = 1 << 20 },
      handler: { exchange in
        exchange.begin(200, HTTPHeaders())
        onThread {
          var count = 0
          while count < 1 << 30, exchange.write([UInt8](repeating: 1, count: 10000)) { count += 10000 }
          let total = exchange.isAbandoned ? count : -1
          written.withLock { $0 = total }
        }
      })
    let client = try HTTPTestClient(port: server.port, receiveBuffer: 4096)
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(eventually { written.withLock { $0 != nil } })
    let count = written.withLock { $0 } ?? -1
    // The limit, and what the kernel's buffers took.
    #expect(count >= 500_000 && count < 200 << 20)
    #expect(eventually { server.server.statistics.open == 0 })
  }

  @Test func oneLargePartIsNoSlowReader() throws {
    let outcome = Guarded<[Bool]>([])
    let server = try TestServer(
      limits: ServerLimitTests.limits { $0.unsentBytes = 1 << 20 },
      handler: { exchange in
        exchange.begin(200, HTTPHeaders())
        // The end follows before the client has taken the large part.
        let large = exchange.write([UInt8](repeating: 7, count: 20 << 20))
        let end = exchange.write([8])
        // A second part of this size is too much.
        let further = exchange.request.head.path == "/more" && exchange.write([UInt8](repeating: 7, count: 20 << 20))
        exchange.finish()
        outcome.withLock { $0 = [large, end, further] }
      })
    let client = try HTTPTestClient(port: server.port, receiveBuffer: 65536)
    let body = try client.get("/").body
    #expect(body.count == 20 << 20 + 1 && body.last == 8)
    #expect(outcome.withLock { $0 } == [true, true, false])
    try client.send("GET /more HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(throws: TestFailure.self) { try client.response() }
    #expect(outcome.withLock { $0 } == [true, true, false])
  }

  @Test func slowReadersThatReadGetAll() throws {
    let server = try TestServer(
      limits: ServerLimitTests.limits { $0.unsentBytes = 1 << 20 },
      handler: { exchange in
        exchange.respond(HTTPResponse(200, contentType: "", body: [UInt8](repeating: 7, count: 30 << 20)))
      })
    let client = try HTTPTestClient(port: server.port, receiveBuffer: 65536)
    #expect(try client.get("/").body.count == 30 << 20)
    #expect(try client.get("/").body.allSatisfy { $0 == 7 })
  }
}
