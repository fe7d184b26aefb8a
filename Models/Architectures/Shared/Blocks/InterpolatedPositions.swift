import OccamCore

/// A square table of learned positions, stretched to a picture's grid, along rows and then along columns.
/// Reference: Hugging Face transformers, vision_utils.py, `get_vision_interpolation_indices_and_weights` with
/// `align_corners` (Qwen3-VL), and modeling_siglip2.py, `resize_positional_embeddings` (LFM2-VL).
package struct InterpolatedPositions: Sendable {
  package enum Sampling: Sendable {
    /// Bilinear, corner on corner.
    case corners
    /// By a triangle that is widened where the grid is coarser than the table: antialiased bilinear resizing.
    case antialiased
  }

  let side: Int
  let width: Int
  let sampling: Sampling
  private let table: AlignedBuffer<Float>  // [side * side x width]

  init(_ loader: WeightLoader, _ name: String, side: Int, width: Int, _ sampling: Sampling = .corners) throws {
    (self.side, self.width, self.sampling) = (side, width, sampling)
    table = try loader.table(name, rows: side * side, columns: width)
  }

  /// What a place on an axis of the grid takes of the table: `weights`, which add up to 1, from position `first` on.
  package struct Tap: Equatable {
    package let first: Int
    package let weights: [Float]
  }

  /// For each of `count` places on an axis of `side` positions.
  package static func taps(_ count: Int, side: Int, _ sampling: Sampling) -> [Tap] {
    switch sampling {
    case .corners:
      (0..<count).map { index in
        let place = count > 1 ? Double(index) * Double(side - 1) / Double(count - 1) : 0
        let first = min(Int(place), side - 1)
        let share = Float(place - Double(first))
        return Tap(first: first, weights: share > 0 && first + 1 < side ? [1 - share, share] : [1])
      }
    case .antialiased:
      (0..<count).map { triangle(at: $0, of: count, side: side) }
    }
  }

  private static func triangle(at index: Int, of count: Int, side: Int) -> Tap {
    let scale = Double(side) / Double(count)
    let support = max(scale, 1)
    let center = (Double(index) + 0.5) * scale - 0.5
    let first = max(Int((center - support).rounded(.up)), 0)
    let last = min(Int((center + support).rounded(.down)), side - 1)
    let weights = (first...last).map { max(1 - abs(Double($0) - center) / support, 0) }
    let sum = weights.reduce(0, +)
    return Tap(first: first, weights: weights.map { Float($0 / sum) })
  }

  /// x += positions; x holds a grid of `columns` in a row, row by row.
  func add(into x: MatrixView<Float>, columns: Int, _ compute: Compute) {
    precondition(x.columns == width && columns > 0 && x.rows % columns == 0, "InterpolatedPositions: shapes differ")
    let across = InterpolatedPositions.taps(columns, side: side, sampling)
    let down = InterpolatedPositions.taps(x.rows / columns, side: side, sampling)
    compute.team.parallel(down.count, grain: 1) { rows, _ in
      // One row of the grid, not yet stretched along it: [side x width].
      let line = AlignedBuffer<Float>(count: side * width, zeroed: false)
      for row in rows {
        line.pointer.update(repeating: 0, count: side * width)
        accumulate(down[row], of: table.pointer, stride: side * width, into: line.pointer)
        for (column, tap) in across.enumerated() {
          accumulate(tap, of: line.pointer, stride: width, into: x.row(row * columns + column))
        }
      }
    }
  }

  /// target += the tap's weighted rows of `source`, [side x stride].
  private func accumulate(
    _ tap: Tap, of source: UnsafePointer<Float>, stride: Int, into target: UnsafeMutablePointer<Float>
  ) {
    for (offset, weight) in tap.weights.enumerated() {
      let row = source + (tap.first + offset) * stride
      for index in 0..<stride { target[index] += weight * row[index] }
    }
  }
}
