import Glibc

/// Where the server listens.
package enum HTTPAddress: Sendable, CustomStringConvertible {
  /// A name, an IPv4 or IPv6 address; empty or `*` for all addresses of the machine. Port 0: any free one.
  case tcp(host: String, port: UInt16)
  /// Takes the place of a socket file that nobody listens on; who may connect is a matter of umask.
  case unix(path: String)
  /// A listening stream socket that somebody else made; the server closes it in the end.
  case descriptor(Int32)

  package var description: String {
    switch self {
    case .tcp(let host, let port):
      host.contains(":") ? "[\(HTTPAddress.withoutBrackets(host))]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    case .descriptor(let number): "descriptor \(number)"
    }
  }

  /// An IPv6 address may be written as in URLs.
  static func withoutBrackets(_ host: String) -> String {
    host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
  }
}

/// A listening socket, not blocking.
struct HTTPListener: Sendable {
  let descriptor: Int32
  /// nil for a Unix socket.
  let port: UInt16?
  /// The socket file to remove, and which one it was.
  private(set) var path: String?
  private(set) var device: UInt64 = 0
  private(set) var inode: UInt64 = 0

  static let backlog: Int32 = 4096

  private init(_ descriptor: Int32, port: UInt16?) {
    self.descriptor = descriptor
    self.port = port
  }

  /// Closes the socket and removes its file unless another one has taken its place.
  func end() {
    close(descriptor)
    guard let path else { return }
    var status = stat()
    if lstat(path, &status) == 0, UInt64(status.st_dev) == device, UInt64(status.st_ino) == inode { unlink(path) }
  }

  static func open(_ address: HTTPAddress) throws(HTTPError) -> [HTTPListener] {
    switch address {
    case .tcp(let host, let port): try openTCP(host, port, "\(address)")
    case .unix(let path): [try openUnix(path, "\(address)")]
    case .descriptor(let number): [try adopt(number, "\(address)")]
    }
  }

  // MARK: TCP

  private static func openTCP(_ host: String, _ port: UInt16, _ subject: String) throws(HTTPError) -> [HTTPListener] {
    // A port that is free at a name's first address may be taken at its second: any other will do.
    if port == 0 { for _ in 0..<7 { if let result = try? bindAll(host, port, subject) { return result } } }
    return try bindAll(host, port, subject)
  }

  private static func bindAll(_ host: String, _ port: UInt16, _ subject: String) throws(HTTPError) -> [HTTPListener] {
    let name = HTTPAddress.withoutBrackets(host)
    var hints = addrinfo()
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name.isEmpty || name == "*" ? nil : name, "\(port)", &hints, &list)
    guard code == 0 else { throw HTTPError(subject, String(cString: gai_strerror(code))) }
    defer { freeaddrinfo(list) }
    var result: [HTTPListener] = []
    var missing: HTTPError?
    var seen: Set<String> = []
    var entry = list
    while let info = entry?.pointee {
      entry = info.ai_next
      guard seen.insert(HTTPPeer.name(storage(info))).inserted else { continue }
      do throws(HTTPError) {
        // All addresses of a name share the port that the first one was given.
        result.append(try bindTCP(info, port: result.first?.port ?? port, subject))
      } catch {
        // A machine without IPv6 may have it in its hosts file all the same.
        if [EAFNOSUPPORT, EADDRNOTAVAIL].contains(errno) {
          missing = error
          continue
        }
        for listener in result { listener.end() }
        throw error
      }
    }
    if result.isEmpty { throw missing ?? HTTPError(subject, "the host has no address") }
    return result
  }

  private static func storage(_ info: addrinfo) -> sockaddr_storage {
    var storage = sockaddr_storage()
    memcpy(&storage, info.ai_addr, min(Int(info.ai_addrlen), MemoryLayout<sockaddr_storage>.size))
    return storage
  }

  /// On failure `errno` says why.
  private static func bindTCP(_ info: addrinfo, port: UInt16, _ subject: String) throws(HTTPError) -> HTTPListener {
    let flags = info.ai_socktype | Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(info.ai_family, flags, info.ai_protocol)
    guard descriptor >= 0 else { throw HTTPError(subject, "socket", errno: errno) }
    var storage = storage(info)
    set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
    // IPv4 has a socket of its own.
    if info.ai_family == AF_INET6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
    let status = withUnsafeMutableBytes(of: &storage) { bytes in
      // Both families keep the port at the same place.
      bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
      return bind(descriptor, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, info.ai_addrlen)
    }
    guard status == 0, listen(descriptor, backlog) == 0 else {
      let code = errno
      close(descriptor)
      errno = code
      throw HTTPError(subject, "cannot listen", errno: code)
    }
    return HTTPListener(descriptor, port: HTTPPeer.port(ofSocket: descriptor))
  }

  // MARK: Unix

  private static func openUnix(_ path: String, _ subject: String) throws(HTTPError) -> HTTPListener {
    guard let address = HTTPPeer.unixAddress(path), !path.hasPrefix("@") else {
      throw HTTPError(subject, "the path is empty or too long for a socket")
    }
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, flags, 0)
    guard descriptor >= 0 else { throw HTTPError(subject, "socket", errno: errno) }
    do throws(HTTPError) {
      try removeStale(path, address, subject)
      let status = HTTPPeer.withSocketAddress(address) { bind(descriptor, $0, $1) }
      guard status == 0, listen(descriptor, backlog) == 0 else {
        throw HTTPError(subject, "cannot listen", errno: errno)
      }
    } catch {
      close(descriptor)
      throw error
    }
    var listener = HTTPListener(descriptor, port: nil)
    var file = stat()
    if lstat(path, &file) == 0 {
      (listener.path, listener.device, listener.inode) = (path, UInt64(file.st_dev), UInt64(file.st_ino))
    }
    return listener
  }

  /// Removes a socket file whose server is gone. A live one, and what is no socket, is left where it is.
  private static func removeStale(_ path: String, _ address: sockaddr_un, _ subject: String) throws(HTTPError) {
    var file = stat()
    guard lstat(path, &file) == 0 else { return }
    guard file.st_mode & S_IFMT == S_IFSOCK else { throw HTTPError(subject, "the path is taken by something else") }
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { throw HTTPError(subject, "socket", errno: errno) }
    defer { close(probe) }
    let status = HTTPPeer.withSocketAddress(address) { connect(probe, $0, $1) }
    guard status != 0, errno == ECONNREFUSED else { throw HTTPError(subject, "another server listens there") }
    guard unlink(path) == 0 || errno == ENOENT else { throw HTTPError(subject, "cannot remove", errno: errno) }
  }

  // MARK: Handed over

  private static func adopt(_ descriptor: Int32, _ subject: String) throws(HTTPError) -> HTTPListener {
    guard descriptor >= 0, get(descriptor, SO_TYPE) == Int32(SOCK_STREAM.rawValue), get(descriptor, SO_ACCEPTCONN) == 1
    else { throw HTTPError(subject, "it is no listening stream socket") }
    let status = fcntl(descriptor, F_GETFL)
    guard status >= 0, fcntl(descriptor, F_SETFL, status | O_NONBLOCK) == 0,
      fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
    else { throw HTTPError(subject, "fcntl", errno: errno) }
    return HTTPListener(descriptor, port: HTTPPeer.port(ofSocket: descriptor))
  }

  private static func get(_ descriptor: Int32, _ option: Int32) -> Int32? {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : nil
  }

  static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}
