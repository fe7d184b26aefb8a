import Occam
import OccamCore
import OccamHTTP

/// Why a request gets no answer, as clients of OpenAI's and llama-server's APIs expect it.
package struct ServiceError: Error, Sendable {
  let status: Int
  let type: String
  let message: String
  /// Seconds after which it may be tried again.
  var retryAfter: Int?
  /// Methods that the endpoint takes, where it was asked with another.
  var allowed: String?
  /// Members of the error that programs read.
  var details: [JSONMember] = []

  /// Some messages say what the client wrote, which may be megabytes: more scalars than these are cut off.
  private static let messageLimit = 500

  init(_ status: Int, _ type: String, _ message: String, retryAfter: Int? = nil, allowed: String? = nil) {
    self.status = status
    self.type = type
    let scalars = message.unicodeScalars
    let end = scalars.index(scalars.startIndex, offsetBy: ServiceError.messageLimit, limitedBy: scalars.endIndex)
    self.message = end.map { $0 < scalars.endIndex ? "\(message[..<$0])..." : message } ?? message
    self.retryAfter = retryAfter
    self.allowed = allowed
  }

  static func invalid(_ message: String) -> ServiceError { ServiceError(400, "invalid_request_error", message) }
  static func notFound(_ path: String) -> ServiceError { ServiceError(404, "not_found_error", "no endpoint '\(path)'") }
  static func method(_ method: String, _ path: String, allowed: String) -> ServiceError {
    ServiceError(405, "invalid_request_error", "'\(path)' does not take \(method)", allowed: allowed)
  }
  /// - Parameter tokens: of the prompt, or a number that they are more than.
  static func tooLong(_ message: String, tokens: Int, context: Int) -> ServiceError {
    var error = ServiceError(400, "exceed_context_size_error", message)
    error.details = [JSONMember("n_prompt_tokens", .integer(tokens)), JSONMember("n_ctx", .integer(context))]
    return error
  }
  static let loading = ServiceError(503, "unavailable_error", "Loading model", retryAfter: 1)
  static let draining = ServiceError(503, "unavailable_error", "the service is shutting down", retryAfter: 5)
  static let busy = ServiceError(503, "unavailable_error", "all slots are busy and the queue is full", retryAfter: 1)
  static let unauthorized = ServiceError(401, "authentication_error", "Invalid API Key")

  init(_ error: OccamError) {
    let message = "\(error)"
    switch error.code {
    case .promptTooLong, .contextFull: self.init(400, "exceed_context_size_error", message)
    case .invalidImage, .invalidOption, .template, .mismatch: self.init(400, "invalid_request_error", message)
    case .cancelled: self.init(499, "cancelled_error", "the client went away")
    case .file, .invalidModel, .unsupportedModel: self.init(500, "server_error", message)
    }
  }

  /// `type` beside `error` is how Anthropic's clients know it.
  var json: JSONValue {
    let members = [
      JSONMember("code", .integer(status)), JSONMember("message", .string(message)), JSONMember("type", .string(type)),
    ]
    return ["type": "error", "error": .object(members + details)]
  }

  var response: HTTPResponse {
    var response = HTTPResponse(json, status: status)
    if let retryAfter { response.headers.set("Retry-After", "\(retryAfter)") }
    if let allowed { response.headers.set("Allow", allowed) }
    if status == 401 { response.headers.set("WWW-Authenticate", "Bearer") }
    return response
  }
}

extension HTTPResponse {
  init(_ json: JSONValue, status: Int = 200) {
    self.init(status, contentType: "application/json; charset=utf-8", body: Array(json.text().utf8))
  }
}
