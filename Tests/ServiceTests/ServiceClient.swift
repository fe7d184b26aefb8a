import Glibc
import OccamCore

struct DrillFailure: Error, CustomStringConvertible { let description: String }

/// A blocking client over one connection, which gives up after a while.
final class ServiceClient: @unchecked Sendable {
  struct Reply {
    var status = 0
    /// Names in lower case.
    var headers: [String: String] = [:]
    var body: [UInt8] = []

    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSONValue { get throws { try JSONValue(parsing: body) } }
  }

  /// One event of a stream.
  struct Event {
    var name: String?
    var data = ""

    var json: JSONValue { get throws { try JSONValue(parsing: data) } }
  }

  /// Of any one wait; long, for a loaded machine.
  static let seconds = 120

  private let descriptor: Int32
  private var unread: [UInt8] = []
  private var isOpen = true

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    try join(&address)
  }

  init(path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    try join(&address)
  }

  private func join<Address>(_ address: inout Address) throws {
    var time = timeval(tv_sec: ServiceClient.seconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    let status = withUnsafeBytes(of: &address) {
      connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
    }
    guard status == 0 else { throw DrillFailure(description: "connect: \(String(cString: strerror(errno)))") }
  }

  deinit { disconnect() }

  func disconnect() {
    if isOpen { close(descriptor) }
    isOpen = false
  }

  // MARK: Sending

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw DrillFailure(description: "send: \(String(cString: strerror(errno)))") }
      sent += count
    }
  }

  func request(_ method: String, _ target: String, _ headers: [(String, String)] = [], body: [UInt8]? = nil) throws {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\n"
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    try send(Array("\(head)\r\n".utf8) + (body ?? []))
  }

  func post(_ target: String, _ body: JSONValue) throws { try request("POST", target, body: Array(body.text().utf8)) }

  // MARK: Receiving

  /// Whether nothing has come yet.
  var isUnanswered: Bool {
    var byte: UInt8 = 0
    return unread.isEmpty && recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) < 0
  }

  /// More bytes; false at the end, and a reset counts as one.
  private func receive() throws -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { throw DrillFailure(description: "the server says nothing") }
    unread += buffer[..<max(0, count)]
    return count > 0
  }

  private func line() throws -> String {
    var searched = 0
    while true {
      if let end = unread[searched...].firstIndex(of: 10) {
        defer { unread.removeFirst(end + 1) }
        return String(decoding: unread[..<end].filter { $0 != 13 }, as: UTF8.self)
      }
      searched = unread.count
      guard try receive() else { throw DrillFailure(description: "the connection ended in a line") }
    }
  }

  private func bytes(_ count: Int) throws -> [UInt8] {
    while unread.count < count {
      guard try receive() else { throw DrillFailure(description: "the connection ended in a body") }
    }
    defer { unread.removeFirst(count) }
    return Array(unread[..<count])
  }

  func head() throws -> Reply {
    let parts = try line().split(separator: " ", maxSplits: 2)
    guard parts.count == 3, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else {
      throw DrillFailure(description: "no status line: \(parts)")
    }
    var reply = Reply(status: status)
    while true {
      let field = try line()
      if field.isEmpty { return reply }
      guard let colon = field.firstIndex(of: ":") else { throw DrillFailure(description: "no field: \(field)") }
      reply.headers[field[..<colon].lowercased()] = String(field[colon...].dropFirst(2))
    }
  }

  /// nil at the last one.
  private func chunk() throws -> [UInt8]? {
    guard let count = Int(try line(), radix: 16) else { throw DrillFailure(description: "no size of a chunk") }
    let content = try bytes(count)
    _ = try line()
    return count == 0 ? nil : content
  }

  func reply(toHead: Bool = false) throws -> Reply {
    var reply = try head()
    if toHead { return reply }
    if reply.headers["transfer-encoding"] == "chunked" {
      while let part = try chunk() { reply.body += part }
    } else {
      reply.body = try bytes(Int(reply.headers["content-length"] ?? "0") ?? 0)
    }
    return reply
  }

  /// The next event of a stream whose head was read; nil at its proper end. The service sends each event in a chunk.
  func event() throws -> Event? {
    while let part = try chunk() {
      var event = Event()
      for line in String(decoding: part, as: UTF8.self).split(separator: "\n") {
        if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
        if line.hasPrefix("data: ") { event.data += line.dropFirst(6) }
      }
      if !event.data.isEmpty { return event }
    }
    return nil
  }

  /// Reads what is left until the connection ends. - Returns: bytes.
  func drainToEnd() throws -> Int {
    var count = unread.count
    unread = []
    while try receive() {
      count += unread.count
      unread = []
    }
    return count
  }
}
