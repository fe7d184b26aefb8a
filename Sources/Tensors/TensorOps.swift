import OccamCore
import OccamKernelContract
import OccamMatmul

/// What an activation layer computes; formulas beside the fields of `VectorKernels`.
package enum Activation: Sendable, CaseIterable {
  /// The tanh approximation.
  case gelu
  /// The exact definition, by the error function.
  case geluErf
  /// x * sigmoid(1.702 x), as CLIP was trained with.
  case geluQuick
  case silu
  case relu
}

/// Every operation of a transformer that is no product with weights, on rows of activations.
///
/// Rows are split over the team; each row is computed by one thread in one order, so that results do not depend on
/// the number of threads. Shapes are checked once per call and trap: they follow from the model, not from input.
package struct TensorOps: Sendable {
  let vector: VectorKernels
  package let team: WorkerTeam

  package init(kernels: KernelSet, team: WorkerTeam) { self.init(vector: kernels.vector, team: team) }

  package init(vector: VectorKernels, team: WorkerTeam) {
    self.vector = vector
    self.team = team
  }

  /// Elements one thread should get at least: below, waking another costs more than it saves.
  static let elementsPerStep = 8192

  /// Applies `operation` to every row of x.
  func rows(_ x: MatrixView<Float>, _ operation: some RowOperation) {
    team.parallel(x.rows, grain: max(1, TensorOps.elementsPerStep / max(x.columns, 1)), operation)
  }

  /// out = x / sqrt(mean(x²) + epsilon) * weight, each row for itself; `out` may be `x`.
  package func rmsNorm(
    _ x: MatrixView<Float>, weight: UnsafePointer<Float>, epsilon: Float, into out: MatrixView<Float>
  ) {
    precondition(x.rows == out.rows && x.columns == out.columns, "rmsNorm: shapes differ")
    rows(x, RMSNormRows(x: x, weight: weight, epsilon: epsilon, out: out, norm: vector.rmsNorm))
  }

  /// out = (x - mean) / sqrt(variance + epsilon) * weight + bias, each row for itself; `out` may be `x`.
  package func layerNorm(
    _ x: MatrixView<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>, epsilon: Float,
    into out: MatrixView<Float>
  ) {
    precondition(x.rows == out.rows && x.columns == out.columns, "layerNorm: shapes differ")
    rows(x, LayerNormRows(x: x, weight: weight, bias: bias, epsilon: epsilon, out: out, norm: vector.layerNorm))
  }

  /// y += x.
  package func add(_ x: MatrixView<Float>, into y: MatrixView<Float>) {
    precondition(x.rows == y.rows && x.columns == y.columns, "add: shapes differ")
    rows(x, CombineRows(x: x, y: y, combine: vector.add))
  }

  /// y *= x.
  package func multiply(_ x: MatrixView<Float>, into y: MatrixView<Float>) {
    precondition(x.rows == y.rows && x.columns == y.columns, "multiply: shapes differ")
    rows(y, CombineRows(x: x, y: y, combine: vector.multiply))
  }

  /// x = factor * x.
  package func scale(_ x: MatrixView<Float>, by factor: Float) { rows(x, ScaleRows(x: x, factor: factor)) }

  /// out = x, no number of it outside `range`; `out` may be `x`.
  package func clamp(_ x: MatrixView<Float>, to range: ClosedRange<Float>, into out: MatrixView<Float>) {
    precondition(x.rows == out.rows && x.columns == out.columns, "clamp: shapes differ")
    rows(x, ClampRows(x: x, range: range, out: out))
  }

  /// x = limit * tanh(x / limit): numbers stay within -limit...limit.
  package func softcap(_ x: MatrixView<Float>, limit: Float) {
    for row in 0..<x.rows {
      team.parallel(x.columns, grain: SoftcapStep.grain, SoftcapStep(numbers: x.row(row), limit: limit))
    }
  }

  /// gate = silu(gate) * up, the middle of a SwiGLU layer.
  package func siluMultiply(gate: MatrixView<Float>, up: MatrixView<Float>) {
    precondition(gate.rows == up.rows && gate.columns == up.columns, "siluMultiply: shapes differ")
    rows(gate, SiluMultiplyRows(gate: gate, up: up, multiply: vector.siluMultiply))
  }

  /// x = activation(x).
  package func activate(_ x: MatrixView<Float>, _ kind: Activation) {
    rows(x, RowsInPlace(x: x, function: function(kind)))
  }

  /// The same for any number of floats, as a product applies it to its tiles.
  package func function(_ kind: Activation) -> @Sendable (UnsafeMutablePointer<Float>, Int) -> Void {
    switch kind {
    case .gelu: vector.gelu
    case .geluErf: vector.geluErf
    case .geluQuick: vector.geluQuick
    case .silu: vector.silu
    case .relu: vector.relu
    }
  }

  /// x = softmax(x), each row for itself.
  package func softmaxRows(_ x: MatrixView<Float>) {
    guard x.columns > 0 else { return }
    rows(x, RowsInPlace(x: x, function: vector.softmax))
  }

  /// Rotates `table.dimension` numbers of every head by the row's position.
  /// - Parameters:
  ///   - x: rows x (heads * headDimension), changed in place.
  ///   - positions: one for each row.
  ///   - first: the first number of a head that turns.
  package func rope(
    _ x: MatrixView<Float>, heads: Int, headDimension: Int, positions: UnsafePointer<Position>, table: RotaryTable,
    first: Int = 0
  ) {
    precondition(x.columns == heads * headDimension, "rope: shape differs")
    precondition(first >= 0 && first + table.dimension <= headDimension, "rope: table wider than a head")
    let adjacent = table.style == .adjacent
    let rotate = adjacent ? vector.rotateAdjacent : vector.rotateHalves
    let count = adjacent ? table.dimension : table.dimension / 2
    withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: 3 * x.rows) { found in
      func lookUp(_ axis: RotaryAxis, _ part: Int) -> UnsafeMutableBufferPointer<UnsafePointer<Float>> {
        let rows = UnsafeMutableBufferPointer(rebasing: found[part * x.rows..<(part + 1) * x.rows])
        table.look(up: positions, axis, into: rows)
        return rows
      }
      let t = lookUp(.t, 0)
      guard table.axes != nil else {
        return rows(
          x,
          RotateRows(
            x: x, heads: heads, headDimension: headDimension, first: first, angles: t, count: count, rotate: rotate))
      }
      let operation = RotateRowsByAxes(
        matrix: x, heads: heads, headDimension: headDimension, first: first, table: table, t: t, y: lookUp(.y, 1),
        x: lookUp(.x, 2), count: count, rotate: rotate)
      rows(x, operation)
    }
  }
}
