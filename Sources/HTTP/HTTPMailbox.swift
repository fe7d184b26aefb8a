import Glibc
import OccamCore

/// What other threads tell the loop: which connections have something to send, and that it shall end. Wakes the loop
/// with an eventfd, and only when it sleeps.
final class HTTPMailbox: Sendable {
  struct Command: Sendable {
    var isStopped = false
    /// A value of `Clock.nanoseconds()`; nil: no drain.
    var drainDeadline: UInt64?
  }

  private struct State {
    var connections: [UInt64] = []
    var command = Command()
    var isAsleep = false
  }

  let descriptor: Int32
  private let state = Guarded(State())

  init() throws(HTTPError) {
    descriptor = eventDescriptor(0, O_NONBLOCK | O_CLOEXEC)
    if descriptor < 0 { throw HTTPError("server", "eventfd", errno: errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  // MARK: Any thread

  func post(_ connection: UInt64) { update { $0.connections.append(connection) } }

  func stop() { update { $0.command.isStopped = true } }

  func drain(deadline: UInt64) {
    update { $0.command.drainDeadline = min(deadline, $0.command.drainDeadline ?? .max) }
  }

  private func update(_ change: (inout State) -> Void) {
    let mustWake = state.withLock { state in
      change(&state)
      defer { state.isAsleep = false }
      return state.isAsleep
    }
    // It cannot block or fail: the counter takes 2^64 - 2 wake-ups.
    if mustWake { wake() }
  }

  private func wake() {
    var one: UInt64 = 1
    while write(descriptor, &one, 8) < 0, errno == EINTR {}
  }

  // MARK: The loop's thread

  var command: Command { state.withLock { $0.command } }

  /// To be called right before the loop waits: false when there is mail, so that it must not.
  /// - Parameter seen: the command that the loop knows.
  func prepareToSleep(seen: Command) -> Bool {
    state.withLock { state in
      state.isAsleep =
        state.connections.isEmpty && state.command.isStopped == seen.isStopped
        && state.command.drainDeadline == seen.drainDeadline
      return state.isAsleep
    }
  }

  /// To be called right after the loop waited.
  /// - Parameter wasWoken: the eventfd is readable.
  func take(wasWoken: Bool) -> [UInt64] {
    var count: UInt64 = 0
    if wasWoken { _ = read(descriptor, &count, 8) }
    return state.withLock { state in
      state.isAsleep = false
      defer { state.connections = [] }
      return state.connections
    }
  }
}
