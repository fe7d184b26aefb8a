import Glibc

/// One place for what a library must say without a return value: a line to stderr, never to stdout.
package enum Log {
  package static func warning(_ message: String) { line("occam: \(message)") }

  package static func line(_ message: String) {
    var bytes = Array(message.utf8)
    bytes.append(10)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
