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

  /// - Parameters:
  ///   - status: the owner's; a wrong one would harm the framing, so that it becomes a final one of three digits.
  ///   - body: how it is framed, where the status has one.
  init(status: Int, headers: HTTPHeaders, body: Body) {
    self.status = min(max(status, 200), 999)
    self.headers = headers
    // RFC 9110, 6.4.1.
    self.body = self.status == 204 || self.status == 304 ? .none : body
  }

  var hasNoBody: Bool { if case .none = body { true } else { false } }

  /// Whether the owner or the framing wants the connection closed afterwards.
  var closes: Bool {
    if case .untilClose = body { return true }
    return headers.list("Connection").contains { ASCII.equal($0, "close") }
  }

  /// - Parameters:
  ///   - keepsAlive: whether the connection stays open afterwards.
  ///   - date: the value of `Date`.
  func bytes(keepsAlive: Bool, date: String) -> [UInt8] {
    var text = "HTTP/1.1 \(status) \(HTTPResponseHead.reason(status))\r\nDate: \(date)\r\n"
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

  /// Of the statuses that this server and its owner give; clients read the number.
  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 204: "No Content"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 417: "Expectation Failed"
    case 431: "Request Header Fields Too Large"
    case 499: "Client Closed Request"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
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
