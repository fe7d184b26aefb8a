/// Time per operation and group of layers, summed over a run, printed with OCCAM_TIMING=1. Only the thread that drives a
/// forward pass records, so an entry is the wall time of one operation over the whole team.
package final class TimingTable: Sendable {
  package static let shared: TimingTable? = (Switch.timing.value ?? "0") == "0" ? nil : TimingTable()

  private struct Key: Hashable {
    let group: String
    let name: String
  }
  private struct Entry {
    var nanoseconds: UInt64 = 0
    var calls = 0
    var work = MeasuredWork()
  }
  private struct State {
    var group = ""
    var entries: [Key: Entry] = [:]
  }
  private let state = Guarded(State())

  package init() {}

  /// What follows belongs to `group`: kind of pass and layers.
  package func begin(group: String) { state.withLock { $0.group = group } }

  package func add(_ name: String, nanoseconds: UInt64, _ work: MeasuredWork = MeasuredWork()) {
    state.withLock {
      let key = Key(group: $0.group, name: name)
      var entry = $0.entries[key] ?? Entry()
      entry.nanoseconds += nanoseconds
      entry.calls += 1
      entry.work.operations += work.operations
      entry.work.bytes += work.bytes
      $0.entries[key] = entry
    }
  }

  /// Of all groups.
  package func nanoseconds(of name: String) -> UInt64 {
    state.withLock { $0.entries.reduce(0) { $0 + ($1.key.name == name ? $1.value.nanoseconds : 0) } }
  }

  /// Rows by falling time: group, operation, calls, milliseconds, share, GOPS, GB/s.
  package func table() -> String {
    let rows = state.withLock { state in
      state.entries.sorted {
        ($1.value.nanoseconds, $0.key.group, $0.key.name) < ($0.value.nanoseconds, $1.key.group, $1.key.name)
      }
    }
    let total = Double(rows.reduce(0) { $0 + $1.value.nanoseconds })
    var text = "layers                operation              calls        ms   share     GOPS     GB/s\n"
    for (key, entry) in rows {
      let time = Double(entry.nanoseconds)
      text += pad(key.group, 22, left: true) + pad(key.name, 20, left: true) + pad("\(entry.calls)", 8)
      text += pad(fixed(time / 1e6, 2), 10) + pad(fixed(100 * time / max(total, 1), 1) + "%", 8)
      text += pad(entry.work.operations > 0 ? fixed(entry.work.operations / time, 1) : "-", 9)
      text += pad(entry.work.bytes > 0 ? fixed(entry.work.bytes / time, 2) : "-", 9) + "\n"
    }
    return text
  }
}

/// What an operation did at least: multiplies plus adds, and bytes read from memory; 0: unknown.
package struct MeasuredWork {
  package var operations: Double
  package var bytes: Double

  package init(operations: Double = 0, bytes: Double = 0) {
    self.operations = operations
    self.bytes = bytes
  }
}

/// Runs `body`; with OCCAM_TIMING its time is added under `name`.
@inline(__always)
package func timed<R, E: Error>(
  _ name: StaticString, _ work: @autoclosure () -> MeasuredWork = MeasuredWork(), _ body: () throws(E) -> R
) throws(E) -> R {
  guard let table = TimingTable.shared else { return try body() }
  let start = Clock.nanoseconds()
  let result = try body()
  table.add("\(name)", nanoseconds: Clock.nanoseconds() - start, work())
  return result
}
