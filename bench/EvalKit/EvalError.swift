/// What is wrong with an evaluation's input; names the file and, where there is one, the line.
package struct EvalError: Error, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// A file cannot be read or written.
    case file
    /// A line is not a question, or not a result.
    case line
    /// Results of another model, or of another question under the same id.
    case mismatch
    /// Settings that cannot be honoured together.
    case setting
  }

  package let code: Code
  package let subject: String
  /// From 1; nil where no line is concerned.
  package let line: Int?
  package let message: String

  package init(_ code: Code, _ subject: String, line: Int? = nil, _ message: String) {
    self.code = code
    self.subject = subject
    self.line = line
    self.message = message
  }

  package var description: String { "\(subject)\(line.map { ":\($0)" } ?? ""): \(message)" }
}
