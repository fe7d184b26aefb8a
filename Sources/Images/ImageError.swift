/// Why bytes are not a picture, named by their subject (a path, or what the caller calls them).
package enum ImageError: Error, Equatable, Sendable, CustomStringConvertible {
  case notAnImage(subject: String, reason: String)
  /// A picture, but of a kind that is not decoded.
  case unsupported(subject: String, what: String)
  /// The data ends before the picture does.
  case truncated(subject: String, what: String)
  case corrupt(subject: String, what: String)
  case tooLarge(subject: String, width: Int, height: Int, limit: String)

  package var description: String {
    switch self {
    case .notAnImage(let subject, let reason): "'\(subject)' is not an image: \(reason)"
    case .unsupported(let subject, let what): "'\(subject)' is an image of an unsupported kind: \(what)"
    case .truncated(let subject, let what): "'\(subject)' is truncated: \(what)"
    case .corrupt(let subject, let what): "'\(subject)' is corrupt: \(what)"
    case .tooLarge(let subject, let width, let height, let limit):
      "'\(subject)' is too large: \(width)x\(height), the limit is \(limit)"
    }
  }
}

/// An `ImageError` whose subject the decoder does not know.
enum ImageFault: Error, Equatable {
  case notAnImage(String)
  case unsupported(String)
  case truncated(String)
  case corrupt(String)
  case tooLarge(Int, Int, String)

  func about(_ subject: String) -> ImageError {
    switch self {
    case .notAnImage(let reason): .notAnImage(subject: subject, reason: reason)
    case .unsupported(let what): .unsupported(subject: subject, what: what)
    case .truncated(let what): .truncated(subject: subject, what: what)
    case .corrupt(let what): .corrupt(subject: subject, what: what)
    case .tooLarge(let width, let height, let limit):
      .tooLarge(subject: subject, width: width, height: height, limit: limit)
    }
  }
}
