import OccamCore

/// A square table of learned positions as a picture's grid of patches takes it: resampled by a triangle filter that is
/// widened where the grid is coarser than the table, as antialiased bilinear resizing does.
/// Reference: Hugging Face transformers, `resize_positional_embeddings` of modeling_siglip2.py.
struct PositionResampling: Sendable {
  /// Positions on each side of the table.
  let side: Int
  let width: Int

  /// What a place on an axis of the grid takes of the table: `weights` from position `first` on.
  struct Tap: Equatable {
    var first: Int
    var weights: [Float]
  }

  /// For each of `count` places on an axis of `side` positions; weights add up to 1.
  static func taps(_ count: Int, side: Int) -> [Tap] {
    let scale = Double(side) / Double(count)
    let support = max(scale, 1)
    return (0..<count).map { index in
      let center = (Double(index) + 0.5) * scale - 0.5
      let first = max(Int((center - support).rounded(.up)), 0)
      let last = min(Int((center + support).rounded(.down)), side - 1)
      let weights = (first...last).map { max(1 - abs(Double($0) - center) / support, 0) }
      let sum = weights.reduce(0, +)
      return Tap(first: first, weights: weights.map { Float($0 / sum) })
    }
  }

  /// x += the positions; x [rows * columns x width] holds a grid row by row.
  /// - Parameter table: [side * side x width].
  func add(_ table: AlignedBuffer<Float>, into x: MatrixView<Float>, columns: Int, _ compute: Compute) {
    precondition(table.count == side * side * width, "PositionResampling: a table of another size")
    precondition(
      x.columns == width && columns > 0 && x.rows % columns == 0, "PositionResampling: rows that make no grid")
    let across = PositionResampling.taps(columns, side: side)
    let down = PositionResampling.taps(x.rows / columns, side: side)
    compute.team.parallel(down.count, grain: 1) { rows, _ in
      // One row of the grid, not yet resampled along it: [side x width].
      let line = AlignedBuffer<Float>(count: side * width, zeroed: false)
      for row in rows {
        line.pointer.update(repeating: 0, count: side * width)
        for (offset, weight) in down[row].weights.enumerated() {
          let source = table.pointer + (down[row].first + offset) * side * width
          PositionResampling.add(source, times: weight, into: line.pointer, side * width)
        }
        for (column, tap) in across.enumerated() {
          let target = x.row(row * columns + column)
          for (offset, weight) in tap.weights.enumerated() {
            PositionResampling.add(line.pointer + (tap.first + offset) * width, times: weight, into: target, width)
          }
        }
      }
    }
  }

  private static func add(
    _ source: UnsafePointer<Float>, times weight: Float, into target: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    for index in 0..<count { target[index] += weight * source[index] }
  }
}
