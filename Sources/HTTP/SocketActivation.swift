import Glibc

/// systemd's two protocols for services, sd_listen_fds(3) and sd_notify(3), over the process's environment.
package enum SocketActivation {
  /// The first descriptor that systemd hands over.
  private static let firstDescriptor: Int32 = 3
  private static let descriptorLimit: Int32 = 1024

  /// The listening sockets that were handed to this process; empty when there are none or they are for another one.
  /// To be asked once, at the start: the server closes them.
  /// - Parameters:
  ///   - environment: a variable's value; nil when it is not set.
  ///   - process: this process's id.
  package static func descriptors(
    environment: (String) -> String? = SocketActivation.environment, process: Int32 = getpid()
  ) throws(HTTPError) -> [Int32] {
    guard let owner = environment("LISTEN_PID"), let number = environment("LISTEN_FDS") else { return [] }
    guard let owner = Int32(owner), owner > 0 else { throw HTTPError("LISTEN_PID", "'\(owner)' is no process") }
    guard owner == process else { return [] }
    guard let count = Int32(number), count >= 0, count <= descriptorLimit else {
      throw HTTPError("LISTEN_FDS", "'\(number)' is no number of sockets")
    }
    return (0..<count).map { firstDescriptor + $0 }
  }

  package static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  /// Tells the service manager a state such as `READY=1` or `STOPPING=1`; without one this does nothing.
  /// - Parameter address: the manager's socket: a path, or an abstract name that begins with `@`.
  package static func notify(
    _ state: String, address: String? = SocketActivation.environment("NOTIFY_SOCKET")
  ) throws(HTTPError) {
    guard let address, !address.isEmpty else { return }
    guard address.hasPrefix("/") || address.hasPrefix("@"), let socketAddress = HTTPPeer.unixAddress(address) else {
      throw HTTPError("NOTIFY_SOCKET", "'\(address)' is no address of a Unix socket")
    }
    let flags = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
    let descriptor = socket(AF_UNIX, flags, 0)
    guard descriptor >= 0 else { throw HTTPError("NOTIFY_SOCKET", "socket", errno: errno) }
    defer { close(descriptor) }
    let bytes = Array(state.utf8)
    let count = HTTPPeer.withSocketAddress(socketAddress) {
      sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, $1)
    }
    guard count == bytes.count else { throw HTTPError("NOTIFY_SOCKET", "cannot send to '\(address)'", errno: errno) }
  }
}
