import OccamHTTP
import Testing

@Suite struct HTTPRequestParserTests {
  static let host = "Host: a\r\n"
  static var limits: HTTPLimits {
    var limits = HTTPLimits()
    (limits.requestLineBytes, limits.headerBytes, limits.headerCount, limits.bodyBytes) = (60, 200, 8, 100)
    return limits
  }

  // MARK: Good requests

  @Test func readsAHead() throws {
    let parsed = ParsedRequests(
      "GET /v1/m%C3%B6del%20s?a=1+2&b=%26&c&=d HTTP/1.1\r\n"
        + "host: x:80\r\nX-Empty:\r\nAccept: \t a, b \t\r\naccept: c\r\n\r\n"
    )
    let request = try #require(parsed.requests.first)
    #expect(parsed.refusal == nil && parsed.requests.count == 1 && request.isWhole)
    #expect(request.method == "GET" && request.path == "/v1/mödel s")
    #expect(request.query == ["a=1 2", "b=&", "c=", "=d"])
    #expect(request.headers["HOST"] == "x:80" && request.headers["x-empty"] == "")
    #expect(request.headers.all("Accept") == ["a, b", "c"])
    #expect(request.framing?.keepsAlive == true && request.framing?.minorVersion == 1)
  }

  @Test(arguments: [
    ("GET / HTTP/1.1\r\n\(host)\r\n", true), ("GET / HTTP/1.1\r\n\(host)Connection: x, Close\r\n\r\n", false),
    ("GET / HTTP/1.0\r\n\r\n", false), ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
    ("GET / HTTP/1.7\r\n\(host)\r\n", true),
  ])
  func knowsWhetherTheConnectionStays(text: String, keepsAlive: Bool) {
    let parsed = ParsedRequests(text)
    #expect(parsed.refusal == nil)
    #expect(parsed.requests.first?.framing?.keepsAlive == keepsAlive)
  }

  @Test(arguments: [
    ("GET http://h.example/x?y=z HTTP/1.1", "/x", ["y=z"]), ("GET HTTPS://h HTTP/1.1", "/", []),
    ("GET http://h?q HTTP/1.1", "/", ["q="]), ("OPTIONS * HTTP/1.1", "*", []), ("GET /a/../b HTTP/1.1", "/a/../b", []),
    ("GET //x HTTP/1.1", "//x", []), ("GET /?a=b=c&&d HTTP/1.1", "/", ["a=b=c", "d="]),
    ("GET /a+b HTTP/1.1", "/a+b", []),
  ])
  func readsTargets(line: String, path: String, query: [String]) {
    let parsed = ParsedRequests("\(line)\r\n\(HTTPRequestParserTests.host)\r\n")
    #expect(parsed.refusal == nil)
    #expect(parsed.requests.first?.path == path)
    #expect(parsed.requests.first?.query == query)
  }

  static let bodies: [(text: String, body: String)] = [
    ("Content-Length: 5\r\n\r\nhello", "hello"), ("Content-Length: 005\r\n\r\nhello", "hello"),
    ("Content-Length: 0\r\n\r\n", ""), ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
    ("Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n003\r\nllo\r\n00\r\nX-T: 1\r\nY:\r\n\r\n", "hello"),
    ("Transfer-Encoding: chunked\r\n\r\nA;n=v;q=\"x\"\r\n0123456789\r\n1 ; x\r\n!\r\n0;last\r\n\r\n", "0123456789!"),
    ("Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nok", "ok"),
  ]

  @Test(arguments: bodies) func readsBodiesCutAnywhere(text: String, body: String) throws {
    let one = "POST /x HTTP/1.1\r\n\(HTTPRequestParserTests.host)\(text)"
    // Twice: the second request must begin where the first ends.
    let bytes = Array((one + one).utf8)
    let whole = ParsedRequests(bytes)
    #expect(whole.refusal == nil && whole.requests.count == 2)
    for request in whole.requests {
      #expect(request.isWhole)
      #expect(request.body == Array(body.utf8))
    }
    for first in 0...bytes.count {
      #expect(ParsedRequests(bytes, cuts: [first]) == whole)
    }
    #expect(ParsedRequests(bytes, cuts: Array(0...bytes.count)) == whole)
  }

  @Test func skipsAFewEmptyLines() {
    let parsed = ParsedRequests("\r\n\r\nGET / HTTP/1.1\r\n\(HTTPRequestParserTests.host)\r\n")
    #expect(parsed.refusal == nil && parsed.requests.count == 1)
    #expect(ParsedRequests(String(repeating: "\r\n", count: 9)).refusal?.status == 400)
  }

  @Test func wholeBodiesAtTheLimitPass() {
    let limits = HTTPRequestParserTests.limits
    let text = String(repeating: "x", count: 100)
    for framing in [
      "Content-Length: 100\r\n\r\n\(text)", "Transfer-Encoding: chunked\r\n\r\n64\r\n\(text)\r\n0\r\n\r\n",
    ] {
      let parsed = ParsedRequests("POST / HTTP/1.1\r\n\(HTTPRequestParserTests.host)\(framing)", limits: limits)
      #expect(parsed.refusal == nil)
      #expect(parsed.requests.first?.isWhole == true)
    }
    let line = "GET /\(String(repeating: "y", count: 46)) HTTP/1.1"
    #expect(line.utf8.count == limits.requestLineBytes)
    #expect(ParsedRequests("\(line)\r\n\(HTTPRequestParserTests.host)\r\n", limits: limits).refusal == nil)
  }

  // MARK: Refused requests

  static func get(_ fields: String) -> String { "GET / HTTP/1.1\r\n\(host)\(fields)\r\n" }
  static func line(_ line: String) -> String { "\(line)\r\n\(host)\r\n" }
  static func chunks(_ body: String) -> String { "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n\(body)" }

  static let refused: [(text: String, status: Int)] = [
    // Request lines.
    (line("GET  / HTTP/1.1"), 400), (line("GET / HTTP/1.1 "), 400), (line(" GET / HTTP/1.1"), 400),
    (line("GET /"), 400), (line("GET"), 400), (line("G(T / HTTP/1.1"), 400), (line("GÉT / HTTP/1.1"), 400),
    (line("GET\t/ HTTP/1.1"), 400), (line("GET / http/1.1"), 400), (line("GET / HTTP/1"), 400),
    (line("GET / HTTP/11.1"), 400), (line("GET / HTTP/1.x"), 400), (line("GET / HTTP/2.0"), 505),
    (line("GET / HTTP/0.9"), 505), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505), (line("GET é HTTP/1.1"), 400),
    (line("GET /é HTTP/1.1"), 400), (line("GET /a b HTTP/1.1"), 400), (line("GET * HTTP/1.1"), 400),
    (line("GET x HTTP/1.1"), 400), (line("GET ftp://h/ HTTP/1.1"), 400), (line("GET http:///x HTTP/1.1"), 400),
    (line("GET http://u@h/ HTTP/1.1"), 400), (line("GET http:// HTTP/1.1"), 400), (line("CONNECT h:1 HTTP/1.1"), 501),
    (line("GET /#f HTTP/1.1"), 400), (line("GET /% HTTP/1.1"), 400), (line("GET /%2 HTTP/1.1"), 400),
    (line("GET /%zz HTTP/1.1"), 400), (line("GET /%00 HTTP/1.1"), 400), (line("GET /%ff HTTP/1.1"), 400),
    (line("GET /?a=%g0 HTTP/1.1"), 400), (line("GET /?%00 HTTP/1.1"), 400),
    (line("GET /\(String(repeating: "y", count: 47)) HTTP/1.1"), 414), (String(repeating: "A", count: 61), 414),
    (line("\(String(repeating: "A", count: 33)) / HTTP/1.1"), 400), ("\u{16}\u{3}\u{1}", 400), ("\r\u{16}", 400),
    // Lines and fields.
    ("GET / HTTP/1.1\nHost: a\n\n", 400), ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400), (get("A: b\rc\r\n"), 400),
    (get("A: b\r\r\n"), 400), (get("A: \0\r\n"), 400), (get("A: \u{7F}\r\n"), 400), (get("A : b\r\n"), 400),
    (get("A\t: b\r\n"), 400), (get(" A: b\r\n"), 400), (get("A: b\r\n c\r\n"), 400), (get("A: b\r\n\tc\r\n"), 400),
    (get(": b\r\n"), 400), (get("A\r\n"), 400), (get("A B: c\r\n"), 400), (get("Ä: c\r\n"), 400),
    (get("A: \(String(repeating: "v", count: 200))\r\n"), 431), (get(String(repeating: "A: b\r\n", count: 8)), 431),
    (get(String(repeating: "A: \(String(repeating: "v", count: 40))\r\n", count: 5)), 431),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", 400), (get("Host: a\r\n"), 400), (get("hOST: b\r\n"), 400),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400), ("GET / HTTP/1.0\r\n\(host)\(host)\r\n", 400),
    // Framing.
    (get("Content-Length: 1\r\nContent-Length: 1\r\n"), 400), (get("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
    (get("Content-Length: 1, 1\r\n"), 400), (get("Content-Length: +1\r\n"), 400), (get("Content-Length: -1\r\n"), 400),
    (get("Content-Length: 0x1\r\n"), 400), (get("Content-Length: 1 1\r\n"), 400), (get("Content-Length:\r\n"), 400),
    (get("Content-Length: ١\r\n"), 400), (get("Content-Length: 101\r\n"), 413),
    (get("Content-Length: 9223372036854775808\r\n"), 413), (get("Content-Length: 99999999999999999999999\r\n"), 413),
    (get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400), (get("Transfer-Encoding: gzip\r\n"), 501),
    (get("Transfer-Encoding: gzip, chunked\r\n"), 501), (get("Transfer-Encoding: chunked, gzip\r\n"), 400),
    (get("Transfer-Encoding: chunked, chunked\r\n"), 400), (get("Transfer-Encoding:\r\n"), 400),
    (get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
    (get("Transfer-Encoding: xchunked\r\n"), 501), (get("Transfer-Encoding: ,chunked\r\n"), 400),
    (get("Transfer-Encoding: chunked,\r\n"), 400), (get("Transfer-Encoding: gzip, br\r\n"), 501),
    (get("Transfer-Encoding: \"chunked\"\r\n"), 501),
    (get("Transfer-Encoding: chunked;x=y\r\n"), 501), (get("Transfer-Encoding: identity\r\n"), 501),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400), (get("Expect: 200-ok\r\n"), 417),
    // Chunks.
    (chunks("\r\n"), 400), (chunks("g\r\n"), 400), (chunks("0x1\r\nx\r\n"), 400), (chunks("+1\r\nx\r\n"), 400),
    (chunks("-1\r\n"), 400), (chunks(" 1\r\nx\r\n"), 400), (chunks("1 \r\nx\r\n"), 400), (chunks("1\nx\r\n"), 400),
    (chunks("1\r\nxy\r\n"), 400), (chunks("1\r\nx\n0\r\n\r\n"), 400), (chunks("1\r\nx\ry"), 400),
    (chunks("00000000000000001\r\n"), 400), (chunks("ffffffffffffffff\r\n"), 413),
    (chunks("7fffffffffffffff\r\n"), 413),
    (chunks("65\r\n"), 413), (chunks("64\r\n\(String(repeating: "x", count: 100))\r\n1\r\n"), 413),
    (chunks("1;\(String(repeating: "e", count: 5000))\r\n"), 400), (chunks("1;\0\r\n"), 400), (chunks(";x\r\n"), 400),
    (chunks("0\r\n x: y\r\n"), 400), (chunks("0\r\nX\r\n\r\n"), 400),
    (chunks("0\r\nA:\(String(repeating: "v", count: 200))"), 431),
    (chunks("0\r\n\(String(repeating: "A: b\r\n", count: 9))\r\n"), 431),
    (chunks(String(repeating: "1;\(String(repeating: "e", count: 900))\r\nx\r\n", count: 30)), 400),
  ]

  @Test(arguments: refused) func refusesAndSaysTheSameCutAnywhere(text: String, status: Int) {
    let bytes = Array(text.utf8)
    let limits = HTTPRequestParserTests.limits
    let whole = ParsedRequests(bytes, limits: limits)
    #expect(whole.refusal?.status == status, "\(whole.refusal.map { "\($0)" } ?? "taken")")
    #expect(whole.refusal?.message.isEmpty == false)
    for first in 0...bytes.count where bytes.count < 1000 || first % 97 == 0 {
      #expect(ParsedRequests(bytes, cuts: [first], limits: limits) == whole)
    }
    #expect(ParsedRequests(bytes, cuts: Array(0...bytes.count), limits: limits) == whole)
  }

  @Test func staysRefused() {
    var parser = HTTPRequestParser(limits: HTTPLimits())
    func refusal(_ text: String) -> HTTPRefusal? {
      Array(text.utf8).withUnsafeBufferPointer { bytes in
        var start = 0
        do throws(HTTPRefusal) {
          _ = try parser.step(bytes, from: &start)
          return nil
        } catch {
          return error
        }
      }
    }
    let first = refusal("bad\r\n")
    #expect(first?.status == 400)
    #expect(refusal("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == first)
  }

  @Test func refusesABadHeadBeforeItsEnd() {
    #expect(ParsedRequests("GET / HTTP/3.0\r\n").refusal?.status == 505)
    #expect(ParsedRequests("GET / HTTP/1.1\r\nA : b\r\n").refusal?.status == 400)
    #expect(ParsedRequests("\0").refusal?.status == 400)
  }
}
