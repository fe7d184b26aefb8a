import OccamCore
import OccamKernelContract
import OccamMatmul
import OccamTensors
import Testing

/// The vector kernels of every set this processor can run, by name.
enum VectorSets {
  static var names: [String] { KernelSet.available().map(\.name) }

  static func named(_ name: String) throws -> VectorKernels {
    try #require(KernelSet.available().first { $0.name == name }).vector
  }
}

extension TensorOps {
  init(_ name: String, threads: Int = 2) throws {
    self.init(
      kernels: try #require(KernelSet.available().first { $0.name == name }), team: WorkerTeam(threads: threads))
  }
}

/// A matrix with its memory; rows may lie apart as in a slice of a wider one.
struct Matrix {
  let buffer: AlignedBuffer<Float>
  let view: MatrixView<Float>

  init(rows: Int, columns: Int, gap: Int = 0) {
    buffer = AlignedBuffer(count: rows * (columns + gap))
    view = MatrixView(buffer.pointer, rows: rows, columns: columns, stride: columns + gap)
  }

  /// Normal random numbers.
  init(rows: Int, columns: Int, gap: Int = 0, seed: UInt64, deviation: Float = 1, mean: Float = 0) {
    self.init(rows: rows, columns: columns, gap: gap)
    var random = SeededGenerator(seed: seed)
    for row in 0..<rows {
      for column in 0..<columns { view.row(row)[column] = mean + deviation * random.normal() }
    }
  }

  var values: [Float] { (0..<view.rows).flatMap { row in (0..<view.columns).map { view.row(row)[$0] } } }
  var doubles: [[Double]] { (0..<view.rows).map { row in (0..<view.columns).map { Double(view.row(row)[$0]) } } }
}

/// ‖actual - expected‖ / ‖expected‖, Euclidean.
func relativeError(_ actual: [Float], _ expected: [Double]) -> Double {
  var difference = 0.0
  var norm = 0.0
  for (a, e) in zip(actual, expected) {
    difference += (Double(a) - e) * (Double(a) - e)
    norm += e * e
  }
  if actual.count != expected.count || actual.contains(where: { !$0.isFinite }) { return .infinity }
  return norm > 0 ? (difference / norm).squareRoot() : difference.squareRoot()
}

/// Largest |actual - expected|, infinite where a number is not finite.
func largestError(_ actual: [Float], _ expected: [Double]) -> Double {
  zip(actual, expected).reduce(actual.count == expected.count ? 0 : .infinity) {
    max($0, $1.0.isFinite ? abs(Double($1.0) - $1.1) : .infinity)
  }
}

func bits(_ matrix: Matrix) -> [UInt32] { matrix.values.map(\.bitPattern) }
