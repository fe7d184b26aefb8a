import Glibc
import OccamCore

/// The tools of this build, which lie beside the tests' own program.
package enum BuiltTools {
  private static let folder: String = {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count - 1)
    let text = String(decoding: path.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text.lastIndex(of: "/").map { String(text[..<$0]) } ?? "."
  }()

  package static func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// The words that start a tool. OCCAM_TEST_RUNNER stands before its path, for tools of another processor: the program
  /// that runs them and its arguments, absolute paths, spaces between them.
  package static func command(_ name: String) -> [String] {
    let runner = getenv("OCCAM_TEST_RUNNER").map { String(cString: $0) } ?? ""
    return runner.split(separator: " ").map(String.init) + [path(name)]
  }

  /// Whether they are there; in CI true, so that one that is missing fails its tests.
  package static func areThere(_ names: String...) -> Bool {
    Locations.isCI || names.allSatisfy { access(path($0), X_OK) == 0 }
  }
}
