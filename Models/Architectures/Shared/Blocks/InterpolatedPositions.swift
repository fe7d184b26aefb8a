import OccamCore

/// A square table of learned positions, stretched to a picture's grid: bilinear, corner on corner.
/// Reference: Hugging Face transformers, vision_utils.py, `get_vision_interpolation_indices_and_weights` with
/// `align_corners`.
package struct InterpolatedPositions: Sendable {
  let side: Int
  let width: Int
  private let table: AlignedBuffer<Float>  // [side * side x width]

  init(_ loader: WeightLoader, _ name: String, side: Int, width: Int) throws {
    (self.side, self.width) = (side, width)
    table = try loader.table(name, rows: side * side, columns: width)
  }

  /// Two neighbours on an axis of the table, and the share of the second.
  package struct Tap: Equatable {
    package let first: Int
    package let second: Int
    package let share: Float
  }

  /// For each of `count` places on an axis of `side` positions.
  package static func taps(_ count: Int, side: Int) -> [Tap] {
    (0..<count).map { index in
      let place = count > 1 ? Double(index) * Double(side - 1) / Double(count - 1) : 0
      let first = min(Int(place), side - 1)
      return Tap(first: first, second: min(first + 1, side - 1), share: Float(place - Double(first)))
    }
  }

  /// x += positions; x holds a grid of `columns` in a row, row by row.
  func add(into x: MatrixView<Float>, columns: Int, _ compute: Compute) {
    precondition(x.columns == width && columns > 0 && x.rows % columns == 0, "InterpolatedPositions: shapes differ")
    let (across, down) = (
      InterpolatedPositions.taps(columns, side: side), InterpolatedPositions.taps(x.rows / columns, side: side)
    )
    compute.team.parallel(x.rows, grain: max(1, (1 << 13) / width)) { rows, _ in
      for row in rows { add(down[row / columns], across[row % columns], into: x.row(row)) }
    }
  }

  private func add(_ y: Tap, _ x: Tap, into row: UnsafeMutablePointer<Float>) {
    func corner(_ y: Int, _ x: Int) -> UnsafePointer<Float> { UnsafePointer(table.pointer + (y * side + x) * width) }
    let (a, b) = (corner(y.first, x.first), corner(y.first, x.second))
    let (c, d) = (corner(y.second, x.first), corner(y.second, x.second))
    let (upper, lower) = (1 - y.share, y.share)
    let (p, q, r, s) = (upper * (1 - x.share), upper * x.share, lower * (1 - x.share), lower * x.share)
    for index in 0..<width { row[index] += p * a[index] + q * b[index] + r * c[index] + s * d[index] }
  }
}
