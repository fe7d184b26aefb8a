import OccamCore
import OccamTestSupport

typealias ServiceClient = HTTPTestClient
typealias Reply = HTTPTestClient.Response

extension HTTPTestClient.Response {
  var json: JSONValue { get throws { try JSONValue(parsing: body) } }
}

extension HTTPTestClient {
  /// One event of a stream.
  struct Event {
    var name: String?
    var data = ""

    var json: JSONValue { get throws { try JSONValue(parsing: data) } }
  }

  func request(_ method: String, _ target: String, _ headers: [(String, String)] = [], body: [UInt8]? = nil) throws {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    try send(Array("\(head)\r\n".utf8) + (body ?? []))
  }

  func post(_ target: String, _ body: JSONValue) throws { try request("POST", target, body: Array(body.text().utf8)) }

  func reply(toHead: Bool = false) throws -> Reply { try response(toHead: toHead) }

  /// The next event of a stream whose head was read; nil at its proper end. The service sends each event in a chunk.
  func event() throws -> Event? {
    while true {
      let part = try chunk()
      if part.isEmpty { return nil }
      var event = Event()
      for line in String(decoding: part, as: UTF8.self).split(separator: "\n") {
        if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
        if line.hasPrefix("data: ") { event.data += line.dropFirst(6) }
      }
      if !event.data.isEmpty { return event }
    }
  }
}
