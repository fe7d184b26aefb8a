import Glibc
import Occam
import OccamCore
import OccamHTTP

/// A model behind HTTP, as clients of OpenAI's, Anthropic's and llama-server's APIs expect it. Reads requests on the
/// server's loop, parses them on threads of its own, computes in a pool of sessions.
package final class Service: Sendable {
  /// What there is once the model is loaded.
  struct Ready: Sendable {
    let model: VisionLanguageModel
    let pool: SessionPool
    let cache: ImageCache
    let name: String
    /// Bytes of text that the context may hold at most.
    let textLimit: Int
  }

  private enum Stage: Sendable {
    case loading(isLeaving: Bool)
    case ready(Ready)
    /// Says at `/health` that it goes; takes requests until it drains.
    case leaving(Ready)
    case draining(Ready?)

    var ready: Ready? {
      switch self {
      case .loading: nil
      case .ready(let ready), .leaving(let ready): ready
      case .draining(let ready): ready
      }
    }
  }

  package let options: ServiceOptions
  let metrics = ServiceMetrics()
  /// Seconds since 1970.
  let started = time(nil)
  var now: Int { time(nil) }
  private let stage = Guarded(Stage.loading(isLeaving: false))
  // Bodies of many megabytes are parsed here, two at a time; the loop goes on.
  private let parsers = ShortestQueue("occam.service", count: 2)
  // What only counts or writes text may take a second a megabyte: it holds up nobody's reply.
  private let textParser = ShortestQueue("occam.service.text", count: 2)

  package init(options: ServiceOptions) { self.options = options }

  // MARK: Stages

  /// From now on requests are answered, unless the service was told to stop while the model was loading.
  /// - Returns: whether it is ready and stays so.
  @discardableResult
  package func begin(with model: VisionLanguageModel) throws(OccamError) -> Bool {
    let cache = ImageCache(byteLimit: options.imageCacheBytes)
    var session = options.session
    session.imageCache = cache
    let pool = try SessionPool(
      model: model, count: options.parallel, options: session, queueLimit: options.queue,
      memoryLimit: try sessionMemory(model))
    let name = options.aliases.min() ?? String(model.path.split(separator: "/").last ?? "model")
    let textLimit = Service.textLimit(model, context: contextLength(model))
    let ready = Ready(model: model, pool: pool, cache: cache, name: name, textLimit: textLimit)
    return stage.withLock { stage in
      guard case .loading(let isLeaving) = stage else { return false }
      stage = isLeaving ? .leaving(ready) : .ready(ready)
      return !isLeaving
    }
  }

  /// What the memory limit leaves to sessions: behind what the loaded process has, the cache of pictures, and requests.
  private func sessionMemory(_ model: VisionLanguageModel) throws(OccamError) -> Int {
    guard let limit = options.memoryLimit else { return .max }
    let used = max(OccamProcess.residentBytes, model.weightsBytes)
    let left = limit - used - options.imageCacheBytes - options.requestBytes
    guard left > 0 else {
      throw OccamError(
        .invalidOption, "memory limit",
        "\(limit >> 20) MiB do not hold the model with all that is loaded (\(used >> 20) MiB), the image cache "
          + "(\(options.imageCacheBytes >> 20) MiB) and requests that are read (\(options.requestBytes >> 20) MiB)")
    }
    return left
  }

  /// `/health` says that the service goes, so that a balancer sends nobody any more. Requests are taken until `drain`.
  package func leave() {
    stage.withLock { stage in
      switch stage {
      case .loading: stage = .loading(isLeaving: true)
      case .ready(let ready): stage = .leaving(ready)
      case .leaving, .draining: break
      }
    }
  }

  /// Takes no new requests and waits for those at work.
  /// - Parameter seconds: how long at most. - Returns: whether all have ended.
  @discardableResult
  package func drain(seconds: Double) -> Bool {
    let ready = stage.withLock { stage in
      let ready = stage.ready
      stage = .draining(ready)
      return ready
    }
    return ready?.pool.close(within: seconds) ?? true
  }

  /// Answers given so far; nil while a session is at work or somebody waits for one.
  package var answersWhenIdle: Int? {
    if let counts = stage.withLock({ $0.ready })?.pool.counts, counts.busy + counts.queued > 0 { return nil }
    let totals = metrics.totals
    return totals.requests + totals.failures + totals.cancelled + totals.whole
  }

  private func ready() throws(ServiceError) -> Ready {
    switch stage.withLock({ $0 }) {
    case .loading: throw .loading
    case .ready(let ready), .leaving(let ready): return ready
    case .draining: throw .draining
    }
  }

  // MARK: Requests

  /// A server whose requests this service answers.
  package func server(limits: HTTPLimits = HTTPLimits()) -> HTTPServer {
    HTTPServer(
      limits: limits, screen: { self.screen($0) },
      refusal: { head, status, message in
        let type = status == 503 ? "unavailable_error" : status < 500 ? "invalid_request_error" : "server_error"
        return self.finished(ServiceError(status, type, message).response, head)
      },
      handler: { self.handle($0) })
  }

  /// Refuses, before a body is read, what needs none to be refused.
  private func screen(_ head: HTTPRequestHead) -> HTTPResponse? {
    do throws(ServiceError) {
      if head.method == "OPTIONS" { return nil }
      guard let endpoint = Endpoint.at(head.path) else { throw .notFound(head.path) }
      let methods = endpoint.isRead ? ["GET", "HEAD"] : ["POST"]
      guard methods.contains(head.method) else {
        throw .method(head.method, head.path, allowed: (methods + ["OPTIONS"]).joined(separator: ", "))
      }
      if endpoint == .page, options.page.isEmpty { throw .notFound(head.path) }
      if !endpoint.isPublic, !options.apiKeys.isEmpty, !isAuthorized(head) { throw .unauthorized }
      if !endpoint.needsNoModel { _ = try ready() }
      return nil
    } catch {
      if error.status < 500 { metrics.count(error) }
      return finished(error.response, head)
    }
  }

  /// `Authorization: Bearer`, or Anthropic's `x-api-key`.
  private func isAuthorized(_ head: HTTPRequestHead) -> Bool {
    var given = head.headers["x-api-key"] ?? ""
    if let header = head.headers["Authorization"], header.lowercased().hasPrefix("bearer ") {
      given = String(header.dropFirst(7))
    }
    // All keys are compared to their ends, so that time tells nothing.
    return options.apiKeys.reduce(false) { Service.isSame($1, given) || $0 }
  }

  private static func isSame(_ key: String, _ given: String) -> Bool {
    let (key, given) = (Array(key.utf8), Array(given.utf8))
    var difference = key.count ^ given.count
    for index in key.indices { difference |= Int(key[index] ^ (index < given.count ? given[index] : 0)) }
    return difference == 0
  }

  private func handle(_ exchange: HTTPExchange) {
    let head = exchange.request.head
    guard head.method != "OPTIONS" else { return exchange.respond(finished(preflight(), head)) }
    guard let endpoint = Endpoint.at(head.path) else {
      return exchange.respond(finished(ServiceError.notFound(head.path).response, head))
    }
    if endpoint.isRead { return exchange.respond(finished(read(endpoint, head), head)) }
    (endpoint.isText ? textParser : parsers).async { [self] in
      guard !exchange.isAbandoned else { return }
      do throws(ServiceError) {
        try answer(endpoint, exchange, try ready())
      } catch {
        fail(exchange, error)
      }
    }
  }

  func fail(_ exchange: HTTPExchange, _ error: ServiceError) {
    metrics.count(error)
    exchange.respond(finished(error.response, exchange.request.head))
  }

  private func read(_ endpoint: Endpoint, _ head: HTTPRequestHead) -> HTTPResponse {
    do throws(ServiceError) {
      switch endpoint {
      case .page:
        var response = HTTPResponse(200, contentType: "text/html; charset=utf-8", body: options.page)
        response.headers.set("Cache-Control", "no-cache")
        return response
      case .health:
        _ = try ready()
        if case .leaving = stage.withLock({ $0 }) { throw .draining }
        return HTTPResponse(["status": "ok"])
      case .models: return HTTPResponse(models(try ready()))
      case .props: return HTTPResponse(props(try ready()))
      case .slots: return try slots(try ready(), head)
      case .metrics:
        var response = HTTPResponse(
          200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(metricsText(try ready()).utf8))
        response.headers.set("Process-Start-Time-Unix", "\(started)")
        return response
      default: throw .notFound(head.path)
      }
    } catch { return error.response }
  }

  private func answer(_ endpoint: Endpoint, _ exchange: HTTPExchange, _ ready: Ready) throws(ServiceError) {
    let fields = try Fields.parse(exchange.request.body)
    let request = ModelRequest(service: self, ready: ready, exchange: exchange, fields: fields)
    switch endpoint {
    case .chatCompletions: try request.chatCompletion()
    case .completions: try request.completion()
    case .completion: try request.llamaCompletion()
    case .responses: try request.response()
    case .messages: try request.message()
    case .tokenize: send(try request.tokenize(), exchange)
    case .detokenize: send(try request.detokenize(), exchange)
    case .applyTemplate: send(try request.applyTemplate(), exchange)
    case .countChatTokens: send(try request.countChatTokens(), exchange)
    case .countMessageTokens: send(try request.countMessageTokens(), exchange)
    case .page, .health, .models, .props, .slots, .metrics: throw .notFound(exchange.request.head.path)
    }
  }

  func send(_ json: JSONValue, _ exchange: HTTPExchange) {
    metrics.count { $0.whole += 1 }
    exchange.respond(finished(HTTPResponse(json), exchange.request.head))
  }

  // MARK: Headers

  /// With what every answer carries.
  /// - Parameter head: nil where none was read.
  func finished(_ response: HTTPResponse, _ head: HTTPRequestHead?) -> HTTPResponse {
    var response = response
    response.headers.set("Server", "occam/\(OccamVersion.text)")
    if let head { addOrigin(head, &response.headers) }
    return response
  }

  func addOrigin(_ head: HTTPRequestHead, _ headers: inout HTTPHeaders) {
    guard let allowed = options.allowedOrigin, let origin = head.headers["Origin"] else { return }
    if allowed != "*" { headers.set("Vary", "Origin") }
    guard allowed == "*" || allowed == origin || allowed == "localhost" && Service.isLocal(origin) else { return }
    headers.set("Access-Control-Allow-Origin", allowed == "*" ? "*" : origin)
  }

  /// Whether a page comes from this machine: `http://localhost`, `http://127.0.0.1` or `http://[::1]`, with any port.
  private static func isLocal(_ origin: String) -> Bool {
    guard let scheme = ["http://", "https://"].first(where: { origin.hasPrefix($0) }) else { return false }
    let rest = origin.dropFirst(scheme.count)
    guard let host = ["localhost", "127.0.0.1", "[::1]"].first(where: { rest.hasPrefix($0) }) else { return false }
    let port = rest.dropFirst(host.count)
    return port.isEmpty || port.first == ":" && port.count > 1 && port.dropFirst().utf8.allSatisfy { 48...57 ~= $0 }
  }

  private func preflight() -> HTTPResponse {
    var response = HTTPResponse(200, contentType: "", body: [])
    if options.allowedOrigin != nil {
      response.headers.set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
      response.headers.set("Access-Control-Allow-Headers", "*, Authorization, Content-Type")
      response.headers.set("Access-Control-Max-Age", "600")
    }
    return response
  }
}
