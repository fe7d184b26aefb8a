/// Why a model file cannot be run: which file, which key or tensor, and what was expected there.
package struct ModelError: Error, CustomStringConvertible, Equatable {
  package enum Code: String, Sendable {
    case unknownArchitecture, unknownProjector, unsupportedFormat, missingTensor, wrongShape, missingKey, badValue
    case mismatch, tooLarge
  }
  package let code: Code
  /// The file concerned.
  package let subject: String
  package let reason: String

  package init(_ code: Code, _ subject: String, _ reason: String) {
    self.code = code
    self.subject = subject
    self.reason = reason
  }

  package var description: String { "\(subject): \(reason)" }
}

/// Thrown by a forward pass that was asked to stop between two layers.
package struct Cancelled: Error { package init() {} }
