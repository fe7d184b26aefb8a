import Glibc
import OccamCore
import OccamTensors
import OccamTestSupport
import Testing

/// The gated delta rule against its recurrence in double precision, against transformers, and against itself however rows
/// are divided into passes.
@Suite struct DeltaRuleTests {
  static let rules = [
    DeltaRule(keyHeads: 1, valueHeads: 1, keyDimension: 16, valueDimension: 16, epsilon: 1e-6),
    DeltaRule(keyHeads: 2, valueHeads: 4, keyDimension: 128, valueDimension: 128, epsilon: 1e-6),
    DeltaRule(keyHeads: 1, valueHeads: 3, keyDimension: 21, valueDimension: 40, epsilon: 1e-6),
  ]

  /// Single steps, the shortest chunk, one row less and more than a chunk, several.
  @Test(arguments: VectorSets.names, rules.indices) func againstRecurrence(set: String, index: Int) throws {
    let ops = try TensorOps(set)
    for rows in [1, 6, 7, 8, 63, 64, 65, 130] {
      for pace in [Float(0.02), 3] {
        let sample = DeltaSample(DeltaRuleTests.rules[index], rows: rows, pace: pace)
        let expected = sample.reference()
        let out = Matrix(rows: rows, columns: sample.values.view.columns, gap: 3)
        sample.run([0..<rows], into: out.view, ops)
        #expect(relativeError(out.values, expected.out) < 3e-6, "\(rows) rows")
        #expect(relativeError(sample.state.values, expected.state) < 3e-6, "\(rows) rows")
        #expect(sample.state.paddingIsZero)
      }
    }
  }

  /// A prompt in two passes, cut at every place, leaves the states that token after token leaves.
  @Test(arguments: VectorSets.names) func cutsAnywhere(set: String) throws {
    let ops = try TensorOps(set)
    let rule = DeltaRule(keyHeads: 1, valueHeads: 2, keyDimension: 32, valueDimension: 32, epsilon: 1e-6)
    let rows = 140
    let single = DeltaSample(rule, rows: rows, pace: 0.05)
    let singleOut = Matrix(rows: rows, columns: single.values.view.columns)
    single.run((0..<rows).map { $0..<$0 + 1 }, into: singleOut.view, ops)
    let (stateSpread, outSpread) = (standardDeviation(single.state.values), standardDeviation(singleOut.values))
    for cut in 0...rows {
      let sample = DeltaSample(rule, rows: rows, pace: 0.05)
      let out = Matrix(rows: rows, columns: sample.values.view.columns)
      sample.run([0..<cut, cut..<rows], into: out.view, ops)
      #expect(
        largestError(sample.state.values, single.state.values.map(Double.init)) < 1e-4 * stateSpread, "cut at \(cut)")
      #expect(largestError(out.values, singleOut.values.map(Double.init)) < 1e-4 * outSpread, "cut at \(cut)")
    }
  }

  /// Over the values or elsewhere, with any number of threads, scratch fresh or used by a larger rule: the same bits.
  @Test(arguments: VectorSets.names) func placesAndThreads(set: String) throws {
    func run(threads: Int, inPlace: Bool, _ scratch: DeltaScratch) throws -> ([UInt32], [UInt32]) {
      let sample = DeltaSample(DeltaRuleTests.rules[2], rows: 100, pace: 0.1)
      let out = inPlace ? sample.values : Matrix(rows: 100, columns: sample.values.view.columns)
      sample.run([0..<97, 97..<100], into: out.view, try TensorOps(set, threads: threads), scratch)
      return (bits(out), sample.state.values.map(\.bitPattern))
    }
    let whole = try run(threads: 1, inPlace: false, DeltaScratch())
    let used = DeltaScratch()
    let large = DeltaSample(DeltaRuleTests.rules[1], rows: 70, pace: 0.1)
    large.run([0..<70], into: large.values.view, try TensorOps(set), used)
    for threads in [1, 2, 5] {
      #expect(try run(threads: threads, inPlace: true, DeltaScratch()) == whole)
      #expect(try run(threads: threads, inPlace: false, used) == whole)
    }
  }

  /// Decay so fast that nothing of a chunk's beginning is left at its end: no infinities, no NaN.
  @Test(arguments: VectorSets.names) func fastDecay(set: String) throws {
    let sample = DeltaSample(DeltaRuleTests.rules[0], rows: 130, pace: 400)
    let expected = sample.reference()
    sample.run([0..<130], into: sample.values.view, try TensorOps(set))
    #expect(relativeError(sample.values.values, expected.out) < 3e-6)
    #expect(relativeError(sample.state.values, expected.state) < 3e-6)
  }

  @Test(arguments: VectorSets.names) func gates(set: String) throws {
    let ops = try TensorOps(set)
    let decay = Matrix(rows: 9, columns: 5, gap: 2, seed: 40, deviation: 30)
    let beta = Matrix(rows: 9, columns: 5, seed: 41, deviation: 30)
    let a = Matrix(rows: 1, columns: 5, seed: 42)
    let bias = Matrix(rows: 1, columns: 5, seed: 43)
    let expected = decay.doubles.flatMap { row in
      row.indices.map { column in
        let x = row[column] + Double(bias.values[column])
        return Double(a.values[column]) * (x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
      }
    }
    let rates = beta.doubles.flatMap { $0.map { 1 / (1 + exp(-$0)) } }
    ops.deltaGates(decay: decay.view, beta: beta.view, a: a.buffer.pointer, bias: bias.buffer.pointer)
    #expect(relativeError(decay.values, expected) < 1e-6)
    #expect(relativeError(beta.values, rates) < 1e-6)
    let gate = Matrix(rows: 3, columns: 37, gap: 1, seed: 44, deviation: 6)
    let y = Matrix(rows: 3, columns: 37, seed: 45)
    let gated = zip(y.values, gate.values).map { Double($0) / (1 + exp(-Double($1))) }
    ops.sigmoidMultiply(gate: gate.view, into: y.view)
    #expect(relativeError(y.values, gated) < 5e-7)
  }

  /// Convolution, gates and rule of transformers (Tests/Goldens/qwen35/delta.py).
  @Test(arguments: VectorSets.names) func transformers(set: String) throws {
    let ops = try TensorOps(set)
    func golden(_ name: String) throws -> Matrix {
      let array = try NumPyArray(path: "\(Locations.goldens)/qwen35/delta/\(name).npy")
      let matrix = Matrix(rows: array.shape.dropLast().reduce(1, *), columns: array.shape.last ?? 1)
      _ = matrix.buffer.buffer.update(from: array.values)
      return matrix
    }
    func expectClose(_ matrix: Matrix, _ name: String) throws {
      let expected = try golden(name).values.map(Double.init)
      #expect(relativeError(matrix.values, expected) < 3e-6, "\(name)")
    }
    let (inputs, past, weights) = (try golden("inputs"), try golden("past"), try golden("weights"))
    let convolution = CausalConvolution(
      taps: weights.view.columns, channels: weights.view.rows, weights: weights.buffer)
    convolution.run(
      inputs.view, state: past.buffer.pointer, activation: .silu, into: inputs.view, ops: ops)
    try expectClose(inputs, "mixed")
    let (alpha, b) = (try golden("alpha"), try golden("b"))
    let (a, bias) = (try golden("a"), try golden("bias"))
    ops.deltaGates(decay: alpha.view, beta: b.view, a: a.buffer.pointer, bias: bias.buffer.pointer)
    try expectClose(alpha, "decay")
    try expectClose(b, "beta")
    let rule = DeltaRule(keyHeads: 2, valueHeads: 4, keyDimension: 20, valueDimension: 24, epsilon: 1e-6)
    let (state, rows) = (DeltaState(rule), inputs.view.rows)
    state.load(try golden("state"))
    let values = inputs.view.slice(columns: 80..<176)
    rule.run(
      queries: inputs.view.slice(columns: 0..<40), keys: inputs.view.slice(columns: 40..<80), values: values,
      decay: alpha.view, beta: b.view, state: state.buffer.pointer, into: values, scratch: DeltaScratch(), ops: ops)
    let out = Matrix(rows: rows, columns: 96)
    for row in 0..<rows { out.view.row(row).update(from: values.row(row), count: 96) }
    try expectClose(out, "out")
    withExtendedLifetime((inputs, past, weights, alpha, b, a, bias)) {}
    let last = try golden("last")
    #expect(relativeError(state.values, DeltaState.perHead(last, rule).map(Double.init)) < 3e-6)
  }
}

/// The state of a rule, padded as the rule keeps it.
private struct DeltaState {
  let rule: DeltaRule
  let buffer: AlignedBuffer<Float>

  init(_ rule: DeltaRule) {
    self.rule = rule
    buffer = AlignedBuffer(count: rule.stateCount)
  }

  private func offset(_ head: Int, _ key: Int) -> Int { (head * rule.keyDimension + key) * rule.stateColumns }

  /// Head by head key dimension x value dimension, without padding.
  var values: [Float] {
    (0..<rule.valueHeads).flatMap { head in
      (0..<rule.keyDimension).flatMap { key in
        (0..<rule.valueDimension).map { buffer.pointer[offset(head, key) + $0] }
      }
    }
  }

  var paddingIsZero: Bool {
    (0..<rule.valueHeads * rule.keyDimension).allSatisfy { row in
      (rule.valueDimension..<rule.stateColumns).allSatisfy { buffer.pointer[row * rule.stateColumns + $0] == 0 }
    }
  }

  /// From key dimension x (heads * value dimension).
  static func perHead(_ matrix: Matrix, _ rule: DeltaRule) -> [Float] {
    (0..<rule.valueHeads).flatMap { head in
      (0..<rule.keyDimension).flatMap { key in
        (0..<rule.valueDimension).map { matrix.view.row(key)[head * rule.valueDimension + $0] }
      }
    }
  }

  func load(_ matrix: Matrix) {
    let values = DeltaState.perHead(matrix, rule)
    for row in 0..<rule.valueHeads * rule.keyDimension {
      for column in 0..<rule.valueDimension {
        buffer.pointer[row * rule.stateColumns + column] = values[row * rule.valueDimension + column]
      }
    }
  }
}

/// Inputs of the rule and a random state to begin with.
private struct DeltaSample {
  let rule: DeltaRule
  let queries: Matrix
  let keys: Matrix
  let values: Matrix
  let decay: Matrix
  let beta: Matrix
  let state: DeltaState

  /// - Parameter pace: how fast the state decays: mean of -g.
  init(_ rule: DeltaRule, rows: Int, pace: Float) {
    self.rule = rule
    queries = Matrix(rows: rows, columns: rule.keyHeads * rule.keyDimension, gap: 5, seed: 30, deviation: 2)
    // Keys that resemble each other: corrections depend on those before.
    keys = Matrix(rows: rows, columns: rule.keyHeads * rule.keyDimension, gap: 1, seed: 31, mean: 0.5)
    values = Matrix(rows: rows, columns: rule.valueHeads * rule.valueDimension, gap: 2, seed: 32)
    decay = Matrix(rows: rows, columns: rule.valueHeads, gap: 1, seed: 33, deviation: pace)
    beta = Matrix(rows: rows, columns: rule.valueHeads, seed: 34, deviation: 2)
    for row in 0..<rows {
      for head in 0..<rule.valueHeads {
        decay.view.row(row)[head] = -abs(decay.view.row(row)[head])
        beta.view.row(row)[head] = 1 / (1 + expf(-beta.view.row(row)[head]))
      }
    }
    state = DeltaState(rule)
    state.load(Matrix(rows: rule.keyDimension, columns: rule.valueHeads * rule.valueDimension, seed: 35))
  }

  func run(
    _ passes: [Range<Int>], into out: MatrixView<Float>, _ ops: TensorOps, _ scratch: DeltaScratch = DeltaScratch()
  ) {
    for rows in passes {
      rule.run(
        queries: queries.view.slice(rows: rows), keys: keys.view.slice(rows: rows),
        values: values.view.slice(rows: rows), decay: decay.view.slice(rows: rows), beta: beta.view.slice(rows: rows),
        state: state.buffer.pointer, into: out.slice(rows: rows), scratch: scratch, ops: ops)
    }
  }

  /// The recurrence, token after token, from the state as it is.
  func reference() -> (out: [Double], state: [Double]) {
    let (rows, width, depth) = (values.view.rows, rule.valueDimension, rule.keyDimension)
    var out = [Double](repeating: 0, count: rows * rule.valueHeads * width)
    var states = state.values.map(Double.init)
    for head in 0..<rule.valueHeads {
      let first = head * depth * width
      for row in 0..<rows {
        let q = unit(queries, row, head), k = unit(keys, row, head)
        let forget = exp(Double(decay.view.row(row)[head]))
        let rate = Double(beta.view.row(row)[head])
        for column in 0..<width {
          var read = 0.0
          for d in 0..<depth {
            states[first + d * width + column] *= forget
            read += k[d] * states[first + d * width + column]
          }
          let correction = rate * (Double(values.view.row(row)[head * width + column]) - read)
          var sum = 0.0
          for d in 0..<depth {
            states[first + d * width + column] += k[d] * correction
            sum += q[d] * states[first + d * width + column]
          }
          out[(row * rule.valueHeads + head) * width + column] = sum / Double(depth).squareRoot()
        }
      }
    }
    return (out, states)
  }

  private func unit(_ matrix: Matrix, _ row: Int, _ head: Int) -> [Double] {
    let first = head % rule.keyHeads * rule.keyDimension
    let x = (0..<rule.keyDimension).map { Double(matrix.view.row(row)[first + $0]) }
    let length = (x.reduce(0) { $0 + $1 * $1 } + 1e-6).squareRoot()
    return x.map { $0 / length }
  }
}

private func standardDeviation(_ values: [Float]) -> Double {
  let mean = values.reduce(0) { $0 + Double($1) } / Double(values.count)
  return (values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)).squareRoot()
}
