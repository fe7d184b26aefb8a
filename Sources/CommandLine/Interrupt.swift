import Glibc
import Synchronization

/// Ctrl-C: ends the process at once with exit code 130 while there is nothing to lose, and is a flag that the work looks
/// at between its steps where something should be kept.
package enum Interrupt {
  private static let flag = Atomic<Bool>(false)
  /// What the handler of `endProcess` writes; set before the handler is.
  nonisolated(unsafe) private static var message = UnsafeRawBufferPointer(start: nil, count: 0)

  package static var isRequested: Bool { flag.load(ordering: .relaxed) }

  /// From now on the first Ctrl-C says so on stderr, after wiping a progress bar, and ends the process.
  package static func endProcess(as name: String) {
    let text = (Terminal.errorIsTerminal ? "\r\u{1B}[K" : "") + "\(name): interrupted\n"
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    bytes.copyBytes(from: text.utf8)
    let old = message
    message = UnsafeRawBufferPointer(bytes)
    // Only calls that are safe in a signal handler: write and _exit.
    handle(flags: 0) { _ in
      _ = write(STDERR_FILENO, Interrupt.message.baseAddress, Interrupt.message.count)
      _exit(ExitCode.interrupted.rawValue)
    }
    old.deallocate()
  }

  /// From now on the first Ctrl-C raises the flag, and a second one ends the process, should the first be ignored.
  /// Blocking reads return with EINTR. Called again, lowers the flag and arms the handler anew (a chat does this for
  /// each reply).
  package static func install() {
    // Written here before the handler can run, so that the handler only ever does one atomic store.
    flag.store(false, ordering: .relaxed)
    handle(flags: UInt32(SA_RESETHAND)) { _ in Interrupt.flag.store(true, ordering: .relaxed) }
  }

  private static func handle(flags: UInt32, _ handler: @escaping @convention(c) (Int32) -> Void) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = handler
    action.sa_flags = Int32(bitPattern: flags)
    sigemptyset(&action.sa_mask)
    sigaction(SIGINT, &action, nil)
  }

  /// A closed pipe is an error of the write, not the end of the process.
  package static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }
}

/// Thrown by a tool that stopped because of Ctrl-C; exit code 130.
package struct Interrupted: Error, CustomStringConvertible {
  package init() {}
  package var description: String { "interrupted" }
}
