import Glibc

/// Why the server cannot do what its owner asked, named by the address or the variable that it is about.
package struct HTTPError: Error, CustomStringConvertible, Equatable {
  package let subject: String
  package let reason: String

  package init(_ subject: String, _ reason: String) {
    self.subject = subject
    self.reason = reason
  }

  /// - Parameter code: a value of `errno`.
  init(_ subject: String, _ operation: String, errno code: Int32) {
    self.init(subject, "\(operation): \(String(cString: strerror(code)))")
  }

  package var description: String { "\(subject): \(reason)" }
}

/// Why a client's bytes are no request that the server takes, as the status and the message it is told.
package struct HTTPRefusal: Error, Equatable, CustomStringConvertible {
  package let status: Int
  package let message: String

  init(_ status: Int, _ message: String) {
    self.status = status
    self.message = message
  }

  package var description: String { "\(status): \(message)" }
}
