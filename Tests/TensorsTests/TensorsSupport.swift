import Glibc
import OccamCore
import OccamKernelContract
import OccamKernelsPortable
import OccamMatmul
import OccamTensors
import Testing

#if arch(x86_64)
  import OccamKernelsAVX2
  import OccamKernelsAVX512VNNI
#endif

/// Every vector kernel table this processor can run, by name.
enum VectorSets {
  static var names: [String] { tables.map(\.name) }

  static func named(_ name: String) throws -> VectorKernels { try #require(tables.first { $0.name == name }).table }

  private static var tables: [(name: String, table: VectorKernels)] {
    var tables = [("portable", PortableVectorKernels.table)]
    #if arch(x86_64)
      let cpu = CPUFeatures.current
      if cpu.avx2 && cpu.fma && cpu.f16c {
        tables.append(("avx2", AVX2VectorKernels.table))
        if cpu.avx512f && cpu.avx512bw && cpu.avx512dq && cpu.avx512vl {
          tables.append(("avx512", AVX512VNNIVectorKernels.table))
        }
      }
    #endif
    return tables
  }
}

extension TensorOps {
  init(_ name: String, threads: Int = 2) throws {
    self.init(vector: try VectorSets.named(name), team: WorkerTeam(threads: threads))
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
