import OccamTensors

/// The order of a picture's patches in which every window is a run, and which rows each row of that order sees.
/// Reference: Hugging Face transformers, vision_utils.py, `get_vision_window_index`; inside a window the order is free.
package struct VisionWindows: Sendable, Equatable {
  /// Numbers of the patches, counted row by row of the picture, as they follow each other in the encoder.
  package let order: [Int]
  /// Of each patch in that order: its window.
  package let ranges: [VisibleRange]

  /// Windows of `side` x `side` patches from the upper left; those at the right and below are cut off.
  package init(columns: Int, rows: Int, side: Int) {
    var order: [Int] = []
    var ranges: [VisibleRange] = []
    for top in stride(from: 0, to: rows, by: side) {
      for left in stride(from: 0, to: columns, by: side) {
        let first = order.count
        for row in top..<min(top + side, rows) {
          for column in left..<min(left + side, columns) { order.append(row * columns + column) }
        }
        let range = VisibleRange(from: Int32(first), to: Int32(order.count))
        ranges += Array(repeating: range, count: order.count - first)
      }
    }
    (self.order, self.ranges) = (order, ranges)
  }

  /// Query and key pairs of a layer that sees windows.
  package var pairs: Double { ranges.reduce(0) { $0 + Double($1.to - $1.from) } }
}
