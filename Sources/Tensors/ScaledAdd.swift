import Glibc
import OccamCore

extension TensorOps {
  /// y += scale * x, `scale` one factor a column (LayerScale); x is changed.
  package func add(_ x: MatrixView<Float>, scaledBy scale: UnsafePointer<Float>, into y: MatrixView<Float>) {
    precondition(x.rows == y.rows && x.columns == y.columns, "add: shapes differ")
    rows(x, ScaledAddRows(x: x, scale: scale, y: y, multiply: vector.multiply, add: vector.add))
  }

  /// y += sigmoid(score) * x, one score a row.
  /// - Parameter scores: [rows x 1].
  package func add(_ x: MatrixView<Float>, gatedBy scores: MatrixView<Float>, into y: MatrixView<Float>) {
    precondition(x.rows == y.rows && x.columns == y.columns, "add: shapes differ")
    precondition(scores.rows == x.rows && scores.columns == 1, "add: a row has one score")
    rows(x, GatedAddRows(x: x, scores: scores, y: y, addScaled: vector.addScaled))
  }

  /// Each row of y (+)= the sum of `each` rows of x times their weights, in the order of the places.
  /// - Parameters: places, weights: [y.rows x each]; the places are rows of x.
  package func addWeighted(
    _ x: MatrixView<Float>, places: UnsafePointer<Int>, weights: UnsafePointer<Float>, each: Int,
    into y: MatrixView<Float>, accumulate: Bool
  ) {
    precondition(x.columns == y.columns, "addWeighted: shapes differ")
    team.parallel(
      y.rows, grain: max(1, TensorOps.elementsPerStep / max(y.columns * each, 1)),
      AddWeightedRows(
        x: x, places: places, weights: weights, each: each, y: y, accumulate: accumulate, addScaled: vector.addScaled))
  }
}

/// x *= scale, y += x: a row at a time, so that it is read from memory once.
private struct ScaledAddRows: RowOperation {
  let x: MatrixView<Float>
  let scale: UnsafePointer<Float>
  let y: MatrixView<Float>
  let multiply: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
  let add: (UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void

  func apply(_ row: Int) {
    multiply(scale, x.row(row), x.columns)
    add(x.row(row), y.row(row), x.columns)
  }
}

private struct GatedAddRows: RowOperation {
  let x: MatrixView<Float>
  let scores: MatrixView<Float>
  let y: MatrixView<Float>
  let addScaled: (UnsafePointer<Float>, Float, UnsafeMutablePointer<Float>, Int) -> Void

  func apply(_ row: Int) {
    addScaled(x.row(row), 1 / (1 + exp(-scores.row(row)[0])), y.row(row), x.columns)
  }
}

private struct AddWeightedRows: RowOperation {
  let x: MatrixView<Float>
  let places: UnsafePointer<Int>
  let weights: UnsafePointer<Float>
  let each: Int
  let y: MatrixView<Float>
  let accumulate: Bool
  let addScaled: (UnsafePointer<Float>, Float, UnsafeMutablePointer<Float>, Int) -> Void

  func apply(_ row: Int) {
    let out = y.row(row)
    if !accumulate { out.update(repeating: 0, count: y.columns) }
    for index in row * each..<(row + 1) * each {
      addScaled(x.row(places[index]), weights[index], out, y.columns)
    }
  }
}
