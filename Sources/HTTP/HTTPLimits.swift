/// What a client may ask of the server. Sizes are bytes, times are seconds.
package struct HTTPLimits: Sendable {
  /// A longer request line is answered 414.
  package var requestLineBytes = 16 << 10
  /// All header lines of a request together, and again all its trailer lines; more is answered 431.
  package var headerBytes = 64 << 10
  package var headerCount = 100
  /// A larger body is answered 413, before it is read when Content-Length tells.
  package var bodyBytes = 80 << 20
  /// The bodies of all requests together, from their first byte until their exchange is gone; more is answered 503.
  package var totalBodyBytes = 512 << 20
  /// Connections beyond this are answered 503 and closed.
  package var connections = 1024
  /// From a request's first byte to the end of its head; and how long a new connection may be silent.
  package var headSeconds = 10.0
  /// The longest pause within a body.
  package var bodyIdleSeconds = 15.0
  /// The lowest mean rate, beyond `bodyIdleSeconds`, of a body that comes and of an answer that the client's side holds
  /// up. 0: none.
  package var minimumBytesPerSecond = 1024.0
  /// Between two requests of a connection.
  package var keepAliveSeconds = 60.0
  /// What an exchange may have written that the client has not yet taken. More abandons it. An answer that is given
  /// whole may be larger, and so may a part that is written when nothing waits.
  package var unsentBytes = 8 << 20
  /// How long a client may take nothing of an answer that waits for it.
  package var writeStallSeconds = 60.0
  /// After the last answer the connection is read and discarded until the client closes, lest the answer be lost: so
  /// long without a byte, six times as long in all,
  package var lingerSeconds = 5.0
  /// and up to this size.
  package var lingerBytes = 128 << 20

  package init() {}
}
