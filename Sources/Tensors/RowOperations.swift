import Glibc
import OccamCore
import OccamKernelContract

/// An operation that computes row after row, each for itself.
protocol RowOperation: TeamStep {
  func apply(_ row: Int)
}

extension RowOperation {
  func run(_ range: Range<Int>, worker: Int) {
    for row in range { apply(row) }
  }
}

/// x = f(x).
struct RowsInPlace: RowOperation {
  let x: MatrixView<Float>
  let function: (VectorKernels.MutableFloats, Int) -> Void
  func apply(_ row: Int) { function(x.row(row), x.columns) }
}

/// y = f(x, y), number by number: y += x, y *= x.
struct CombineRows: RowOperation {
  let x: MatrixView<Float>
  let y: MatrixView<Float>
  let combine: (VectorKernels.Floats, VectorKernels.MutableFloats, Int) -> Void
  func apply(_ row: Int) { combine(x.row(row), y.row(row), x.columns) }
}

/// x = factor * x.
struct ScaleRows: RowOperation {
  let x: MatrixView<Float>
  let factor: Float
  func apply(_ row: Int) {
    let numbers = x.row(row)
    for index in 0..<x.columns { numbers[index] *= factor }
  }
}

/// out = x within a range; what is no number stays none.
struct ClampRows: RowOperation {
  let x: MatrixView<Float>
  let range: ClosedRange<Float>
  let out: MatrixView<Float>
  func apply(_ row: Int) {
    let (source, target) = (x.row(row), out.row(row))
    let (low, high) = (range.lowerBound, range.upperBound)
    for index in 0..<x.columns {
      let number = source[index]
      target[index] = number < low ? low : number > high ? high : number
    }
  }
}

/// A row of logits is long, and there is one of them: its parts are shared out.
struct SoftcapStep: TeamStep {
  static let grain = 2048
  let numbers: UnsafeMutablePointer<Float>
  let limit: Float

  func run(_ range: Range<Int>, worker: Int) {
    for index in range { numbers[index] = limit * tanhf(numbers[index] / limit) }
  }
}

/// gate = silu(gate) * up.
struct SiluMultiplyRows: RowOperation {
  let gate: MatrixView<Float>
  let up: MatrixView<Float>
  let multiply: (VectorKernels.MutableFloats, VectorKernels.Floats, Int) -> Void
  func apply(_ row: Int) { multiply(gate.row(row), up.row(row), gate.columns) }
}

struct RMSNormRows: RowOperation {
  let x: MatrixView<Float>
  let weight: UnsafePointer<Float>
  let epsilon: Float
  let out: MatrixView<Float>
  let norm: (VectorKernels.Floats, VectorKernels.Floats, Float, VectorKernels.MutableFloats, Int) -> Void
  func apply(_ row: Int) { norm(x.row(row), weight, epsilon, out.row(row), x.columns) }
}

struct LayerNormRows: RowOperation {
  let x: MatrixView<Float>
  let weight: UnsafePointer<Float>
  let bias: UnsafePointer<Float>
  let epsilon: Float
  let out: MatrixView<Float>
  let norm:
    (
      VectorKernels.Floats, VectorKernels.Floats, VectorKernels.Floats, Float, VectorKernels.MutableFloats, Int
    ) -> Void
  func apply(_ row: Int) { norm(x.row(row), weight, bias, epsilon, out.row(row), x.columns) }
}

/// Rotary position embedding of every head of a row.
struct RotateRows: RowOperation {
  let x: MatrixView<Float>
  let heads: Int
  let headDimension: Int
  /// The first number of a head that turns.
  let first: Int
  /// Of each row the cosines, `count` of them, and behind them the sines.
  let angles: UnsafeMutableBufferPointer<UnsafePointer<Float>>
  let count: Int
  let rotate: (VectorKernels.MutableFloats, VectorKernels.Floats, VectorKernels.Floats, Int) -> Void

  func apply(_ row: Int) {
    let cosines = angles[row]
    for head in 0..<heads { rotate(x.row(row) + head * headDimension + first, cosines, cosines + count, count) }
  }
}

/// The same where the pairs of a head follow several axes.
struct RotateRowsByAxes: RowOperation {
  let matrix: MatrixView<Float>
  let heads: Int
  let headDimension: Int
  let first: Int
  let table: RotaryTable
  let t: UnsafeMutableBufferPointer<UnsafePointer<Float>>
  let y: UnsafeMutableBufferPointer<UnsafePointer<Float>>
  let x: UnsafeMutableBufferPointer<UnsafePointer<Float>>
  let count: Int
  let rotate: (VectorKernels.MutableFloats, VectorKernels.Floats, VectorKernels.Floats, Int) -> Void

  func apply(_ row: Int) {
    // Text advances all axes alike.
    if t[row] == y[row], t[row] == x[row] { return turn(row, t[row]) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: table.rowCount) { composed in
      guard let base = composed.baseAddress else { return }
      table.compose(RotaryRows(t: t[row], y: y[row], x: x[row]), into: base)
      turn(row, base)
    }
  }

  private func turn(_ row: Int, _ cosines: UnsafePointer<Float>) {
    for head in 0..<heads { rotate(matrix.row(row) + head * headDimension + first, cosines, cosines + count, count) }
  }
}
