import OccamCore

/// What one layer of a decoder remembers of a sequence: keys and values entry by entry, or a state of fixed size.
/// A session owns one a layer; positions are `Position.t`.
package protocol LayerState: AnyObject {
  /// Allocated, whether filled or not.
  var byteCount: Int { get }
  /// What the layer would take for a sequence of `tokens`, in bytes.
  func byteCount(forTokens tokens: Int) -> Int
  /// The largest position, `position` at most, at which the sequence can go on; 0: from its beginning only.
  func resumePoint(atMost position: Int32) -> Int32
  /// Forgets what stands at `position` and behind it. The caller guarantees that it is a resume point.
  func resume(at position: Int32)
  /// Between two passes: makes `position`, where the next row will stand, a resume point.
  func snapshot(at position: Int32)
  /// Of the newest `last` rows only these stay, in ascending order and counted from the first of them; all rows before
  /// stay. A state of fixed size cannot forget rows: nothing changes.
  func keep(_ rows: [Int], ofLast last: Int)
  /// Forgets the newest `rows` rows of the last pass, which took more than that, one by one (`RecurrentState.rememberRow`).
  func takeBack(_ rows: Int)
  /// Memory for `rows` more rows, so that the next pass allocates nothing.
  func reserve(more rows: Int)
  /// Frees what no row at `position` or behind it sees.
  func dropUnreachable(from position: Int32)
  func removeAll()
}

extension LayerKVCache: LayerState {
  package func resumePoint(atMost position: Int32) -> Int32 {
    // What a sliding window gave up stays lost, and earlier rows would need more of it.
    if let window = shape.window, lostPosition >= 0, Int(lostPosition) > Int(position) - window { return 0 }
    return position
  }

  package func resume(at position: Int32) { truncate(to: firstEntry(at: position)) }

  /// Every entry's position is known: any of them is a resume point.
  package func snapshot(at position: Int32) {}

  package func takeBack(_ rows: Int) { truncate(to: count - rows) }

  package func reserve(more rows: Int) { reserve(count + rows) }
}
