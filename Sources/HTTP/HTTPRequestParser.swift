/// Reads requests from the bytes of one connection, in pieces of any length. It keeps the head's current line only:
/// bodies are told as ranges of the input. After a refusal it gives the same one again.
package struct HTTPRequestParser: Sendable {
  package enum Event: Sendable {
    /// All input is read and more is needed.
    case more
    case head(HTTPRequestHead, HTTPFraming)
    /// A range of the input that belongs to the body, never empty.
    case body(Range<Int>)
    /// The request is whole; the next byte belongs to the next one.
    case end
  }

  private enum State: Sendable {
    /// Before the request line; the number of empty lines that came.
    case start(Int)
    case fields(HTTPHeadBuilder)
    /// Bytes of the body that are to come.
    case length(Int)
    case chunked(HTTPChunkedDecoder)
    case refused(HTTPRefusal)
  }

  /// Empty lines before a request, which old clients send after a body (RFC 9112, 2.2).
  private static let emptyLineLimit = 4

  private let limits: HTTPLimits
  private var state = State.start(0)
  private var reader = HTTPLineReader()
  private var headerBytes = 0

  /// Of a request that was refused for what its whole head says: for a body that is too large, for instance.
  private(set) var refusedHead: HTTPRequestHead?

  package init(limits: HTTPLimits) { self.limits = limits }

  /// Whether nothing of a request came yet; empty lines do not count.
  package var isBetweenRequests: Bool {
    if case .start = state { reader.isFresh } else { false }
  }

  /// Reads on until something is to tell. To be called again, with an empty rest as well, until it says `.more`.
  /// - Parameters:
  ///   - input: bytes that follow those read before.
  ///   - start: the first unread byte of `input`; moved on.
  package mutating func step(
    _ input: UnsafeBufferPointer<UInt8>, from start: inout Int
  ) throws(HTTPRefusal) -> Event {
    do throws(HTTPRefusal) {
      return try advance(input, from: &start)
    } catch {
      reader = HTTPLineReader()
      state = .refused(error)
      throw error
    }
  }

  private mutating func advance(
    _ input: UnsafeBufferPointer<UInt8>, from start: inout Int
  ) throws(HTTPRefusal) -> Event {
    while true {
      switch state {
      case .start(let emptyLines):
        guard try readRequestLine(input, from: &start, emptyLines: emptyLines) else { return .more }
      case .fields(let builder):
        // The only reference to the headers must be the one that grows.
        state = .start(0)
        return try readFields(input, from: &start, builder)
      case .length(0):
        state = .start(0)
        return .end
      case .length(let left):
        guard start < input.count else { return .more }
        let count = min(left, input.count - start)
        state = .length(left - count)
        start += count
        return .body(start - count..<start)
      case .chunked(var decoder):
        state = .start(0)
        let event = try decoder.step(input, from: &start)
        if case .end = event { return .end }
        state = .chunked(decoder)
        if case .body(let range) = event { return .body(range) }
        return .more
      case .refused(let refusal): throw refusal
      }
    }
  }

  /// True once the state is another one.
  private mutating func readRequestLine(
    _ input: UnsafeBufferPointer<UInt8>, from start: inout Int, emptyLines: Int
  ) throws(HTTPRefusal) -> Bool {
    if reader.isFresh, start < input.count, input[start] == 0x16 {
      throw HTTPRefusal(400, "this looks like TLS; the server speaks plain HTTP")
    }
    let tooLong = HTTPRefusal(414, "the request line is longer than \(limits.requestLineBytes) bytes")
    guard try reader.read(input, from: &start, limit: limits.requestLineBytes, overLimit: tooLong) else {
      return false
    }
    if reader.line.isEmpty {
      guard emptyLines < HTTPRequestParser.emptyLineLimit else {
        throw HTTPRefusal(400, "empty lines stand before the request")
      }
      state = .start(emptyLines + 1)
      return true
    }
    state = .fields(try HTTPHeadBuilder(requestLine: reader.line))
    reader.clear()
    headerBytes = 0
    return true
  }

  private mutating func readFields(
    _ input: UnsafeBufferPointer<UInt8>, from start: inout Int, _ builder: consuming HTTPHeadBuilder
  ) throws(HTTPRefusal) -> Event {
    let tooLarge = HTTPRefusal(
      431, "the headers are larger than \(limits.headerBytes) bytes or more than \(limits.headerCount)")
    while try reader.read(input, from: &start, limit: limits.headerBytes - headerBytes, overLimit: tooLarge) {
      if reader.line.isEmpty {
        // Nothing is kept while a body comes or the connection is idle.
        reader = HTTPLineReader()
        let framing = try readFraming(builder)
        switch framing.body {
        case .none: state = .length(0)
        case .length(let count): state = .length(count)
        case .chunked: state = .chunked(HTTPChunkedDecoder(limits: limits))
        }
        return .head(builder.head, framing)
      }
      guard builder.fieldCount < limits.headerCount else { throw tooLarge }
      headerBytes = min(limits.headerBytes, headerBytes + reader.line.count + 2)
      try builder.add(line: reader.line)
      reader.clear()
    }
    state = .fields(builder)
    return .more
  }

  private mutating func readFraming(_ builder: HTTPHeadBuilder) throws(HTTPRefusal) -> HTTPFraming {
    do throws(HTTPRefusal) { return try builder.framing(limits: limits) } catch {
      refusedHead = builder.head
      throw error
    }
  }
}
