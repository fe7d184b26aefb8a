import Glibc

extension HTTPEventLoop {
  /// Reads once from a connection: the kernel reports what is left again.
  func read(_ connection: HTTPConnection) {
    guard connection.isReading || connection.phase == .lingering else { return }
    let size = readSize(connection)
    var count = recv(connection.descriptor, scratch.baseAddress, size, 0)
    while count < 0, errno == EINTR { count = recv(connection.descriptor, scratch.baseAddress, size, 0) }
    if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { return }
    // The client's end: there is no whole request to answer.
    guard count > 0 else { return drop(connection) }
    counts.bytesIn += count
    let bytes = UnsafeBufferPointer(rebasing: scratch[..<count])
    if connection.phase == .lingering {
      connection.pace.advance(count, now)
      if connection.pace.bytes > limits.lingerBytes { drop(connection) }
      return
    }
    let used = consume(bytes, connection)
    if used < bytes.count, connection.phase == .answering, connection.outbox != nil {
      connection.leftover = Array(bytes[used...])
      connection.leftoverStart = 0
    }
  }

  /// Large for bodies, and small where the rest would have to be kept for the next request.
  private func readSize(_ connection: HTTPConnection) -> Int {
    if connection.phase == .lingering { return scratch.count }
    guard let body = connection.body else { return 16 << 10 }
    if connection.framing?.body == .chunked { return 64 << 10 }
    return max(1, min(scratch.count, body.left))
  }

  /// Goes on with bytes that came behind the last request.
  func readLeftover(_ connection: HTTPConnection) {
    let bytes = connection.leftover
    connection.leftover = []
    let start = connection.leftoverStart
    guard start < bytes.count else { return }
    let used = bytes.withUnsafeBufferPointer { consume(UnsafeBufferPointer(rebasing: $0[start...]), connection) }
    guard start + used < bytes.count, connection.phase == .answering else { return }
    (connection.leftover, connection.leftoverStart) = (bytes, start + used)
  }

  /// Reads until the bytes end or a request is whole or refused.
  /// - Returns: the bytes read.
  private func consume(_ bytes: UnsafeBufferPointer<UInt8>, _ connection: HTTPConnection) -> Int {
    var position = 0
    do throws(HTTPRefusal) {
      while connection.isReading {
        if connection.phase == .idle, position < bytes.count {
          connection.phase = .head
          connection.pace = .init(now)
        }
        switch try connection.parser.step(bytes, from: &position) {
        case .more: return position
        case .head(let head, let framing): begin(head, framing, connection)
        case .body(let range):
          connection.pace.advance(range.count, now)
          guard connection.body?.append(UnsafeBufferPointer(rebasing: bytes[range])) == true else {
            refuse(connection, 503, "the server has too many request bodies in memory", retryAfter: 1)
            return position
          }
        case .end: dispatch(connection)
        }
      }
    } catch {
      refuse(connection, error.status, error.message)
    }
    return position
  }

  /// A head is complete.
  private func begin(_ head: HTTPRequestHead, _ framing: HTTPFraming, _ connection: HTTPConnection) {
    counts.requests += 1
    connection.head = head
    connection.framing = framing
    connection.keepsAlive = framing.keepsAlive
    if let response = screen(head) {
      // The body that would follow is nobody's: only a connection without one can go on.
      if framing.body == .none {
        dispatch(connection, answer: response)
      } else {
        refuse(connection, response)
      }
      return
    }
    let limit: Int
    switch framing.body {
    case .none: return
    case .length(let count): limit = count
    case .chunked: limit = limits.bodyBytes
    }
    connection.body = HTTPBodyCollector(budget, limit: limit)
    connection.phase = .body
    connection.pace = .init(now)
    if framing.expectsContinue {
      connection.output.append(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
      flush(connection)
    }
  }

  /// A request is whole: its owner's turn.
  /// - Parameter answer: the answer, when the handler is not to be asked.
  private func dispatch(_ connection: HTTPConnection, answer: HTTPResponse? = nil) {
    guard let head = connection.head, let framing = connection.framing else { return drop(connection) }
    let outbox = HTTPOutbox(
      connection: connection.id, mailbox: mailbox, isHead: head.method == "HEAD",
      isChunked: framing.minorVersion == 1, unsentLimit: limits.unsentBytes,
      failure: { [ownAnswer] message in ownAnswer(head, 500, message) })
    let body = connection.body?.take()
    connection.body = nil
    connection.head = nil
    connection.framing = nil
    connection.phase = .answering
    connection.outbox = outbox
    if let answer {
      // A bodiless request leaves the parser one step before its end.
      var start = 0
      _ = try? connection.parser.step(UnsafeBufferPointer(start: nil, count: 0), from: &start)
      return outbox.respond(answer)
    }
    handler(
      HTTPExchange(request: HTTPRequest(head: head, body: body?.bytes ?? []), outbox: outbox, charge: body?.charge))
  }
}
