import Glibc
import OccamCore

/// The process's standard streams.
package enum Terminal {
  package static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
  package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
  package static var inputIsTerminal: Bool { isatty(STDIN_FILENO) == 1 }

  /// Columns of the terminal behind stdout or stderr, else COLUMNS, else 80.
  package static var width: Int {
    for descriptor in [STDOUT_FILENO, STDERR_FILENO] {
      var size = winsize()
      if ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
    }
    if let columns = getenv("COLUMNS"), let value = Int(String(cString: columns)), value > 0 { return min(value, 1000) }
    return 80
  }

  /// Writes at once, without a buffer, so that streamed text appears piece by piece.
  package static func output(_ text: String) throws(FileError) {
    try write(Array(text.utf8), STDOUT_FILENO, "standard output")
  }

  package static func output(_ bytes: [UInt8]) throws(FileError) {
    try write(bytes, STDOUT_FILENO, "standard output")
  }

  /// Messages and progress; a closed stderr is no reason to stop.
  package static func error(_ text: String) { try? write(Array(text.utf8), STDERR_FILENO, "standard error") }

  private static func write(_ bytes: [UInt8], _ descriptor: Int32, _ name: String) throws(FileError) {
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(.write, name, errno: errno)
      }
      written += count
    }
  }
}
