/// Where a row of the prompt stands, as rotary embeddings count. Text advances all three numbers alike; models with
/// two-dimensional images give an image's tokens one `t` and their row and column.
///
/// A position is not the number of a KV cache entry: behind pruning an entry's number is smaller than its position.
package struct Position: Sendable, Hashable, BitwiseCopyable {
  package var t: Int32
  package var y: Int32
  package var x: Int32

  package init(t: Int32, y: Int32, x: Int32) {
    self.t = t
    self.y = y
    self.x = x
  }

  /// A row of a sequence that has one dimension only.
  package init(_ index: Int32) { self.init(t: index, y: index, x: index) }
}
