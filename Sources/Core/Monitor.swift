import Glibc

/// A value behind a POSIX mutex, and a condition that its holders wait for: what `Guarded` is without waiting.
package final class Monitor<Value>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var value: Value

  package init(_ value: sending Value) {
    self.value = value
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // Deadlines are those of `Clock`: setting the date moves none.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    let status = pthread_mutex_init(mutex, nil) | pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    precondition(status == 0, "Monitor: error \(status)")
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Must not be called again from `body`.
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }

  /// Waits until `isReady`, asked with the lock held after every `broadcast`, and runs `body` with the lock still held.
  /// - Parameter deadline: on `Clock.nanoseconds`; behind it `body` runs whether ready or not. nil: none.
  package func wait<Result>(
    until isReady: (inout Value) -> Bool, deadline: UInt64? = nil, _ body: (inout Value) -> sending Result
  ) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !isReady(&value) {
      guard let deadline else {
        pthread_cond_wait(condition, mutex)
        continue
      }
      var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
      if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT { break }
    }
    return body(&value)
  }

  /// Lets everybody who waits look again.
  package func broadcast() { pthread_cond_broadcast(condition) }
}
