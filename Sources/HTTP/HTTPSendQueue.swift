import Glibc

/// Bytes that wait for the socket. The loop's thread.
struct HTTPSendQueue {
  enum Outcome {
    case sent
    /// The socket takes no more now.
    case blocked
    /// The client is gone.
    case failed
  }

  /// Small pieces are joined up to this size.
  private static let joinedBytes = 64 << 10

  private var segments: [[UInt8]] = []
  /// The segment to send next, and how many bytes of it are sent.
  private var first = 0
  private var offset = 0

  var isEmpty: Bool { segments.isEmpty }

  mutating func append(_ bytes: [UInt8]) {
    guard !bytes.isEmpty else { return }
    if let last = segments.indices.last, segments[last].count + bytes.count <= HTTPSendQueue.joinedBytes {
      segments[last] += bytes
    } else {
      segments.append(bytes)
    }
  }

  /// Sends until all is sent, the socket is full or `limit` bytes went.
  /// - Returns: the bytes sent; `.sent` also when the limit ended it.
  mutating func send(to descriptor: Int32, limit: Int) -> (count: Int, outcome: Outcome) {
    var sent = 0
    while first < segments.count {
      guard sent < limit else { return (sent, .sent) }
      // More to come: let small head and first part of the body share a packet.
      let flags = Int32(MSG_NOSIGNAL) | (first + 1 < segments.count ? Int32(MSG_MORE) : 0)
      let count = segments[first].withUnsafeBytes { bytes in
        Glibc.send(descriptor, bytes.baseAddress! + offset, min(bytes.count - offset, limit - sent), flags)
      }
      if count < 0 {
        if errno == EINTR { continue }
        return (sent, errno == EAGAIN || errno == EWOULDBLOCK ? .blocked : .failed)
      }
      sent += count
      offset += count
      if offset == segments[first].count {
        segments[first] = []
        (first, offset) = (first + 1, 0)
      }
    }
    (segments, first) = ([], 0)
    return (sent, .sent)
  }
}
