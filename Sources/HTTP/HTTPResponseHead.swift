import Glibc

/// The head of an answer, before the connection's state adds its part.
struct HTTPResponseHead: Sendable {
  enum Body: Sendable {
    /// A status that has none, and no length either.
    case none
    case length(Int)
    case chunked
    case untilClose
  }

  let status: Int
  let headers: HTTPHeaders
  let body: Body

  /// Statuses without a body (RFC 9110, 6.4.1).
  static func hasNoBody(_ status: Int) -> Bool { status < 200 || status == 204 || status == 304 }

  /// Whether the owner or the framing wants the connection closed afterwards.
  var closes: Bool {
    if case .untilClose = body { return true }
    return headers.list("Connection").contains { ASCII.equal($0, "close") }
  }

  /// - Parameters:
  ///   - keepsAlive: whether the connection stays open afterwards.
  ///   - date: the value of `Date`.
  func bytes(keepsAlive: Bool, date: String) -> [UInt8] {
    // Final and of three digits in any case: the status is the owner's, but a wrong one would harm the framing.
    var text = "HTTP/1.1 \(min(max(status, 200), 999)) \(HTTPResponseHead.reason(status))\r\nDate: \(date)\r\n"
    switch body {
    case .none, .untilClose: break
    case .length(let count): text += "Content-Length: \(count)\r\n"
    case .chunked: text += "Transfer-Encoding: chunked\r\n"
    }
    text += keepsAlive ? "Connection: keep-alive\r\n" : "Connection: close\r\n"
    var bytes = Array(text.utf8)
    for (name, value) in headers.fields where !HTTPResponseHead.isOwn(name) && name.utf8.allSatisfy(ASCII.isToken) {
      if name.isEmpty { continue }
      bytes += name.utf8
      bytes += ": ".utf8
      // No value can end its line: that would let a client's text write headers.
      bytes += value.utf8.map { ASCII.isControl($0) ? ASCII.space : $0 }
      bytes += "\r\n".utf8
    }
    bytes += "\r\n".utf8
    return bytes
  }

  /// Fields that the server writes itself.
  private static func isOwn(_ name: String) -> Bool {
    ["Content-Length", "Transfer-Encoding", "Connection", "Date"].contains { ASCII.equal($0, name) }
  }

  static func reason(_ status: Int) -> String {
    switch status {
    case 100: "Continue"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 499: "Client Closed Request"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Unknown"
    }
  }

  /// A time in the form of RFC 9110, 5.6.7.
  /// - Parameter seconds: since 1970.
  static func date(_ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let (day, month) = (days[Int(parts.tm_wday) % 7], months[Int(parts.tm_mon) % 12])
    let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    return "\(day), \(two(parts.tm_mday)) \(month) \(parts.tm_year + 1900) \(clock) GMT"
  }
}
