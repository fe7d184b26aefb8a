import Glibc
import OccamCore
import OccamTestSupport

/// occam-serve of this build, which lies beside the tests' own program, in a process of its own.
final class ServeProcess: Sendable {
  static let isBuilt = BuiltTools.areThere("occam-serve")
  /// Sanitizers keep what was freed (Tests/sanitize.sh sets this): memory tells nothing there.
  static let isSanitized = getenv("ASAN_OPTIONS") != nil

  private let identifier: pid_t
  private let log: String
  let port: UInt16

  /// Starts it with the model in the repository, and waits until it is ready.
  init(_ arguments: [String]) throws {
    log = "\(TemporaryFolder.make())/log"
    let words = ["-m", "\(Drill.scenes)/scenes-Q8_0.gguf", "--port", "0"] + arguments
    identifier = try ServeProcess.spawn(words, log)
    let (identifier, log) = (identifier, log)
    let isReady = eventually { ServeProcess.text(log).contains("ready,") || kill(identifier, 0) != 0 }
    let said = ServeProcess.text(log)
    guard isReady, let address = said.firstRange(of: "http://127.0.0.1:"),
      let port = UInt16(said[address.upperBound...].prefix { $0.isNumber })
    else {
      kill(identifier, SIGKILL)
      throw TestFailure(description: "occam-serve is not ready: \(said)")
    }
    self.port = port
  }

  deinit {
    kill(identifier, SIGKILL)
    var status: Int32 = 0
    waitpid(identifier, &status, 0)
  }

  private static func text(_ log: String) -> String { String(decoding: (try? Files.read(log)) ?? [], as: UTF8.self) }

  /// What it wrote to stderr.
  var said: String { ServeProcess.text(log) }

  private static func spawn(_ words: [String], _ log: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor: Int32 in [0, 1] {
      posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let command = BuiltTools.command("occam-serve")
    var arguments: [UnsafeMutablePointer<CChar>?] = (command + words).map { strdup($0) }
    defer { for argument in arguments { free(argument) } }
    arguments.append(nil)
    var identifier: pid_t = 0
    let result = posix_spawn(&identifier, command[0], &actions, &attributes, arguments, environ)
    guard result == 0 else { throw TestFailure(description: "\(command[0]): \(String(cString: strerror(result)))") }
    return identifier
  }

  /// Resident bytes now.
  func residentBytes() throws -> Int {
    for line in try Files.read("/proc/\(identifier)/status").split(separator: 10) {
      let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" }
      if words.first == "VmRSS:", words.count > 1, let kibibytes = Int(words[1]) { return kibibytes << 10 }
    }
    throw TestFailure(description: "occam-serve is gone: \(said)")
  }

  func openDescriptors() -> Int { Files.list("/proc/\(identifier)/fd").count }
  func threads() -> Int { Files.list("/proc/\(identifier)/task").count }
}
