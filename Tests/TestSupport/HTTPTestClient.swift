import Glibc
import OccamHTTP

package struct TestFailure: Error, CustomStringConvertible {
  package let description: String
  package init(description: String) { self.description = description }
}

/// A blocking HTTP client over one connection, which gives up after a while and knows nothing of the server's own
/// parser. One thread may send while another receives.
package final class HTTPTestClient: @unchecked Sendable {
  package struct Response {
    package var status = 0
    package var headers = HTTPHeaders()
    package var body: [UInt8] = []

    package var text: String { String(decoding: body, as: UTF8.self) }
  }

  /// Of any one wait; long, for a loaded machine.
  package static let seconds = 120
  private let descriptor: Int32
  private var unread: [UInt8] = []
  private var isOpen = true

  package init(port: UInt16, receiveBuffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if var size = receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    try finishInit(&address)
  }

  package init(ipv6 port: UInt16) throws {
    descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    address.sin6_addr = in6addr_loopback
    try finishInit(&address)
  }

  package init(path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    try finishInit(&address)
  }

  private func finishInit<Address>(_ address: inout Address) throws {
    var time = timeval(tv_sec: HTTPTestClient.seconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    let status = withUnsafeBytes(of: &address) {
      connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
    }
    guard status == 0 else { throw TestFailure(description: "connect: \(String(cString: strerror(errno)))") }
  }

  deinit { disconnect() }

  package func disconnect() {
    if isOpen { close(descriptor) }
    isOpen = false
  }

  /// Closes so that the server sees a reset.
  package func reset() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    disconnect()
  }

  package func closeSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  package func send(_ text: String) throws { try send(Array(text.utf8)) }

  package func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw TestFailure(description: "send: \(String(cString: strerror(errno)))") }
      sent += count
    }
  }

  /// Whether nothing has come yet.
  package var isUnanswered: Bool {
    var byte: UInt8 = 0
    return unread.isEmpty && recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) < 0
  }

  /// A part of what came; empty at the end. A reset counts as an end, a time-out is a failure.
  package func receive() throws -> [UInt8] {
    if !unread.isEmpty {
      defer { unread = [] }
      return unread
    }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { throw TestFailure(description: "the server says nothing") }
    return Array(buffer[..<max(0, count)])
  }

  package func receiveAll() throws -> String {
    var result: [UInt8] = []
    while true {
      let part = try receive()
      if part.isEmpty { return String(decoding: result, as: UTF8.self) }
      result += part
    }
  }

  /// Adds to what is unread.
  private func receiveMore(_ place: String) throws {
    let held = unread
    unread = []
    let part = try receive()
    if part.isEmpty { throw TestFailure(description: "the connection ended in \(place)") }
    unread = held + part
  }

  package func line() throws -> String {
    var searched = 0
    while true {
      if let end = unread[searched...].firstIndex(of: 10) {
        defer { unread.removeFirst(end + 1) }
        return String(decoding: unread[..<end].filter { $0 != 13 }, as: UTF8.self)
      }
      searched = unread.count
      try receiveMore("a line")
    }
  }

  package func bytes(_ count: Int) throws -> [UInt8] {
    while unread.count < count {
      try receiveMore("a body")
    }
    defer { unread.removeFirst(count) }
    return Array(unread[..<count])
  }

  package func head() throws -> Response {
    let parts = try line().split(separator: " ", maxSplits: 2)
    guard parts.count == 3, parts[0] == "HTTP/1.1", let status = Int(parts[1]) else {
      throw TestFailure(description: "no status line: \(parts)")
    }
    var response = Response(status: status)
    while true {
      let field = try line()
      if field.isEmpty { return response }
      guard let colon = field.firstIndex(of: ":") else { throw TestFailure(description: "no field: \(field)") }
      response.headers.add(String(field[..<colon]), String(field[colon...].dropFirst(2)))
    }
  }

  /// One chunk; empty for the last one.
  package func chunk() throws -> [UInt8] {
    let size = try line()
    guard let count = Int(size, radix: 16) else { throw TestFailure(description: "no chunk size: \(size)") }
    let content = try bytes(count)
    let end = try line()
    guard end.isEmpty else { throw TestFailure(description: "behind a chunk: \(end)") }
    return content
  }

  package func response(toHead: Bool = false) throws -> Response {
    var response = try head()
    if toHead { return response }
    if response.headers["Transfer-Encoding"] == "chunked" {
      while true {
        let part = try chunk()
        if part.isEmpty { return response }
        response.body += part
      }
    }
    response.body = try bytes(Int(response.headers["Content-Length"] ?? "0") ?? 0)
    return response
  }

  package func get(_ target: String, _ fields: String = "") throws -> Response {
    try send("GET \(target) HTTP/1.1\r\nHost: test\r\n\(fields)\r\n")
    return try response()
  }
}
