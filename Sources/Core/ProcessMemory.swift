import Glibc

extension ProcessMemory {
  /// Lets `peakResidentBytes` count from what is resident now (Linux: 5 to /proc/self/clear_refs).
  /// - Returns: false where the system has no such switch; the peak then goes on from before.
  @discardableResult
  package static func resetPeak() -> Bool {
    let descriptor = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return write(descriptor, "5", 1) == 1
  }
}
