import Glibc

package enum ProcessMemory {
  /// Largest resident set so far, bytes: VmHWM of /proc/self/status. What getrusage says includes the program that this
  /// process was forked from.
  package static func peakResidentBytes() -> Int {
    if let bytes = status("VmHWM:") { return bytes }
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return usage.ru_maxrss * 1024
  }

  /// Resident now, bytes; 0 where the system does not tell.
  package static func residentBytes() -> Int { status("VmRSS:") ?? 0 }

  private static func status(_ name: String) -> Int? {
    for line in (try? Files.read("/proc/self/status", limit: 1 << 20))?.split(separator: 10) ?? [] {
      let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" }
      if words.first.map(String.init) == name, words.count > 1, let kibibytes = Int(words[1]) {
        return kibibytes * 1024
      }
    }
    return nil
  }

  /// The least limit that the process's control groups set, bytes; nil: none. Both versions of control groups.
  package static func groupLimit() -> Int? {
    guard let groups = try? Files.read("/proc/self/cgroup", limit: 1 << 16) else { return nil }
    var limits: [Int] = []
    for line in String(decoding: groups, as: UTF8.self).split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      if parts[0] == "0" {
        limits += groupLimits(parts[2], under: "/sys/fs/cgroup", file: "memory.max")
      } else if parts[1].split(separator: ",").contains("memory") {
        limits += groupLimits(parts[2], under: "/sys/fs/cgroup/memory", file: "memory.limit_in_bytes")
      }
    }
    // Version 1 writes the largest number that is a multiple of a page where there is no limit.
    return limits.filter { $0 < 1 << 60 }.min()
  }

  /// Of a group and those it lies in; inside a container some of them cannot be seen.
  private static func groupLimits(_ path: Substring, under root: String, file: String) -> [Int] {
    var limits: [Int] = []
    var path = path
    while true {
      let name = "\(root)\(path == "/" ? "" : path)/\(file)"
      if let text = try? Files.read(name, limit: 64) {
        let number = String(decoding: text, as: UTF8.self).split { $0 == "\n" }.first
        if let limit = number.flatMap({ Int($0) }) { limits.append(limit) }
      }
      guard let slash = path.lastIndex(of: "/"), path != "/" else { return limits }
      path = slash == path.startIndex ? "/" : path[..<slash]
    }
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
