import Glibc

package enum ProcessMemory {
  /// Largest resident set so far, bytes: VmHWM of /proc/self/status. What getrusage says includes the program that this
  /// process was forked from.
  package static func peakResidentBytes() -> Int {
    for line in (try? Files.read("/proc/self/status", limit: 1 << 20))?.split(separator: 10) ?? [] {
      let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" }
      if words.first == "VmHWM:", words.count > 1, let kibibytes = Int(words[1]) { return kibibytes * 1024 }
    }
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }

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
