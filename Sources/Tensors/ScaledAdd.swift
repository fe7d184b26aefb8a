import OccamCore

extension TensorOps {
  /// y += scale * x, `scale` one factor a column (LayerScale); x is changed.
  package func add(_ x: MatrixView<Float>, scaledBy scale: UnsafePointer<Float>, into y: MatrixView<Float>) {
    precondition(x.rows == y.rows && x.columns == y.columns, "add: shapes differ")
    rows(x, ScaledAddRows(x: x, scale: scale, y: y, multiply: vector.multiply, add: vector.add))
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
