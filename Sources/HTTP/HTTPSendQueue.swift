import Glibc

/// Bytes that wait for the socket. The loop's thread.
struct HTTPSendQueue {
  private var segments: [[UInt8]] = []
  /// The segment to send next, and how many bytes of it are sent.
  private var first = 0
  private var offset = 0

  var isEmpty: Bool { segments.isEmpty }

  mutating func append(_ bytes: [UInt8]) {
    if !bytes.isEmpty { segments.join(bytes) }
  }

  /// Sends until all is sent, the socket is full or `limit` bytes went.
  /// - Returns: the bytes sent, and whether the client is gone.
  mutating func send(to descriptor: Int32, limit: Int) -> (count: Int, isGone: Bool) {
    var sent = 0
    while first < segments.count {
      guard sent < limit else { return (sent, false) }
      // More to come: let small head and first part of the body share a packet.
      let flags = Int32(MSG_NOSIGNAL) | (first + 1 < segments.count ? Int32(MSG_MORE) : 0)
      let count = segments[first].withUnsafeBytes { bytes in
        Glibc.send(descriptor, bytes.baseAddress! + offset, min(bytes.count - offset, limit - sent), flags)
      }
      if count < 0 {
        if errno == EINTR { continue }
        return (sent, errno != EAGAIN && errno != EWOULDBLOCK)
      }
      sent += count
      offset += count
      if offset == segments[first].count {
        segments[first] = []
        (first, offset) = (first + 1, 0)
      }
    }
    (segments, first) = ([], 0)
    return (sent, false)
  }
}

extension [[UInt8]] {
  /// Adds a piece; joined with the last one as long as both together are small.
  mutating func join(_ piece: [UInt8]) {
    if let last = indices.last, self[last].count + piece.count <= 64 << 10 {
      self[last] += piece
    } else {
      append(piece)
    }
  }
}
