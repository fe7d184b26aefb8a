import Glibc

/// Addresses of sockets, as the system writes them.
enum HTTPPeer {
  /// The local port of a TCP socket; nil for others.
  static func port(ofSocket descriptor: Int32) -> UInt16? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = withUnsafeMutableBytes(of: &storage) {
      getsockname(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
    }
    guard status == 0, [AF_INET, AF_INET6].contains(Int32(storage.ss_family)) else { return nil }
    return withUnsafeBytes(of: &storage) { UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self)) }
  }

  /// The numeric address without the port.
  static func name(_ storage: sockaddr_storage) -> String {
    let family = Int32(storage.ss_family)
    // Where the address stands in sockaddr_in and sockaddr_in6.
    let offset: Int
    switch family {
    case AF_INET: offset = 4
    case AF_INET6: offset = 8
    default: return "unix"
    }
    var text = [CChar](repeating: 0, count: 64)
    let isWritten = withUnsafeBytes(of: storage) {
      inet_ntop(family, $0.baseAddress! + offset, &text, socklen_t(text.count)) != nil
    }
    guard isWritten else { return "unknown" }
    let name = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return name.hasPrefix("::ffff:") && name.contains(".") ? String(name.dropFirst(7)) : name
  }

  /// The address of a Unix socket; `@` at the start stands for the abstract namespace. nil when it does not fit.
  static func unixAddress(_ path: String) -> sockaddr_un? {
    let bytes = Array(path.utf8)
    var address = sockaddr_un()
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard !bytes.isEmpty, bytes.count < capacity, !bytes.contains(0) else { return nil }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    if bytes[0] == UInt8(ascii: "@") { address.sun_path.0 = 0 }
    return address
  }

  static func withSocketAddress<Result>(
    _ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    var address = address
    let offset = MemoryLayout.offset(of: \sockaddr_un.sun_path) ?? 2
    let length = withUnsafeBytes(of: &address.sun_path) { bytes in
      // An abstract name begins with the zero byte and is exactly as long as it is written.
      let rest = bytes.dropFirst().firstIndex(of: 0) ?? bytes.count
      return socklen_t(offset + (bytes[0] == 0 ? rest : min(rest + 1, bytes.count)))
    }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }
}
