/// Frames of an event stream (WHATWG HTML, 9.2).
package enum ServerSentEvents {
  package static let contentType = "text/event-stream"

  /// A frame with these data. Each line of `data` (ended by LF, CR or CRLF) becomes one of its own: the reader joins
  /// them with LF again.
  /// - Parameter event: the event's type; nil for none. Its line ends become spaces.
  package static func frame(_ data: String, event: String? = nil) -> [UInt8] {
    frame(Array(data.utf8), event: event)
  }

  private static func frame(_ data: [UInt8], event: String?) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(data.count + 16)
    if let event {
      bytes += "event: ".utf8
      bytes += event.utf8.map { isLineEnd($0) ? ASCII.space : $0 }
      bytes.append(ASCII.lineFeed)
    }
    bytes += "data: ".utf8
    for (index, byte) in data.enumerated() {
      if !isLineEnd(byte) {
        bytes.append(byte)
      } else if byte == ASCII.carriageReturn || index == 0 || data[index - 1] != ASCII.carriageReturn {
        bytes += "\ndata: ".utf8
      }
    }
    bytes += "\n\n".utf8
    return bytes
  }

  /// A line that readers skip; it keeps a silent connection from being closed on the way.
  package static let keepAlive: [UInt8] = Array(": \n\n".utf8)

  private static func isLineEnd(_ byte: UInt8) -> Bool { byte == ASCII.lineFeed || byte == ASCII.carriageReturn }
}
