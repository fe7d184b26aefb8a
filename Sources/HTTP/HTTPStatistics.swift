/// Counts since the server was made, but for `open`.
package struct HTTPStatistics: Sendable, Equatable {
  /// Connections that are open now.
  package var open = 0
  package var accepted = 0
  /// Clients that were told that there is no place for them: those beyond the limit of connections, which are among the
  /// accepted ones, and those for whom the process had no descriptor, which are not.
  package var refused = 0
  /// Requests whose head was read.
  package var requests = 0
  package var bytesIn = 0
  package var bytesOut = 0

  package init() {}
}
