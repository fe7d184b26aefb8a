/// How the body of a request ends, and what the connection does afterwards.
package struct HTTPFraming: Sendable, Equatable {
  package enum Body: Sendable, Equatable {
    case none
    /// Bytes, at least 1.
    case length(Int)
    case chunked
  }
  package let body: Body
  /// 0 or 1: the version is HTTP/1.0 or HTTP/1.1.
  package let minorVersion: Int
  package let keepsAlive: Bool
  /// The client waits for `100 Continue` before it sends the body.
  package let expectsContinue: Bool
}

/// Turns the lines of a head into a request head and its framing (RFC 9112, 3 to 6).
struct HTTPHeadBuilder {
  private let method: String
  private let target: String
  private let decodedTarget: HTTPRequestTarget
  private let minorVersion: Int
  private var headers = HTTPHeaders()

  init(requestLine line: [UInt8]) throws(HTTPRefusal) {
    let parts = line.split(separator: ASCII.space, maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 3 else { throw HTTPRefusal(400, "the request line is not: method, target, version") }
    guard !parts[0].isEmpty, parts[0].count <= 32, parts[0].allSatisfy(ASCII.isToken) else {
      throw HTTPRefusal(400, "the method is invalid")
    }
    method = String(decoding: parts[0], as: UTF8.self)
    minorVersion = try HTTPHeadBuilder.minorVersion(parts[2])
    guard !parts[1].isEmpty, parts[1].allSatisfy(ASCII.isVisible) else {
      throw HTTPRefusal(400, "the request target is invalid")
    }
    target = String(decoding: parts[1], as: UTF8.self)
    decodedTarget = try HTTPRequestTarget(parts[1], method: method)
  }

  private static func minorVersion(_ bytes: ArraySlice<UInt8>) throws(HTTPRefusal) -> Int {
    let version = Array(bytes)
    guard version.count == 8, version.starts(with: "HTTP/".utf8), version[6] == UInt8(ascii: "."),
      let major = ASCII.digit(version[5]), let minor = ASCII.digit(version[7])
    else { throw HTTPRefusal(400, "the HTTP version is invalid") }
    guard major == 1 else { throw HTTPRefusal(505, "the server speaks HTTP/1.1, not HTTP/\(major)") }
    return min(minor, 1)
  }

  var fieldCount: Int { headers.fields.count }

  mutating func add(line: [UInt8]) throws(HTTPRefusal) {
    let field = try HTTPHeadBuilder.field(line)
    headers.add(String(decoding: field.name, as: UTF8.self), String(decoding: field.value, as: UTF8.self))
  }

  /// A header or trailer line in its two parts.
  static func field(_ line: [UInt8]) throws(HTTPRefusal) -> (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
    if let first = line.first, ASCII.isBlank(first) { throw HTTPRefusal(400, "a header line is folded") }
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0, line[..<colon].allSatisfy(ASCII.isToken)
    else { throw HTTPRefusal(400, "a header line has no valid name") }
    return (line[..<colon], ASCII.trimmed(line[(colon + 1)...]))
  }

  /// The head with the fields that were added.
  var head: HTTPRequestHead {
    HTTPRequestHead(
      method: method, target: target, path: decodedTarget.path, query: decodedTarget.query, headers: headers)
  }

  /// What the fields say of the body and the connection; refused where they cannot be a whole head.
  func framing(limits: HTTPLimits) throws(HTTPRefusal) -> HTTPFraming {
    let hosts = headers.all("Host")
    guard hosts.count == 1 || hosts.isEmpty && minorVersion == 0 else {
      throw HTTPRefusal(400, hosts.isEmpty ? "the Host header is missing" : "there is more than one Host header")
    }
    guard hosts.allSatisfy({ HTTPRequestTarget.isAuthority(Array($0.utf8)[...]) }) else {
      throw HTTPRefusal(400, "the Host header is invalid")
    }
    let body = try self.body(limits)
    let options = headers.list("Connection")
    func has(_ option: String) -> Bool { options.contains { ASCII.equal($0, option) } }
    return HTTPFraming(
      body: body, minorVersion: minorVersion, keepsAlive: !has("close") && (minorVersion == 1 || has("keep-alive")),
      expectsContinue: try expectsContinue() && body != .none)
  }

  /// Two ways to frame a body, or two lengths, are how requests are smuggled past a proxy: all such are refused.
  private func body(_ limits: HTTPLimits) throws(HTTPRefusal) -> HTTPFraming.Body {
    let lengths = headers.all("Content-Length")
    let codings = headers.all("Transfer-Encoding")
    guard codings.isEmpty || lengths.isEmpty else {
      throw HTTPRefusal(400, "both Transfer-Encoding and Content-Length are given")
    }
    if !codings.isEmpty {
      guard minorVersion == 1 else { throw HTTPRefusal(400, "HTTP/1.0 has no Transfer-Encoding") }
      if codings.count == 1, ASCII.equal(codings[0], "chunked") { return .chunked }
      // Chunked more than once, not at the end, or in a list with empty members: parsers differ over these.
      let names = headers.list("Transfer-Encoding")
      let isChunked = names.map { ASCII.equal($0, "chunked") }
      let isValid = names.count > 1 && !isChunked.dropLast().contains(true) || isChunked == [false]
      throw isValid
        ? HTTPRefusal(501, "the Transfer-Encoding is not supported")
        : HTTPRefusal(400, "the Transfer-Encoding is invalid")
    }
    guard lengths.count <= 1 else { throw HTTPRefusal(400, "there is more than one Content-Length") }
    guard let length = lengths.first else { return .none }
    let digits = length.utf8.map(ASCII.digit)
    guard !digits.isEmpty, !digits.contains(nil) else { throw HTTPRefusal(400, "the Content-Length is invalid") }
    var count = 0
    for case .some(let digit) in digits {
      let (product, overflow) = count.multipliedReportingOverflow(by: 10)
      guard !overflow, product <= limits.bodyBytes - digit else {
        throw HTTPRefusal(413, "the body is larger than \(limits.bodyBytes) bytes")
      }
      count = product + digit
    }
    return count == 0 ? .none : .length(count)
  }

  private func expectsContinue() throws(HTTPRefusal) -> Bool {
    let expectations = headers.list("Expect")
    guard expectations.allSatisfy({ ASCII.equal($0, "100-continue") }) else {
      throw HTTPRefusal(417, "the expectation is not supported")
    }
    return minorVersion == 1 && !expectations.isEmpty
  }
}
