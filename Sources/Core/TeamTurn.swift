import Glibc
import Synchronization

/// Whose turn it is to use a team: a mutex that its holder may enter again.
final class TeamTurn: @unchecked Sendable {
  private let owner = Atomic<UInt>(0)
  private let lock: UnsafeMutablePointer<pthread_mutex_t>

  init() {
    lock = .allocate(capacity: 1)
    lock.initialize(to: pthread_mutex_t())
    pthread_mutex_init(lock, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    lock.deallocate()
  }

  /// - Returns: whether this thread had the turn already.
  func enter() -> Bool {
    // Only this thread ever stores its own number, so that reading another value, however old, means no.
    let me = UInt(pthread_self())
    if owner.load(ordering: .relaxed) == me { return true }
    pthread_mutex_lock(lock)
    owner.store(me, ordering: .relaxed)
    return false
  }

  func leave(_ nested: Bool) {
    if nested { return }
    owner.store(0, ordering: .relaxed)
    pthread_mutex_unlock(lock)
  }
}
