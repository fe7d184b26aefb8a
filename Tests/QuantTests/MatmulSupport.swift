import OccamCore
import OccamMatmul
import OccamQuantFormats

/// A weight matrix as a file would hold it, and what its bytes mean.
struct SourceMatrix {
  let rows: Int
  let columns: Int
  let format: QuantFormat
  var bytes: [UInt8]

  /// Normal random numbers, encoded row by row.
  init(_ format: QuantFormat, rows: Int, columns: Int, seed: UInt64) {
    self.init(format, rows: rows, columns: columns, bytes: [])
    var random = SeededGenerator(seed: seed)
    let values = (0..<rows * columns).map { _ in random.normal() }
    bytes = [UInt8](repeating: 0, count: format.byteCount(elements: rows * columns) ?? 0)
    bytes.withUnsafeMutableBytes { target in
      values.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        format.encode(from, count: values.count, into: to)
      }
    }
  }

  init(_ format: QuantFormat, rows: Int, columns: Int, bytes: [UInt8]) {
    (self.rows, self.columns, self.format, self.bytes) = (rows, columns, format, bytes)
  }

  /// [rows x columns], by the format's own reference.
  func decoded() -> [Float] {
    var values = [Float](repeating: 0, count: rows * columns)
    bytes.withUnsafeBytes { source in
      values.withUnsafeMutableBufferPointer { target in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        format.decode(from, count: target.count, into: to)
      }
    }
    return values
  }

  func packed(_ kernels: KernelSet, _ team: WorkerTeam) throws -> PackedMatrix {
    try bytes.withUnsafeBytes {
      try PackedMatrix(rows: rows, columns: columns, format: format, source: $0, kernels: kernels, team: team)
    }
  }
}

/// How many activations share a scale; 1: they are not rounded.
func activationBlock(_ format: QuantFormat) -> Int { format.blockSize }

/// What the kernels multiply with, written as plainly as possible: (values scale * q, scale of each block).
func roundedActivations(_ x: [Float], block: Int, top: Float = 127) -> [Double] {
  guard block > 1 else { return x.map(Double.init) }
  var values: [Double] = []
  for start in stride(from: 0, to: x.count, by: block) {
    let part = x[start..<start + block]
    let amax = part.map(\.magnitude).max() ?? 0
    let scale = amax / top
    let inverse = amax > 0 ? top / amax : 0
    values += part.map { Double(($0 * inverse).rounded(.toNearestOrEven)) * Double(scale) }
  }
  return values
}

/// One row of weights times one token in double precision, and the magnitudes' sum, of which float sums may miss an epsilon
/// an addition.
func reference(
  _ weights: [Float], row: Int, _ x: [Double], token: Int, columns: Int
) -> (sum: Double, magnitude: Double) {
  var (sum, magnitude) = (0.0, 0.0)
  for column in 0..<columns {
    let term = Double(weights[row * columns + column]) * x[token * columns + column]
    sum += term
    magnitude += term.magnitude
  }
  return (sum, magnitude)
}

func randomActivations(tokens: Int, columns: Int, seed: UInt64) -> [Float] {
  var random = SeededGenerator(seed: seed)
  return (0..<tokens * columns).map { _ in random.normal() * 3 }
}

/// y [tokens x rows] of the kernels.
func product(
  _ weights: PackedMatrix, _ x: [Float], tokens: Int, _ kernels: KernelSet, _ team: WorkerTeam
) -> [Float] {
  let input = AlignedBuffer(copying: x)
  let output = AlignedBuffer<Float>(count: tokens * weights.rows)
  let context = MatmulContext(kernels: kernels, team: team)
  context.load(MatrixView(input, rows: tokens, columns: weights.columns))
  context.multiply(by: weights, into: MatrixView(output, rows: tokens, columns: weights.rows))
  return Array(output.buffer)
}
