/// Why a file of packed weights is not used, or is not written: which file, and what is wrong with it.
package struct PackCacheError: Error, CustomStringConvertible, Equatable {
  package enum Problem: Sendable, Equatable {
    /// The system's word for it.
    case system(String)
    /// It does not begin as such a file does.
    case foreign
    case version(UInt32)
    /// It says that it has so many bytes.
    case truncated(expected: UInt64, found: Int)
    case damaged(String)
    /// Of another model, kernel set or encoder type; or the model was changed.
    case stale
    case noRoom(String)
  }
  package let path: String
  package let problem: Problem

  package init(_ path: String, _ problem: Problem) {
    self.path = path
    self.problem = problem
  }

  package var description: String {
    let reason =
      switch problem {
      case .system(let text): text
      case .foreign: "no file of packed weights"
      case .version(let version): "version \(version) of the format"
      case .truncated(let expected, let found): "torn: \(found) of \(expected) bytes"
      case .damaged(let what): "damaged: \(what)"
      case .stale: "made from another version of the model"
      case .noRoom(let text): text
      }
    return "'\(path)': \(reason)"
  }
}
