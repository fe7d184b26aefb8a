/// Deadlines of connections in a binary heap. A deadline that moves later costs nothing: its old entry is looked at
/// when it is due, and only then moved. Times are values of `Clock.nanoseconds()`.
struct HTTPTimers {
  private var heap: [(due: UInt64, id: UInt64)] = []

  /// When `expired` must be asked next.
  var next: UInt64? { heap.first?.due }

  mutating func add(due: UInt64, id: UInt64) {
    heap.append((due: due, id: id))
    var child = heap.count - 1
    while child > 0, heap[child].due < heap[(child - 1) / 2].due {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Takes one entry that is due; nil when none is.
  mutating func takeDue(_ now: UInt64) -> (due: UInt64, id: UInt64)? {
    guard let first = heap.first, first.due <= now else { return nil }
    let last = heap.removeLast()
    if heap.isEmpty { return first }
    heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].due < heap[least].due {
        least = child
      }
      if least == parent { return first }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
