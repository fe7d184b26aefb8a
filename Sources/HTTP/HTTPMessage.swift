import OccamCore

/// What stands before a request's body.
package struct HTTPRequestHead: Sendable {
  /// As written: methods are case-sensitive.
  package let method: String
  /// As written: a path with a query, an absolute URI, or `*`.
  package let target: String
  /// Percent-decoded, without the query. `.` and `..` stand in it as the client wrote them.
  package let path: String
  /// Decoded in the manner of HTML forms: `+` is a space.
  package let query: [(name: String, value: String)]
  package let headers: HTTPHeaders

  package init(
    method: String, target: String, path: String, query: [(name: String, value: String)] = [],
    headers: HTTPHeaders = HTTPHeaders()
  ) {
    self.method = method
    self.target = target
    self.path = path
    self.query = query
    self.headers = headers
  }

  /// The first value of a name in the query; names are case-sensitive.
  package func query(_ name: String) -> String? { query.first { $0.name == name }?.value }
}

/// A whole request.
package struct HTTPRequest: Sendable {
  package let head: HTTPRequestHead
  /// Without the framing of chunks.
  package let body: [UInt8]

  package init(head: HTTPRequestHead, body: [UInt8] = []) {
    self.head = head
    self.body = body
  }
}

/// A whole answer. Content-Length, Transfer-Encoding and Date are the server's duty and are left out of `headers` when
/// they stand there; `Connection: close` is honoured.
package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: HTTPHeaders
  package var body: [UInt8]

  /// - Parameter contentType: empty for none.
  package init(_ status: Int, contentType: String, body: [UInt8], headers: HTTPHeaders = HTTPHeaders()) {
    self.status = status
    self.headers = headers
    self.body = body
    if !contentType.isEmpty { self.headers.set("Content-Type", contentType) }
  }

  /// An error in the shape of OpenAI's API.
  package static func failure(_ status: Int, _ message: String) -> HTTPResponse {
    let error = JSONValue.object([
      JSONMember("code", .integer(status)), JSONMember("message", .string(message)),
      JSONMember("type", .string(type(status))),
    ])
    let text = JSONValue.object([JSONMember("error", error)]).text()
    return HTTPResponse(status, contentType: "application/json; charset=utf-8", body: Array(text.utf8))
  }

  private static func type(_ status: Int) -> String {
    switch status {
    case 501: "not_supported_error"
    case 503: "unavailable_error"
    case 500...: "server_error"
    default: "invalid_request_error"
    }
  }
}
