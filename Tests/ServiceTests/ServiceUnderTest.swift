import Dispatch
import Glibc
import Occam
import OccamCore
import OccamHTTP
import OccamService
import OccamTestSupport

/// A service behind a server on a port of its own, its loop on a thread of its own.
final class ServiceUnderTest: Sendable {
  let service: Service
  private let running: TestServer
  var server: HTTPServer { running.server }
  var port: UInt16 { running.port }

  /// - Parameters:
  ///   - model: nil: it stays one that is loading.
  ///   - address: nil: a free port of this machine.
  init(
    _ model: VisionLanguageModel?, address: HTTPAddress? = nil, limits: HTTPLimits = HTTPLimits(),
    _ change: (inout ServiceOptions) -> Void = { _ in }
  ) throws {
    var options = ServiceOptions()
    change(&options)
    service = Service(options: options)
    running = try TestServer(service.server(limits: limits), address ?? .tcp(host: "127.0.0.1", port: 0))
    if let model { try service.begin(with: model) }
  }

  /// Whether the server's loop has returned; waits for it.
  func hasEnded() -> Bool { running.hasEnded() }

  func client() throws -> ServiceClient { try ServiceClient(port: port) }

  func get(_ target: String, _ headers: [(String, String)] = [], method: String = "GET") throws -> Reply {
    let client = try client()
    try client.request(method, target, headers)
    return try client.reply(toHead: method == "HEAD")
  }

  func post(
    _ target: String, _ body: JSONValue, _ headers: [(String, String)] = []
  ) throws -> Reply { try post(target, Array(body.text().utf8), headers) }

  func post(
    _ target: String, _ body: [UInt8], _ headers: [(String, String)] = []
  ) throws -> Reply {
    let client = try client()
    try client.request("POST", target, headers, body: body)
    return try client.reply()
  }

  /// The JSON of an answer that is expected to be one.
  func answer(_ target: String, _ body: JSONValue) throws -> JSONValue {
    let reply = try post(target, body)
    guard reply.status == 200 else { throw TestFailure(description: "\(target): \(reply.status) \(reply.text)") }
    return try reply.json
  }

  /// The events of a stream, and whether it was begun with 200 as one.
  func events(_ target: String, _ body: JSONValue) throws -> [ServiceClient.Event] {
    let client = try client()
    try client.post(target, body.with("stream", true))
    let head = try client.head()
    guard head.status == 200, head.headers["content-type"] == "text/event-stream" else {
      throw TestFailure(description: "\(target): no stream, but \(head)")
    }
    var events: [ServiceClient.Event] = []
    while let event = try client.event() { events.append(event) }
    return events
  }

  // MARK: State

  /// Value of a line of /metrics.
  func metric(_ name: String) throws -> Double {
    let lines = try get("/metrics").text.split(separator: "\n")
    guard let line = lines.first(where: { $0.hasPrefix("\(name) ") }),
      let value = Double(line.dropFirst(name.utf8.count + 1))
    else { throw TestFailure(description: "no metric \(name)") }
    return value
  }

  func busy() throws -> Int {
    let slots = try get("/slots").json.arrayValue ?? []
    return slots.count { $0["is_processing"] == true }
  }

  func queued() throws -> Int { Int(try metric("occam:requests_deferred")) }

  /// Whether all slots become idle and the queue empty.
  func becomesIdle() throws -> Bool { try eventually { try busy() == 0 && queued() == 0 } }
}

extension JSONValue {
  /// The same object with one member more, or another value of it.
  func with(_ name: String, _ value: JSONValue) -> JSONValue {
    guard case .object(let members) = self else { return self }
    return .object(members.filter { $0.name != name } + [JSONMember(name, value)])
  }

  func with(_ members: [(String, JSONValue)]) -> JSONValue { members.reduce(self) { $0.with($1.0, $1.1) } }

  /// What lies below, as "choices.0.message.content".
  subscript(path path: String) -> JSONValue? {
    path.split(separator: ".").reduce(Optional(self)) { value, name in
      guard let index = Int(name) else { return value?[String(name)] }
      guard let elements = value?.arrayValue, elements.indices.contains(index) else { return nil }
      return elements[index]
    }
  }

  func text(_ path: String) -> String? { self[path: path]?.stringValue }
  func int(_ path: String) -> Int? { self[path: path]?.intValue }
}

/// Runs bodies at the same time, each on a thread of its own, and gives their results in order.
/// - Parameter seconds: what they may take.
func together<R: Sendable>(
  _ count: Int, seconds: Int = 2 * ServiceClient.seconds, _ body: @escaping @Sendable (Int) throws -> R
) throws -> [R] {
  let results = Guarded([Result<R, any Error>?](repeating: nil, count: count))
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    onThread {
      let result = Result { try body(index) }
      results.withLock { $0[index] = result }
      group.leave()
    }
  }
  guard group.wait(timeout: .now() + .seconds(seconds)) == .success else {
    throw TestFailure(description: "some of \(count) threads never end")
  }
  return try results.withLock { $0 }.map { result in
    guard let result else { throw TestFailure(description: "a thread left nothing") }
    return try result.get()
  }
}
