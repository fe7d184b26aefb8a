import OccamCore

/// What a recurrent layer carries from row to row.
package struct RecurrentShape: Sendable, Hashable {
  /// Numbers of the state.
  package var floats: Int

  package init(floats: Int) { self.floats = floats }

  /// Bytes of the state and of the copies that make earlier positions resume points.
  package var byteCount: Int { (1 + RecurrentState.snapshots) * copyBytes }

  /// Bytes of each copy.
  package var copyBytes: Int { floats * MemoryLayout<Float>.stride }
}

/// The state of a recurrent layer (a delta rule's, a short convolution's): of one size however long the sequence, and
/// without a way back except to the copies taken on the way.
package final class RecurrentState: LayerState {
  package let shape: RecurrentShape
  /// [floats], zeros at the sequence's beginning. The layer that owns it says what is where.
  package let values: AlignedBuffer<Float>
  private var copies: [(position: Int32, values: AlignedBuffer<Float>)] = []
  /// The state behind each row of the last pass but the last row, if it took several; the first `rememberedRows` count.
  private var rows: [AlignedBuffer<Float>] = []
  private var rememberedRows = 0
  /// Copies kept: before the first image, at the prompt's end, and at the end of the answer.
  package static let snapshots = 3

  package init(_ shape: RecurrentShape) {
    precondition(shape.floats > 0, "RecurrentState: an empty state")
    self.shape = shape
    values = AlignedBuffer(count: shape.floats)
  }

  package var byteCount: Int { (1 + copies.count + rows.count) * shape.copyBytes }

  /// What it takes now: the sequence's length changes nothing.
  package func byteCount(forTokens tokens: Int) -> Int { byteCount }

  package func resumePoint(atMost position: Int32) -> Int32 {
    copies.last { $0.position <= position }?.position ?? 0
  }

  package func resume(at position: Int32) {
    copies.removeAll { $0.position > position }
    guard let copy = copies.last, copy.position == position else {
      precondition(position == 0, "RecurrentState: no copy at that position")
      return removeAll()
    }
    values.pointer.update(from: copy.values.pointer, count: shape.floats)
  }

  /// The oldest copy is the one before the first image and stays; of the others the newest do.
  package func snapshot(at position: Int32) {
    guard position > 0, copies.last?.position != position else { return }
    let copy = AlignedBuffer(copying: values.buffer)
    if copies.count == RecurrentState.snapshots { copies.remove(at: 1) }
    copies.append((position, copy))
  }

  /// A pass begins: rows of the one before cannot be taken back any more.
  package func forgetRows() { rememberedRows = 0 }

  /// Behind a row of a pass that is not its last: makes the state as it is one to go back to.
  package func rememberRow() {
    if rememberedRows == rows.count { rows.append(AlignedBuffer(count: shape.floats, zeroed: false)) }
    rows[rememberedRows].pointer.update(from: values.pointer, count: shape.floats)
    rememberedRows += 1
  }

  package func takeBack(_ count: Int) {
    guard count > 0 else { return }
    precondition(count <= rememberedRows, "RecurrentState: more rows than the last pass can give back")
    rememberedRows -= count
    values.pointer.update(from: rows[rememberedRows].pointer, count: shape.floats)
  }

  package func keep(_ rows: [Int], ofLast last: Int) {}
  package func reserve(more rows: Int) {}
  package func dropUnreachable(from position: Int32) {}

  package func removeAll() {
    copies = []
    rows = []
    rememberedRows = 0
    values.pointer.update(repeating: 0, count: shape.floats)
  }
}
