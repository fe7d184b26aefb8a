import Glibc

/// The kernel's list of descriptors to watch. Only one thread may wait, since all waits share a buffer.
final class Epoll: @unchecked Sendable {
  struct Interest: OptionSet {
    let rawValue: UInt32
    static let readable = Interest(rawValue: 0x001)
    static let writable = Interest(rawValue: 0x004)
    static let error = Interest(rawValue: 0x008)
    /// Both directions are closed.
    static let hungUp = Interest(rawValue: 0x010)
    /// The peer sends no more.
    static let peerClosed = Interest(rawValue: 0x2000)
  }

  struct Event {
    let id: UInt64
    let interest: Interest
  }

  /// `struct epoll_event` is packed on x86-64 only.
  #if arch(x86_64)
    private static let (stride, idOffset) = (12, 4)
  #else
    private static let (stride, idOffset) = (16, 8)
  #endif
  private static let eventLimit = 256

  private let descriptor: Int32
  private let events = UnsafeMutableRawPointer.allocate(byteCount: eventLimit * stride, alignment: 8)

  init() throws(HTTPError) {
    descriptor = epollCreate(O_CLOEXEC)
    if descriptor < 0 { throw HTTPError("server", "epoll_create1", errno: errno) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    events.deallocate()
  }

  func add(_ watched: Int32, id: UInt64, _ interest: Interest) -> Bool {
    control(1, watched, id, interest)
  }

  func modify(_ watched: Int32, id: UInt64, _ interest: Interest) -> Bool {
    control(3, watched, id, interest)
  }

  func remove(_ watched: Int32) { _ = control(2, watched, 0, []) }

  private func control(_ operation: Int32, _ watched: Int32, _ id: UInt64, _ interest: Interest) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: Epoll.stride, alignment: 8) { event in
      event.storeBytes(of: interest.rawValue, as: UInt32.self)
      event.storeBytes(of: id, toByteOffset: Epoll.idOffset, as: UInt64.self)
      return epollControl(descriptor, operation, watched, event.baseAddress) == 0
    }
  }

  /// What happened; empty after `milliseconds`, or when a signal came. Negative: without limit of time.
  func wait(milliseconds: Int32) -> [Event] {
    let count = epollWait(descriptor, events, Int32(Epoll.eventLimit), milliseconds)
    guard count > 0 else { return [] }
    return (0..<Int(count)).map { index in
      let event = events + index * Epoll.stride
      return Event(
        id: event.loadUnaligned(fromByteOffset: Epoll.idOffset, as: UInt64.self),
        interest: Interest(rawValue: event.loadUnaligned(as: UInt32.self)))
    }
  }
}

// Swift's Glibc module leaves <sys/epoll.h> and <sys/eventfd.h> out, and accept4 with them.

@_extern(c, "epoll_create1")
private func epollCreate(_ flags: Int32) -> Int32

@_extern(c, "epoll_ctl")
private func epollControl(
  _ epoll: Int32, _ operation: Int32, _ descriptor: Int32, _ event: UnsafeMutableRawPointer?
) -> Int32

@_extern(c, "epoll_wait")
private func epollWait(
  _ epoll: Int32, _ events: UnsafeMutableRawPointer?, _ limit: Int32, _ milliseconds: Int32
) -> Int32

/// - Parameter flags: `O_NONBLOCK` and `O_CLOEXEC`, whose values Linux shares between files, sockets and eventfd.
@_extern(c, "eventfd")
func eventDescriptor(_ initial: UInt32, _ flags: Int32) -> Int32

@_extern(c, "accept4")
func acceptConnection(
  _ socket: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?,
  _ flags: Int32
) -> Int32
