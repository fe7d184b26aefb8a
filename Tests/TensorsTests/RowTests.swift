import Glibc
import OccamCore
import OccamKernelContract
import OccamTensors
import Testing

/// Row operations of every kernel set against double precision. One rounding is 6e-8; sums run in 64 lanes.
@Suite struct RowTests {
  static let widths = [1, 7, 16, 33, 64, 100, 1024, 4097]

  @Test(arguments: VectorSets.names, widths) func rmsNorm(set: String, width: Int) throws {
    let ops = try TensorOps(set)
    let x = Matrix(rows: 3, columns: width, gap: 5, seed: 1, deviation: 4)
    let weight = Matrix(rows: 1, columns: width, seed: 2)
    let out = Matrix(rows: 3, columns: width)
    ops.rmsNorm(x.view, weight: weight.buffer.pointer, epsilon: 1e-5, into: out.view)
    let expected = x.doubles.flatMap { row in
      let mean = row.reduce(0) { $0 + $1 * $1 } / Double(width)
      return zip(row, weight.values).map { $0 / (mean + Double(Float(1e-5))).squareRoot() * Double($1) }
    }
    #expect(relativeError(out.values, expected) < 1e-6)
  }

  /// The mean is rounded at its own size: relative to the deviation its error is 6e-8 * mean / deviation.
  @Test(arguments: VectorSets.names, widths.flatMap { [($0, Float(0.5), 1e-6), ($0, Float(500), 1e-4)] })
  func layerNorm(set: String, sample: (width: Int, mean: Float, tolerance: Double)) throws {
    let (width, mean, tolerance) = sample
    let ops = try TensorOps(set)
    let x = Matrix(rows: 3, columns: width, gap: 3, seed: 3, mean: mean)
    let weight = Matrix(rows: 1, columns: width, seed: 4)
    let bias = Matrix(rows: 1, columns: width, seed: 5)
    let expected = x.doubles.flatMap { row in
      let mean = row.reduce(0, +) / Double(width)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
      return row.indices.map {
        (row[$0] - mean) / (variance + Double(Float(1e-5))).squareRoot() * Double(weight.values[$0])
          + Double(bias.values[$0])
      }
    }
    ops.layerNorm(
      x.view, weight: weight.buffer.pointer, bias: bias.buffer.pointer, epsilon: 1e-5, into: x.view)
    #expect(relativeError(x.values, expected) < tolerance)
  }

  @Test(arguments: VectorSets.names, widths) func addAndSiluMultiply(set: String, width: Int) throws {
    let ops = try TensorOps(set)
    let x = Matrix(rows: 2, columns: width, seed: 6, deviation: 5)
    let y = Matrix(rows: 2, columns: width, gap: 1, seed: 7)
    let sum = zip(x.values, y.values).map { Double($0 + $1) }
    ops.add(x.view, into: y.view)
    #expect(largestError(y.values, sum) == 0)
    let product = zip(x.values, y.values).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }
    ops.siluMultiply(gate: x.view, up: y.view)
    #expect(relativeError(x.values, product) < 5e-7)
  }

  @Test(arguments: VectorSets.names, Activation.allCases) func activations(set: String, kind: Activation) throws {
    let ops = try TensorOps(set)
    let arguments = stride(from: Float(-20), through: 20, by: 0.0137).map { $0 } + [-1e4, -90, -0.0, 0, 1e-20, 90, 1e4]
    let x = Matrix(rows: 1, columns: arguments.count)
    _ = x.buffer.buffer.update(from: arguments)
    ops.activate(x.view, kind)
    for (argument, result) in zip(arguments.map(Double.init), x.values) {
      let expected =
        switch kind {
        case .gelu: argument / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (argument + 0.044715 * pow(argument, 3))))
        case .geluErf: argument / 2 * (1 + erf(argument / 2.0.squareRoot()))
        case .geluQuick: argument / (1 + exp(-1.702 * argument))
        case .silu: argument / (1 + exp(-argument))
        case .relu: max(argument, 0)
        }
      #expect(abs(Double(result) - expected) <= 1e-6 * max(1, abs(expected)), "\(kind)(\(argument))")
    }
  }

  @Test(arguments: VectorSets.names) func exponential(set: String) throws {
    let vector = try VectorSets.named(set)
    var arguments = stride(from: Float(-86.9), through: 87.9, by: 0.0031).map { $0 } + [0, -0.0, 1e-30]
    var results = arguments
    vector.exponential(&results, results.count)
    for (argument, result) in zip(arguments, results) {
      let expected = exp(Double(argument))
      #expect(abs(Double(result) - expected) <= 2.5e-7 * expected, "exp(\(argument))")
    }
    arguments = [-1e30, -1000, -.infinity, 1000, .infinity]
    vector.exponential(&arguments, arguments.count)
    #expect(arguments[0...2].allSatisfy { $0 >= 0 && $0 < 1e-37 })
    #expect(arguments[3...4].allSatisfy { $0.isFinite && $0 > 1e38 })
  }

  @Test(arguments: VectorSets.names, widths) func softmax(set: String, width: Int) throws {
    let ops = try TensorOps(set)
    let x = Matrix(rows: 3, columns: width, seed: 8, deviation: 20)
    let expected = x.doubles.flatMap { row in
      let largest = row.max() ?? 0
      let total = row.reduce(0) { $0 + exp($1 - largest) }
      return row.map { exp($0 - largest) / total }
    }
    ops.softmaxRows(x.view)
    #expect(relativeError(x.values, expected) < 2e-6)
  }

  /// Angles are computed in double precision: what remains is the rounding of cosine, sine and products.
  @Test(arguments: VectorSets.names, [RotaryTable.Style.adjacent, .halves]) func rope(
    set: String, style: RotaryTable.Style
  ) throws {
    let ops = try TensorOps(set)
    let positions: [Int32] = [0, 1, 255, 256, 4095, 100_000]
    for (headDimension, dimension) in [(64, 64), (128, 96), (20, 20), (24, 10), (8, 2)] {
      let heads = 3
      let factors = (0..<dimension / 2).map { 1 + Float($0) / 7 }
      let table = RotaryTable(
        dimension: dimension, base: 500_000, frequencyScale: 0.5, frequencyFactors: factors, style: style)
      let x = Matrix(rows: positions.count, columns: heads * headDimension, gap: 2, seed: 9)
      var expected = x.doubles
      for (row, position) in positions.enumerated() {
        for head in 0..<heads {
          for pair in 0..<dimension / 2 {
            let angle =
              Double(position) * 0.5 * pow(500_000, -2 * Double(pair) / Double(dimension)) / Double(factors[pair])
            let first = head * headDimension + (style == .adjacent ? 2 * pair : pair)
            let second = style == .adjacent ? first + 1 : first + dimension / 2
            let (a, b) = (expected[row][first], expected[row][second])
            expected[row][first] = a * cos(angle) - b * sin(angle)
            expected[row][second] = b * cos(angle) + a * sin(angle)
          }
        }
      }
      ops.rope(
        x.view, heads: heads, headDimension: headDimension, positions: positions.map { Position($0) }, table: table)
      #expect(largestError(x.values, expected.flatMap { $0 }) < 1e-6)
    }
  }

  /// Every binary16 number there and back, and rounding of floats as the language's own type does it.
  @Test(arguments: VectorSets.names) func halves(set: String) throws {
    let vector = try VectorSets.named(set)
    let patterns = (0...UInt16.max).map { $0 }
    var floats = [Float](repeating: 0, count: patterns.count)
    vector.widen(patterns, &floats, patterns.count)
    var again = [UInt16](repeating: 0, count: patterns.count)
    vector.narrow(floats, &again, floats.count)
    for (pattern, float) in zip(patterns, floats) {
      let expected = Float(Float16(bitPattern: pattern))
      #expect(float == expected || (float.isNaN && expected.isNaN))
      if !expected.isNaN { #expect(again[Int(pattern)] == pattern) }
    }
    var random = SeededGenerator(seed: 10)
    let samples =
      (0..<20_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }.filter { !$0.isNaN }
      + (0..<20_000).map { _ in random.normal() * 3e-5 } + [65519.99, 65520, -65536, .infinity]
    again = [UInt16](repeating: 0, count: samples.count)
    vector.narrow(samples, &again, samples.count)
    for (sample, half) in zip(samples, again) { #expect(half == Float16(sample).bitPattern, "\(sample)") }
  }
}
