import Glibc

/// What went wrong with a file, named by its path and the system's own word for it.
package struct FileError: Error, CustomStringConvertible, Equatable {
  package enum Operation: String, Sendable { case open, read, map, write }
  package let operation: Operation
  package let path: String
  package let reason: String

  package init(_ operation: Operation, _ path: String, reason: String) {
    self.operation = operation
    self.path = path
    self.reason = reason
  }

  package init(_ operation: Operation, _ path: String, errno code: Int32) {
    self.init(operation, path, reason: String(cString: strerror(code)))
  }

  package var description: String { "cannot \(operation.rawValue) '\(path)': \(reason)" }
}
