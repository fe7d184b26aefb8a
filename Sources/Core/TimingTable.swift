/// Time per named operation, summed over a run, printed with OCCAM_TIMING=1. Only the thread that drives a forward
/// pass records, so an entry is the wall time of one operation over the whole team.
package final class TimingTable: Sendable {
  package static let shared: TimingTable? = (Switch.timing.value ?? "0") == "0" ? nil : TimingTable()

  private struct Entry {
    var nanoseconds: UInt64 = 0
    var calls = 0
    var operations = 0.0
    var bytes = 0.0
  }
  private let entries = Guarded<[String: Entry]>([:])

  package init() {}

  package func add(_ name: String, nanoseconds: UInt64, operations: Double = 0, bytes: Double = 0) {
    entries.withLock {
      $0[name, default: Entry()].nanoseconds += nanoseconds
      $0[name, default: Entry()].calls += 1
      $0[name, default: Entry()].operations += operations
      $0[name, default: Entry()].bytes += bytes
    }
  }

  package func nanoseconds(of name: String) -> UInt64 { entries.withLock { $0[name]?.nanoseconds ?? 0 } }

  /// Rows by falling time: name, calls, milliseconds, share, GOPS, GB/s.
  package func table() -> String {
    let rows = entries.withLock { $0.sorted { ($1.value.nanoseconds, $0.key) < ($0.value.nanoseconds, $1.key) } }
    let total = Double(rows.reduce(0) { $0 + $1.value.nanoseconds })
    var text = "operation                      calls        ms   share     GOPS     GB/s\n"
    for (name, entry) in rows {
      let time = Double(entry.nanoseconds)
      text += pad(name, 28, left: true) + pad("\(entry.calls)", 8)
      text += pad(fixed(time / 1e6, 2), 10) + pad(fixed(100 * time / max(total, 1), 1) + "%", 8)
      text += pad(entry.operations > 0 ? fixed(entry.operations / time, 1) : "-", 9)
      text += pad(entry.bytes > 0 ? fixed(entry.bytes / time, 2) : "-", 9) + "\n"
    }
    return text
  }
}

/// Runs `body`; with OCCAM_TIMING its time is added under `name`.
/// - Parameters: operations: multiplies plus adds; bytes: memory that must be read at least.
@inline(__always)
package func timed<R, E: Error>(
  _ name: StaticString, operations: @autoclosure () -> Double = 0, bytes: @autoclosure () -> Double = 0,
  _ body: () throws(E) -> R
) throws(E) -> R {
  guard let table = TimingTable.shared else { return try body() }
  let start = Clock.nanoseconds()
  let result = try body()
  table.add("\(name)", nanoseconds: Clock.nanoseconds() - start, operations: operations(), bytes: bytes())
  return result
}
