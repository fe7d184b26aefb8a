import OccamCore
import OccamHTTP
import OccamTestSupport
import Testing

/// What a client sees of well-meant requests.
@Suite(.serialized) struct ServerTests {
  @Test func keepsAConnectionAlive() throws {
    let server = try TestServer()
    let client = try server.client()
    for index in 0..<5 {
      let response = try client.get("/\(index)")
      #expect(response.status == 200 && response.text == "GET /\(index) 0 ")
      #expect(response.headers["Connection"] == "keep-alive")
      #expect(response.headers["Content-Type"] == "text/plain")
      #expect(response.headers["Date"]?.hasSuffix(" GMT") == true)
    }
    #expect(try client.get("/last", "Connection: close\r\n").headers["Connection"] == "close")
    #expect(try client.receive().isEmpty)
    #expect(eventually { server.server.statistics.open == 0 })
    let counts = server.server.statistics
    #expect(counts.accepted == 1 && counts.requests == 6 && counts.refused == 0)
    #expect(counts.bytesIn > 200 && counts.bytesOut > 500)
  }

  @Test func answersPipelinedRequestsInOrder() throws {
    // Answers come from other threads, later ones first, were they begun together.
    let server = try TestServer(handler: { exchange in
      onThread { TestServer.echo(exchange) }
    })
    let client = try server.client()
    var text = ""
    for index in 0..<200 { text += "POST /\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" }
    try client.send(text)
    for index in 0..<200 { #expect(try client.response().text == "POST /\(index) 3 abc") }
  }

  @Test func pipelinedRequestsWaitInTheSocket() throws {
    let held = Guarded<[HTTPExchange]>([])
    let server = try TestServer(handler: { exchange in held.withLock { $0.append(exchange) } })
    let client = try server.client()
    let one = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + String(repeating: "x", count: 100_000)
    try client.send(one)
    #expect(eventually { held.withLock { $0.count } == 1 })
    let before = server.server.statistics.bytesIn
    // As much as the sockets hold may be on the way; the server must not take it.
    onThread { try? client.send(String(repeating: one, count: 20)) }
    // The loop has many turns meanwhile.
    for _ in 0..<20 {
      let other = try server.client()
      try other.send("nonsense\r\n")
      #expect(try other.response().status == 400)
    }
    #expect(server.server.statistics.bytesIn - before <= 256 << 10)
    #expect(held.withLock { $0.count } == 1)
    for _ in 0..<21 {
      #expect(eventually { held.withLock { !$0.isEmpty } })
      let exchange = held.withLock { $0.removeFirst() }
      #expect(exchange.request.body.count == 100_000)
      TestServer.echo(exchange)
      #expect(try client.response().status == 200)
    }
  }

  @Test func answersWithoutABody() throws {
    let server = try TestServer(handler: { exchange in
      if exchange.request.head.path == "/204" {
        exchange.respond(HTTPResponse(204, contentType: "", body: [1, 2, 3]))
      } else if exchange.request.head.path == "/stream" {
        exchange.begin(200, HTTPHeaders())
        #expect(exchange.write([1, 2, 3]))
        exchange.finish()
      } else {
        TestServer.echo(exchange)
      }
    })
    let client = try server.client()
    for target in ["/x", "/stream"] {
      try client.send("HEAD \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
      let response = try client.response(toHead: true)
      #expect(response.status == 200)
      #expect(response.headers["Content-Length"] == (target == "/x" ? "10" : nil))
    }
    let empty = try client.get("/204")
    #expect(empty.status == 204 && empty.headers["Content-Length"] == nil)
    #expect(try client.get("/y").text == "GET /y 0 ")
  }

  /// Such a status would change what clients take for the answer's end.
  @Test(arguments: [-1, 0, 99, 100, 199], [false, true])
  func statusesThatEndNothingBecomeFinalOnes(status: Int, streaming: Bool) throws {
    let server = try TestServer(handler: { exchange in
      guard streaming else { return exchange.respond(HTTPResponse(status, contentType: "", body: [65])) }
      exchange.begin(status, HTTPHeaders())
      exchange.write([65])
      exchange.finish()
    })
    let client = try server.client()
    for _ in 0..<2 {
      let response = try client.get("/")
      #expect(response.status == 200 && response.text == "A")
    }
  }

  @Test func streamsInChunksAndUntilTheEnd() throws {
    let server = try TestServer(handler: { exchange in
      exchange.begin(200, HTTPHeaders([("Content-Type", ServerSentEvents.contentType)]))
      onThread {
        for index in 0..<50 { exchange.write(ServerSentEvents.frame("\(index)")) }
        exchange.write([])
        exchange.finish()
        #expect(!exchange.write([1]))
      }
    })
    let wanted = (0..<50).map { "data: \($0)\n\n" }.joined()
    let client = try server.client()
    for _ in 0..<3 {
      let response = try client.get("/")
      #expect(response.headers["Transfer-Encoding"] == "chunked" && response.headers["Content-Length"] == nil)
      #expect(response.text == wanted)
    }
    let old = try server.client()
    try old.send("GET / HTTP/1.0\r\n\r\n")
    let text = try old.receiveAll()
    #expect(text.hasSuffix("\r\n\r\n" + wanted) && !text.contains("Transfer-Encoding"))
    #expect(text.contains("Connection: close"))
  }

  @Test func partsOfAStreamComeAtOnce() throws {
    let next = Guarded<HTTPExchange?>(nil)
    let server = try TestServer(handler: { exchange in
      exchange.begin(200, HTTPHeaders())
      next.withLock { $0 = exchange }
    })
    let client = try server.client()
    try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(try client.head().status == 200)
    for index in 0..<20 {
      // Each part is read before the next one is written.
      #expect(next.withLock { $0 }?.write(Array("part \(index)".utf8)) == true)
      #expect(try client.chunk() == Array("part \(index)".utf8))
    }
    next.withLock { $0 }?.finish()
    #expect(try client.chunk().isEmpty)
  }

  @Test func takesChunkedBodies() throws {
    let server = try TestServer()
    let client = try server.client()
    try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    var wanted = ""
    for index in 0..<100 {
      try client.send("5;x=y\r\n\(10000 + index)\r\n")
      wanted += "\(10000 + index)"
    }
    try client.send("0\r\nX-Trailer: 1\r\n\r\n")
    #expect(try client.response().text == "POST / 500 \(wanted)")
    #expect(try client.get("/next").status == 200)
  }

  @Test func takesLargeBodiesAndGivesLargeAnswers() throws {
    let server = try TestServer()
    let client = try server.client()
    let body = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.count)\r\n\r\n")
    try client.send(body)
    let response = try client.response()
    #expect(response.body.suffix(body.count) == body[...])
  }

  @Test func saysContinue() throws {
    let server = try TestServer(screen: { head in
      head.path == "/no" ? .failure(401, "who are you?") : nil
    })
    let client = try server.client()
    try client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    #expect(try client.head().status == 100)
    try client.send("ok")
    #expect(try client.response().text == "POST / 2 ok")
    try client.send("POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    let refused = try client.response()
    #expect(refused.status == 401 && refused.headers["Connection"] == "close")
    #expect(try client.receive().isEmpty)
  }

  @Test func screensHeads() throws {
    let seen = Guarded<[String]>([])
    let server = try TestServer(
      screen: { head in head.headers["Authorization"] == nil ? .failure(401, "no \"key\"") : nil },
      handler: { exchange in
        seen.withLock { $0.append(exchange.request.head.path) }
        TestServer.echo(exchange)
      })
    let client = try server.client()
    let refused = try client.get("/")
    #expect(refused.status == 401 && refused.headers["Connection"] == "keep-alive")
    #expect(
      refused.text == #"{"error":{"code":401,"message":"no \"key\"","type":"invalid_request_error"}}"#)
    #expect(try client.get("/in", "Authorization: x\r\n").status == 200)
    #expect(seen.withLock { $0 } == ["/in"])
  }

  @Test func answersForOwnersWhoDoNot() throws {
    let server = try TestServer(handler: { exchange in
      switch exchange.request.head.path {
      case "/finish": exchange.finish()
      case "/twice":
        TestServer.echo(exchange)
        TestServer.echo(exchange)
        exchange.begin(500, HTTPHeaders())
        exchange.finish()
      case "/half":
        exchange.begin(200, HTTPHeaders())
        exchange.write([65])
      default: break
      }
    })
    let client = try server.client()
    #expect(try client.get("/drop").status == 500)
    #expect(try client.get("/finish").status == 500)
    #expect(try client.get("/twice").text == "GET /twice 0 ")
    #expect(try client.get("/drop").text.contains("server_error"))
    try client.send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
    let rest = try client.receiveAll()
    #expect(!rest.contains("0\r\n\r\n"), "half an answer must not look whole")
  }

  @Test func valuesCannotAddHeaders() throws {
    let server = try TestServer(handler: { exchange in
      var headers = HTTPHeaders([("X-A", "b\r\nX-Evil: c"), ("Bad Name", "x"), ("", "y")])
      headers.add("Content-Length", "99")
      headers.add("Connection", "close")
      exchange.respond(HTTPResponse(200, contentType: "text/plain", body: [65], headers: headers))
    })
    let client = try server.client()
    let response = try client.get("/")
    #expect(response.headers["X-A"] == "b  X-Evil: c" && response.headers["X-Evil"] == nil)
    #expect(response.headers["Bad Name"] == nil && response.headers.all("Content-Length") == ["1"])
    #expect(response.headers.all("Connection") == ["close"])
    #expect(try client.receive().isEmpty)
  }

  @Test func answersManyRequestsFromManyThreads() throws {
    let server = try TestServer(handler: { exchange in
      if exchange.request.body.count % 3 == 0 { return TestServer.echo(exchange) }
      onThread { TestServer.echo(exchange) }
    })
    let (right, left) = (Guarded(0), Guarded(8))
    for thread in 0..<8 {
      onThread {
        defer { left.withLock { $0 -= 1 } }
        guard var client = try? server.client() else { return }
        for index in 0..<500 {
          let body = String(repeating: "z", count: index % 50)
          let text = "POST /\(thread)/\(index) HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
          guard (try? client.send(text)) != nil, let response = try? client.response() else { return }
          if response.text == "POST /\(thread)/\(index) \(body.utf8.count) \(body)" { right.withLock { $0 += 1 } }
          if index % 100 == 99 {
            guard let fresh = try? server.client() else { return }
            client = fresh
          }
        }
      }
    }
    #expect(eventually { left.withLock { $0 } == 0 })
    #expect(right.withLock { $0 } == 4000)
    #expect(server.server.statistics.requests == 4000)
  }
}
