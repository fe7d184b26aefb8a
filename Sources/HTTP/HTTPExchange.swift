/// One request and the way to answer it; every method from any thread, none of them blocks. Who lets an exchange go
/// without an answer has it answered 500; one let go between `begin` and `finish` cuts the connection, so that the
/// client can tell that something is missing.
package final class HTTPExchange: Sendable {
  package let request: HTTPRequest
  private let outbox: HTTPOutbox
  private let charge: HTTPBodyCharge?

  init(request: HTTPRequest, outbox: HTTPOutbox, charge: HTTPBodyCharge?) {
    self.request = request
    self.outbox = outbox
    self.charge = charge
  }

  deinit { outbox.release() }

  /// Gives the whole answer. Only the first of `respond` and `begin` counts. An answer to HEAD sends the length, and no
  /// body.
  package func respond(_ response: HTTPResponse) { outbox.respond(response) }

  /// Begins an answer of unknown length: in chunks, or until the connection's end for HTTP/1.0.
  package func begin(_ status: Int, _ headers: HTTPHeaders) { outbox.begin(status, headers) }

  /// Sends a part of an answer at once.
  /// - Returns: false once the client is gone, and when nothing was begun or all is finished. A client that takes so
  ///   little that more than `HTTPLimits.unsentBytes` wait for it counts as gone.
  @discardableResult package func write(_ bytes: [UInt8]) -> Bool { outbox.write(bytes) }

  /// Ends an answer that was begun.
  package func finish() { outbox.finish() }

  /// Whether the client went away (end of its bytes, reset, time-out, too slow a reader) or the server was stopped
  /// before the answer was finished.
  package var isAbandoned: Bool { outbox.isAbandoned }

  /// Calls `body` once when the client goes away, at once when it is gone already, and not after the answer was
  /// finished. It comes on the loop's thread or on that of `write` and must not block. A body that holds the exchange
  /// keeps it alive until then.
  package func onAbandon(_ body: @escaping @Sendable () -> Void) { outbox.onAbandon(body) }
}
