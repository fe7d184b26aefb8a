import Glibc
import Synchronization

/// Ctrl-C as a flag that the work looks at between its steps.
package enum Interrupt {
  private static let flag = Atomic<Bool>(false)

  package static var isRequested: Bool { flag.load(ordering: .relaxed) }

  /// From now on the first Ctrl-C raises the flag, and a second one ends the process, should the first be ignored.
  /// Blocking reads return with EINTR. Called again, lowers the flag and arms the handler anew (a chat does this for
  /// each reply).
  package static func install() {
    // Written here before the handler can run, so that the handler only ever does one atomic store.
    flag.store(false, ordering: .relaxed)
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in Interrupt.flag.store(true, ordering: .relaxed) }
    action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
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
