/// Counts since the server was made, but for `open`.
package struct HTTPStatistics: Sendable, Equatable {
  /// Connections that are open now.
  package var open = 0
  package var accepted = 0
  /// Connections beyond the limit, among the accepted ones.
  package var refused = 0
  /// Requests whose head was read.
  package var requests = 0
  package var bytesIn = 0
  package var bytesOut = 0

  package init() {}
}
