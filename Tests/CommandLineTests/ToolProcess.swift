import Glibc
import OccamCore
import OccamTestSupport
import Testing

/// The tools of this build, run as a user does.
enum BuiltTool {
  static let areBuilt = BuiltTools.areThere("occam-run", "occam-bench", "occam-calibrate", "occam-fixture")
  static let reason: Comment = "the tools are not built: swift build"

  /// Runs a tool to its end.
  /// - Parameters: input: what it reads from standard input; output: a file for its standard output instead of `output`
  ///   of the result.
  static func run(
    _ name: String, _ arguments: [String], input: [UInt8] = [], output: String? = nil
  ) throws -> ToolResult {
    let process = try ToolProcess(name, arguments, input: .bytes(input), output: output.map { .file($0) } ?? .captured)
    return ToolResult(code: process.wait(), output: process.output, error: process.error)
  }
}

struct ToolResult {
  /// 128 + the signal for a process that was killed by one, as shells say it.
  let code: Int32
  let output: [UInt8]
  let error: String

  var text: String { String(decoding: output, as: UTF8.self) }
  /// The lines of a --json run.
  var objects: [JSONValue] {
    get throws { try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) } }
  }
}

struct TestFailure: Error, CustomStringConvertible { let description: String }

/// A tool while it runs. What it writes is captured in files, so that nothing has to be read for it to go on.
final class ToolProcess {
  enum Input {
    case bytes([UInt8])
    case descriptor(Int32)
  }
  enum Output {
    case captured
    case file(String)
    case descriptor(Int32)
  }

  let identifier: pid_t
  private let folder = TemporaryFolder.make()
  private var code: Int32?

  init(_ name: String, _ arguments: [String], input: Input = .bytes([]), output: Output = .captured) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    switch input {
    case .bytes(let bytes):
      try Files.write(bytes, to: "\(folder)/in")
      posix_spawn_file_actions_addopen(&actions, 0, "\(folder)/in", O_RDONLY, 0)
    case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, 0)
    }
    switch output {
    case .captured: posix_spawn_file_actions_addopen(&actions, 1, "\(folder)/out", O_WRONLY | O_CREAT, 0o600)
    case .file(let path): posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY, 0)
    case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, 1)
    }
    posix_spawn_file_actions_addopen(&actions, 2, "\(folder)/err", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    identifier = try spawn(name, arguments, &actions, session: false)
  }

  var output: [UInt8] { (try? Files.read("\(folder)/out")) ?? [] }
  var error: String { String(decoding: (try? Files.read("\(folder)/err")) ?? [], as: UTF8.self) }

  /// Waits for its end; one that does not come within two minutes is killed and shows as 137.
  func wait() -> Int32 {
    if let code { return code }
    let result = waitForEnd(identifier)
    code = result
    return result
  }

  /// Waits until `text` stands on its stderr.
  func waitForError(_ text: String) throws {
    try waiting("'\(text)' on stderr") { error.contains(text) }
  }

  func interrupt() { send(SIGINT) }
  func send(_ signal: Int32) { kill(identifier, signal) }
}

/// A tool on a pseudo-terminal of 80 columns, as its user sees it.
final class TerminalProcess {
  private let master: Int32
  private let identifier: pid_t
  /// Everything shown so far, what was typed included.
  private(set) var screen: [UInt8] = []
  private var seen = 0

  init(_ name: String, _ arguments: [String]) throws {
    // What posix_openpt, unlockpt and ptsname do; the Glibc module does not have them.
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var (locked, number): (Int32, Int32) = (0, 0)
    guard master >= 0, ioctl(master, 0x4004_5431, &locked) == 0, ioctl(master, 0x8004_5430, &number) == 0 else {
      throw TestFailure(description: "no pseudo-terminal: \(String(cString: strerror(errno)))")
    }
    let terminal = "/dev/pts/\(number)"
    var size = winsize(ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(master, UInt(TIOCSWINSZ), &size)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // The first terminal that a session's leader opens controls it: Ctrl-C becomes SIGINT.
    posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, 0, 1)
    posix_spawn_file_actions_adddup2(&actions, 0, 2)
    identifier = try spawn(name, arguments, &actions, session: true)
    _ = fcntl(master, F_SETFL, O_NONBLOCK)
  }

  deinit { close(master) }

  var text: String { String(decoding: screen, as: UTF8.self) }

  func type(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { write(master, $0.baseAddress, $0.count) } }

  /// Reads on until `wanted` appears behind what was expected before; reads no further than that.
  func expect(_ wanted: String) throws {
    let bytes = Array(wanted.utf8)
    try waiting("'\(wanted)' on the terminal, which shows: \(text.suffix(2000).debugDescription)") {
      var chunk = [UInt8](repeating: 0, count: 1024)
      while true {
        if let end = find(bytes) {
          seen = end
          return true
        }
        let count = read(master, &chunk, chunk.count)
        if count <= 0 { return false }
        screen += chunk[..<count]
      }
    }
  }

  private func find(_ bytes: [UInt8]) -> Int? {
    guard screen.count - seen >= bytes.count else { return nil }
    for start in seen...(screen.count - bytes.count) where screen[start..<start + bytes.count].elementsEqual(bytes) {
      return start + bytes.count
    }
    return nil
  }

  func wait() -> Int32 {
    // A terminal that nobody reads holds up its writer.
    waitForEnd(identifier) {
      var chunk = [UInt8](repeating: 0, count: 4096)
      while case let count = read(self.master, &chunk, chunk.count), count > 0 { self.screen += chunk[..<count] }
    }
  }
}

/// Held while a process is started or a pipe made: no process shall inherit an end of another test's pipe.
private let starting = Guarded(())

struct Pipe {
  let reading: Int32
  let writing: Int32

  init() throws {
    var ends: [Int32] = [0, 0]
    let result = starting.withLock { _ in
      let result = pipe(&ends)
      for end in ends where result == 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      return result
    }
    guard result == 0 else { throw TestFailure(description: "no pipe: \(String(cString: strerror(errno)))") }
    (reading, writing) = (ends[0], ends[1])
  }
}

private func spawn(
  _ name: String, _ arguments: [String], _ actions: inout posix_spawn_file_actions_t, session: Bool
) throws -> pid_t {
  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  // The tests' own threads block signals; a user's shell does not.
  var none = sigset_t()
  sigemptyset(&none)
  posix_spawnattr_setsigmask(&attributes, &none)
  var defaults = sigset_t()
  sigemptyset(&defaults)
  for signal in [SIGINT, SIGPIPE] { sigaddset(&defaults, signal) }
  posix_spawnattr_setsigdefault(&attributes, &defaults)
  let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID
  let flags = Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF) | (session ? newSession : 0)
  posix_spawnattr_setflags(&attributes, Int16(flags))
  // A program of the system's has its whole path.
  let command = name.hasPrefix("/") ? [name] : BuiltTools.command(name)
  var words: [UnsafeMutablePointer<CChar>?] = (command + arguments).map { strdup($0) }
  // A crash shall be an exit code, not a page of backtrace.
  var variables: [UnsafeMutablePointer<CChar>?] = (["SWIFT_BACKTRACE=enable=no", "COLUMNS=80"] as [String]).map {
    strdup($0)
  }
  if let path = getenv("LD_LIBRARY_PATH") { variables.append(strdup("LD_LIBRARY_PATH=\(String(cString: path))")) }
  defer { for word in words + variables { free(word) } }
  words.append(nil)
  variables.append(nil)
  var identifier: pid_t = 0
  let result = starting.withLock { _ in
    posix_spawn(&identifier, command[0], &actions, &attributes, words, variables)
  }
  guard result == 0 else { throw TestFailure(description: "\(name): \(String(cString: strerror(result)))") }
  return identifier
}

/// Returns when `isDone`; fails after two minutes.
func waiting(_ what: String, until isDone: () -> Bool) throws {
  let start = Clock.nanoseconds()
  while !isDone() {
    if Clock.milliseconds(since: start) > 120_000 { throw TestFailure(description: "waited in vain for \(what)") }
    usleep(2000)
  }
}

private func waitForEnd(_ identifier: pid_t, meanwhile: () -> Void = {}) -> Int32 {
  let start = Clock.nanoseconds()
  var status: Int32 = 0
  while waitpid(identifier, &status, WNOHANG) == 0 {
    meanwhile()
    if Clock.milliseconds(since: start) > 120_000 { kill(identifier, SIGKILL) }
    usleep(1000)
  }
  let signal = status & 0x7F
  return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
}
