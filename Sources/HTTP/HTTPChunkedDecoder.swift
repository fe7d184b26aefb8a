/// The chunked coding of a body (RFC 9112, 7.1). Extensions and trailers are checked, bounded and dropped.
struct HTTPChunkedDecoder {
  enum Event {
    case more
    /// A range of the input that belongs to the body.
    case body(Range<Int>)
    case end
  }

  private enum State {
    case size
    /// Bytes of the chunk that are to come.
    case data(Int)
    case dataEnd
    case trailers
  }

  /// Bytes of a chunk's first line.
  private static let sizeLineLimit = 4096
  /// Bytes of framing beyond what plain chunks need: one-byte chunks with long extensions are an attack.
  private static let overheadLimit = 16384

  private let bodyLimit: Int
  private let trailerLimit: Int
  private let trailerCountLimit: Int
  private var state = State.size
  private var reader = HTTPLineReader()
  private var received = 0
  private var overhead = 0
  private var trailerBytes = 0
  private var trailerCount = 0

  init(limits: HTTPLimits) {
    bodyLimit = limits.bodyBytes
    trailerLimit = limits.headerBytes
    trailerCountLimit = limits.headerCount
  }

  /// Reads on until something is to tell.
  /// - Parameter start: the first unread byte; moved on.
  mutating func step(_ input: UnsafeBufferPointer<UInt8>, from start: inout Int) throws(HTTPRefusal) -> Event {
    while start < input.count {
      switch state {
      case .size:
        let tooLong = HTTPRefusal(400, "the first line of a chunk is too long")
        guard try reader.read(input, from: &start, limit: HTTPChunkedDecoder.sizeLineLimit, overLimit: tooLong) else {
          return .more
        }
        let size = try chunkSize()
        state = size == 0 ? .trailers : .data(size)
        reader.clear()
      case .data(let left):
        let count = min(left, input.count - start)
        let range = start..<start + count
        start += count
        state = count == left ? .dataEnd : .data(left - count)
        return .body(range)
      case .dataEnd:
        let refusal = HTTPRefusal(400, "a chunk is longer than its size")
        guard try reader.read(input, from: &start, limit: 0, overLimit: refusal) else { return .more }
        state = .size
        reader.clear()
      case .trailers:
        let refusal = HTTPRefusal(431, "the trailers are too large")
        guard try reader.read(input, from: &start, limit: trailerLimit - trailerBytes, overLimit: refusal) else {
          return .more
        }
        if reader.line.isEmpty { return .end }
        _ = try HTTPHeadBuilder.field(reader.line)
        trailerBytes = min(trailerLimit, trailerBytes + reader.line.count + 2)
        trailerCount += 1
        guard trailerCount <= trailerCountLimit else { throw refusal }
        reader.clear()
      }
    }
    return .more
  }

  /// The size in the line that was read; counts it against the limits.
  private mutating func chunkSize() throws(HTTPRefusal) -> Int {
    let line = reader.line
    let end = line.firstIndex(of: UInt8(ascii: ";")) ?? line.count
    var digits = line[..<end]
    // Blanks may stand before an extension, not before the line's end.
    if end < line.count { while let last = digits.last, ASCII.isBlank(last) { digits.removeLast() } }
    guard !digits.isEmpty, digits.count <= 16 else { throw HTTPRefusal(400, "the size of a chunk is invalid") }
    var size: UInt64 = 0
    for byte in digits {
      guard let digit = ASCII.hexDigit(byte) else { throw HTTPRefusal(400, "the size of a chunk is invalid") }
      size = size << 4 | UInt64(digit)
    }
    guard size <= UInt64(max(0, bodyLimit - received)) else {
      throw HTTPRefusal(413, "the body is larger than \(bodyLimit) bytes")
    }
    received += Int(size)
    overhead = max(0, overhead + line.count + 2 - 16)
    overhead = max(0, overhead - 2 * min(Int(size), HTTPChunkedDecoder.overheadLimit))
    guard overhead <= HTTPChunkedDecoder.overheadLimit else {
      throw HTTPRefusal(400, "the chunks are mostly framing")
    }
    return Int(size)
  }
}
