import Glibc

/// Run-time switches for debugging, read from the environment and listed by `--help-env`.
package enum Switch: String, CaseIterable, Sendable {
  case threads = "OCCAM_THREADS"
  case kernel = "OCCAM_KERNEL"
  case timing = "OCCAM_TIMING"
  case dump = "OCCAM_DUMP"
  case packCheck = "OCCAM_PACK_CHECK"

  package var value: String? { getenv(rawValue).map { String(cString: $0) } }

  package var help: String {
    switch self {
    case .threads: "number of compute threads when -t is not given (default: the cores this process may use)"
    case .kernel:
      """
      force a kernel set by name (portable, avx2, avxvnni, avx512vnni; neon, neon-dot, neon-i8mm); an unavailable one \
      is an error
      """
    case .timing: "1: print a table of time per operation to stderr at the end"
    case .dump: "a folder: write named tensors there as .npy, for comparing numerics with another runtime"
    case .packCheck: "1: read all of a pack cache's file when it is opened, and compare checksums"
    }
  }
}

package enum Machine {
  /// Cores this process may run on, at least 1: the affinity mask as the kernel prints it (hexadecimal words).
  package static func usableCores() -> Int {
    guard let status = try? Files.read("/proc/self/status", limit: 1 << 20) else { return 1 }
    for line in status.split(separator: 10) {
      let text = String(decoding: line, as: UTF8.self)
      guard text.hasPrefix("Cpus_allowed:") else { continue }
      return max(text.dropFirst(13).reduce(0) { $0 + ($1.hexDigitValue?.nonzeroBitCount ?? 0) }, 1)
    }
    return 1
  }
}
