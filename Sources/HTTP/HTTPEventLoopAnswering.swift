import Glibc

extension HTTPEventLoop {
  /// Bytes sent to one connection in one turn, that others get theirs.
  private static let turnBytes = 1 << 20

  /// Takes what the exchange's owner wrote.
  func deliver(_ connection: HTTPConnection) {
    guard let outbox = connection.outbox else { return }
    touch(connection)
    let delivery = outbox.take()
    if let head = delivery.head {
      connection.keepsAlive = connection.keepsAlive && !head.closes && !isDraining
      connection.output.append(head.bytes(keepsAlive: connection.keepsAlive, date: dateText()))
    }
    for segment in delivery.segments { connection.output.append(segment) }
    switch delivery.end {
    case .open: break
    case .finished: connection.ending = connection.keepsAlive ? .nextRequest : .linger
    case .aborted: return drop(connection, reset: true)
    }
    flush(connection)
  }

  /// What the server says itself.
  /// - Parameters:
  ///   - head: of the request that it is about, when it is known.
  ///   - retryAfter: seconds.
  func refusal(_ head: HTTPRequestHead?, _ status: Int, _ message: String, retryAfter: Int? = nil) -> HTTPResponse {
    var response = ownAnswer(head, status, message)
    if let retryAfter { response.headers.set("Retry-After", "\(retryAfter)") }
    return response
  }

  func refuse(_ connection: HTTPConnection, _ status: Int, _ message: String, retryAfter: Int? = nil) {
    refuse(connection, refusal(connection.knownHead, status, message, retryAfter: retryAfter))
  }

  /// An answer after which nothing more is read as a request.
  func refuse(_ connection: HTTPConnection, _ response: HTTPResponse) {
    touch(connection)
    let isHead = connection.knownHead?.method == "HEAD"
    connection.head = nil
    connection.body = nil
    connection.phase = .answering
    connection.ending = .linger
    connection.output.append(bytes(response, isHead: isHead))
    flush(connection)
  }

  /// Sends what the socket takes.
  func flush(_ connection: HTTPConnection) {
    guard connection.phase != .closed else { return }
    let isBody = connection.phase == .body
    // The pace counts from when the client's side began to hold the answer up.
    if !isBody, !connection.interest.contains(.writable) { connection.pace = .init(now) }
    let (count, isGone) = connection.output.send(to: connection.descriptor, limit: HTTPEventLoop.turnBytes)
    counts.bytesOut += count
    if count > 0 {
      if !isBody { connection.pace.advance(count, now) }
      connection.outbox?.didSend(count)
    }
    if isGone { return drop(connection) }
    guard connection.output.isEmpty, let ending = connection.ending else { return }
    connection.outbox = nil
    connection.ending = nil
    connection.pace = .init(now)
    switch ending {
    case .nextRequest where !isDraining || connection.leftoverStart < connection.leftover.count:
      connection.phase = .idle
      connection.answered += 1
      readLeftover(connection)
    // The client was not told in time that the connection would close; it is free to.
    case .nextRequest, .linger:
      connection.leftover = []
      connection.phase = .lingering
      shutdown(connection.descriptor, Int32(SHUT_WR))
    }
  }
}
