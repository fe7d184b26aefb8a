import Glibc

/// Monotonic time and the process's memory, as the operating system counts them.
package enum Clock {
  /// Nanoseconds since an arbitrary fixed point.
  package static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Milliseconds since `start`, a value of `nanoseconds()`.
  package static func milliseconds(since start: UInt64) -> Double { Double(nanoseconds() - start) / 1e6 }
}
