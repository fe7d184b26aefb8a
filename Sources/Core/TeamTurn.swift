import Glibc
import Synchronization

/// Whose turn it is to use a team: a lock that its holder may enter again. Short passes come first, others in the order
/// in which they were asked for; the holder of a long one gives way to short ones between its steps.
final class TeamTurn: @unchecked Sendable {
  enum Kind {
    /// A few milliseconds: tokens that are decoded.
    case short
    case long
    /// A long one that gave way and goes on.
    case resumed
  }

  private struct State {
    var isHeld = false
    var resumedWaiting = 0
    /// Long passes are numbered when they ask; `serving` may begin next.
    var asked = 0
    var serving = 0
  }

  private let owner = Atomic<UInt>(0)
  /// Changed with the state's lock held; holders of long passes look without it.
  private let shortWaiting = Atomic<Int>(0)
  private let patience = Atomic<UInt64>(0)
  private let state = Monitor(State())
  // The holder's alone.
  private var isLong = false
  private var heldSince: UInt64 = 0

  /// - Returns: whether this thread had the turn already.
  func enter(_ kind: Kind) -> Bool {
    // Only this thread ever stores its own number, so that reading another value, however old, means no.
    let me = UInt(pthread_self())
    if owner.load(ordering: .relaxed) == me { return true }
    switch kind {
    case .short: enterShort()
    case .long: enterLong()
    case .resumed: enterResumed()
    }
    owner.store(me, ordering: .relaxed)
    isLong = kind != .short
    if isLong { heldSince = Clock.nanoseconds() }
    return false
  }

  private var isShortWaiting: Bool { shortWaiting.load(ordering: .relaxed) > 0 }

  private func enterShort() {
    let mustWait = state.withLock { state in
      defer { state.isHeld = true }
      if state.isHeld { shortWaiting.add(1, ordering: .relaxed) }
      return state.isHeld
    }
    guard mustWait else { return }
    state.wait(until: { !$0.isHeld }) { state in
      shortWaiting.subtract(1, ordering: .relaxed)
      state.isHeld = true
    }
  }

  private func enterLong() {
    let number = state.withLock { state in
      state.asked += 1
      return state.asked - 1
    }
    state.wait(until: { !$0.isHeld && $0.serving == number && $0.resumedWaiting == 0 && !isShortWaiting }) { state in
      state.serving += 1
      state.isHeld = true
    }
  }

  private func enterResumed() {
    state.withLock { $0.resumedWaiting += 1 }
    state.wait(until: { !$0.isHeld && !isShortWaiting }) { state in
      state.resumedWaiting -= 1
      state.isHeld = true
    }
  }

  func leave(_ nested: Bool) {
    if nested { return }
    owner.store(0, ordering: .relaxed)
    let isAwaited = state.withLock { state in
      state.isHeld = false
      return isShortWaiting || state.resumedWaiting > 0 || state.asked != state.serving
    }
    if isAwaited { state.broadcast() }
  }

  /// How long, in nanoseconds, a long pass keeps short ones waiting.
  func setPatience(_ nanoseconds: UInt64) { patience.store(nanoseconds, ordering: .relaxed) }

  /// Between two steps of a long pass: lets short ones through that have waited long enough.
  func giveWay() {
    guard isShortWaiting, owner.load(ordering: .relaxed) == UInt(pthread_self()), isLong,
      Clock.nanoseconds() - heldSince >= patience.load(ordering: .relaxed)
    else { return }
    leave(false)
    _ = enter(.resumed)
  }
}
