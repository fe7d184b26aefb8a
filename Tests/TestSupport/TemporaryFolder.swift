import Glibc
import OccamCore
import Synchronization

/// Folders for what tests write; all go with the process.
package enum TemporaryFolder {
  private static let count = Atomic<Int>(0)

  private static let base: String = {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/occam-tests-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no temporary folder can be made in \(parent)") }
    atexit { TemporaryFolder.removeAll() }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()

  /// A new, empty folder.
  package static func make() -> String {
    let path = "\(base)/\(count.add(1, ordering: .relaxed).newValue)"
    mkdir(path, 0o700)
    return path
  }

  private static func removeAll() { remove(base) }

  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    for name in Files.list(path) { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
