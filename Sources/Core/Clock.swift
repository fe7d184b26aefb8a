import Glibc

/// Monotonic time and the process's memory, as the operating system counts them.
package enum Clock {
  /// Nanoseconds since an arbitrary fixed point.
  package static func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// `now` moved by a time; the far future for what is no finite time.
  package static func after(_ now: UInt64, seconds: Double) -> UInt64 {
    guard seconds < 1e9 else { return .max }
    return now + UInt64(max(0, seconds) * 1e9)
  }

  /// Milliseconds since `start`, a value of `nanoseconds()`.
  package static func milliseconds(since start: UInt64) -> Double { Double(nanoseconds() - start) / 1e6 }
}
