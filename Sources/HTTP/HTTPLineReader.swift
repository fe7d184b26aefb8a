/// Collects one line of a head, byte by byte, and refuses what other parsers may read in another way: bare CR, bare LF
/// and control bytes.
struct HTTPLineReader {
  /// Without its CRLF.
  private(set) var line: [UInt8] = []
  private var sawCarriageReturn = false
  /// Whether no byte of the line came yet.
  var isFresh: Bool { line.isEmpty && !sawCarriageReturn }

  /// Reads on; true once the line is whole.
  /// - Parameters:
  ///   - start: the first unread byte; moved on.
  ///   - limit: bytes of the line; a longer one throws `overLimit`.
  mutating func read(
    _ input: UnsafeBufferPointer<UInt8>, from start: inout Int, limit: Int, overLimit: HTTPRefusal
  ) throws(HTTPRefusal) -> Bool {
    while start < input.count {
      let byte = input[start]
      start += 1
      if sawCarriageReturn {
        guard byte == ASCII.lineFeed else { throw HTTPRefusal(400, "a carriage return stands without a line feed") }
        sawCarriageReturn = false
        return true
      }
      if byte == ASCII.carriageReturn {
        sawCarriageReturn = true
        continue
      }
      guard byte != ASCII.lineFeed else { throw HTTPRefusal(400, "a line feed stands without a carriage return") }
      guard !ASCII.isControl(byte) else { throw HTTPRefusal(400, "the head holds a control byte") }
      guard line.count < limit else { throw overLimit }
      line.append(byte)
    }
    return false
  }

  /// Forgets the line; its memory is kept for the next one of this head.
  mutating func clear() { line.removeAll(keepingCapacity: true) }
}
