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
  /// The client's numeric address without its port; `unix` for a Unix socket.
  package let peer: String

  package init(
    method: String, target: String, path: String, query: [(name: String, value: String)] = [],
    headers: HTTPHeaders = HTTPHeaders(), peer: String = ""
  ) {
    self.method = method
    self.target = target
    self.path = path
    self.query = query
    self.headers = headers
    self.peer = peer
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
  /// - Parameter type: what kind of error; nil for the usual one of this status.
  package static func failure(
    _ status: Int, _ message: String, type: String? = nil, headers: HTTPHeaders = HTTPHeaders()
  ) -> HTTPResponse {
    let error = JSONValue.object([
      JSONMember("code", .integer(status)), JSONMember("message", .string(message)),
      JSONMember("type", .string(type ?? usualType(status))),
    ])
    let text = JSONValue.object([JSONMember("error", error)]).text()
    return HTTPResponse(
      status, contentType: "application/json; charset=utf-8", body: Array(text.utf8), headers: headers)
  }

  private static func usualType(_ status: Int) -> String {
    switch status {
    case 401: "authentication_error"
    case 403: "permission_error"
    case 404: "not_found_error"
    case 501: "not_supported_error"
    case 503: "unavailable_error"
    case 500...: "server_error"
    default: "invalid_request_error"
    }
  }
}
