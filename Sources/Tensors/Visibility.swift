/// The entries from `from` on and before `to`, among those that a KV cache holds.
package struct VisibleRange: Sendable, Equatable, BitwiseCopyable {
  package var from: Int32
  package var to: Int32

  package init(from: Int32, to: Int32) {
    self.from = from
    self.to = to
  }
}

/// Which entries of a KV cache each query row sees: always a run of them, so that no rows x entries mask exists.
package enum Visibility {
  /// Every row sees all entries.
  case everything
  /// Row i sees the entries 0...first + i.
  case causal(first: Int)
  /// Row i sees its own range, at least one entry: sliding windows, window attention, images inside a causal prompt.
  case ranges(UnsafePointer<VisibleRange>)

  /// Of a cache with `count` entries, those that `row` sees.
  func callAsFunction(_ row: Int, of count: Int) -> Range<Int> {
    switch self {
    case .everything: 0..<count
    case .causal(let first): 0..<first + row + 1
    case .ranges(let ranges): Int(ranges[row].from)..<Int(ranges[row].to)
    }
  }

  /// From the first to behind the last entry that any of `rows` sees.
  func hull(_ rows: Range<Int>, of count: Int) -> Range<Int> {
    guard case .ranges = self else {
      // Later rows see more.
      return rows.isEmpty ? 0..<0 : self(rows.upperBound - 1, of: count)
    }
    guard var hull = rows.first.map({ self($0, of: count) }) else { return 0..<0 }
    for row in rows.dropFirst() {
      let seen = self(row, of: count)
      hull = min(hull.lowerBound, seen.lowerBound)..<max(hull.upperBound, seen.upperBound)
    }
    return hull
  }

  /// The same for the rows from `first` on.
  package func rows(from first: Int) -> Visibility {
    switch self {
    case .everything: .everything
    case .causal(let entry): .causal(first: entry + first)
    case .ranges(let ranges): .ranges(ranges + first)
    }
  }
}
