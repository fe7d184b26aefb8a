import Glibc
import OccamCore
import OccamKernelContract

/// The gated delta rule (Yang, Kautz, Hatamizadeh 2024), the recurrence of Qwen3.5's linear attention. Each value head has
/// a state S, key dimension x value dimension, that token after token forgets a little and is corrected towards answering
/// the token's key by its value:
///
///     S = exp(g) S;   S += k ⊗ beta (v - k S);   o = q S / sqrt(key dimension)
///
/// with q and k scaled to length 1. One token is computed as written. More are computed in chunks, as products of
/// matrices: within a chunk the corrections D of all tokens solve a unit lower triangular system,
///
///     (I + A) D = beta (V - e^G K S),   A[i, j] = beta[i] e^(G[i] - G[j]) k[i] k[j], j < i,
///     O = e^G Q S + P D,                P[i, j] = e^(G[i] - G[j]) q[i] k[j], j <= i,
///     S = e^G[last] S + Kᵀ (e^(G[last] - G) D),
///
/// G being g summed over the chunk (the WY representation; Yang et al. 2024, "Parallelizing Linear Transformers with the
/// Delta Rule over Sequence Length"). Heads are shared among the threads.
///
/// Reference: torch_chunk_gated_delta_rule and torch_recurrent_gated_delta_rule of Hugging Face transformers
/// (modeling_qwen3_5.py).
package struct DeltaRule: Sendable {
  package let keyHeads: Int
  /// A multiple of `keyHeads`; value head h reads the keys and queries of key head h % keyHeads, the order that GGUF files
  /// keep them in.
  package let valueHeads: Int
  package let keyDimension: Int
  package let valueDimension: Int
  /// Floats from one row of a head's state to the next; behind the value dimension stand zeros.
  package let stateColumns: Int
  /// Factors of the normalised keys and queries, `keyDimension` equal numbers each, and the epsilon of the mean square.
  let keyScale: AlignedBuffer<Float>
  let queryScale: AlignedBuffer<Float>
  let meanEpsilon: Float

  package static let maximumDimension = 512

  /// - Parameter epsilon: added to a key's or query's sum of squares before its root is divided by.
  package init(keyHeads: Int, valueHeads: Int, keyDimension: Int, valueDimension: Int, epsilon: Float) {
    precondition(keyHeads > 0 && valueHeads > 0 && valueHeads % keyHeads == 0, "DeltaRule: heads do not divide")
    precondition(
      (1...DeltaRule.maximumDimension).contains(keyDimension)
        && (1...DeltaRule.maximumDimension).contains(valueDimension), "DeltaRule: dimension out of range")
    self.keyHeads = keyHeads
    self.valueHeads = valueHeads
    self.keyDimension = keyDimension
    self.valueDimension = valueDimension
    stateColumns = (valueDimension + 31) / 32 * 32
    // x / sqrt(sum + epsilon) = x / sqrt(mean + epsilon / n) / sqrt(n): an RMSNorm.
    meanEpsilon = epsilon / Float(keyDimension)
    keyScale = AlignedBuffer(count: keyDimension)
    keyScale.buffer.update(repeating: 1 / Float(keyDimension).squareRoot())
    queryScale = AlignedBuffer(count: keyDimension)
    queryScale.buffer.update(repeating: 1 / Float(keyDimension))
  }

  /// Floats that a sequence carries from pass to pass, head by head; zeros at the start.
  package var stateCount: Int { valueHeads * headCount }
  var headCount: Int { keyDimension * stateColumns }

  /// Runs the rows of one sequence through the rule, in order. Allocates nothing where `scratch` has been used with as many
  /// threads.
  /// - Parameters:
  ///   - queries, keys: rows x (keyHeads * keyDimension), not yet normalised.
  ///   - values: rows x (valueHeads * valueDimension).
  ///   - decay, beta: rows x valueHeads; g, at most 0, and beta.
  ///   - state: `stateCount` floats, read and left for the next pass.
  ///   - out: of the shape of `values`, may be `values`.
  package func run(
    queries: MatrixView<Float>, keys: MatrixView<Float>, values: MatrixView<Float>, decay: MatrixView<Float>,
    beta: MatrixView<Float>, state: UnsafeMutablePointer<Float>, into out: MatrixView<Float>, scratch: DeltaScratch,
    ops: TensorOps
  ) {
    let rows = values.rows
    precondition(
      queries.columns == keyHeads * keyDimension && keys.columns == queries.columns
        && values.columns == valueHeads * valueDimension && out.columns == values.columns
        && decay.columns == valueHeads && beta.columns == valueHeads, "DeltaRule: rows of another width")
    precondition(
      queries.rows == rows && keys.rows == rows && decay.rows == rows && beta.rows == rows && out.rows == rows,
      "DeltaRule: shapes differ")
    guard rows > 0 else { return }
    ops.team.parallel(
      valueHeads, grain: max(1, TensorOps.elementsPerStep / (rows * headCount)),
      Step(
        rule: self, queries: queries, keys: keys, values: values, decay: decay, beta: beta, state: state, out: out,
        memory: scratch.memory(self, workers: ops.team.threads), vector: ops.vector))
  }

  /// Multiplications and additions that `rows` rows take, for timings.
  package func operations(rows: Int) -> Double {
    let width = Double(keyDimension * valueDimension)
    let chunk = Double(min(rows, DeltaChunk.rows))
    let within = chunk > Double(DeltaChunk.stepRows) ? chunk * Double(keyDimension + valueDimension) : 0
    return 2 * Double(rows) * Double(valueHeads) * (3 * width + within)
  }

  /// Item by item one value head.
  private struct Step: TeamStep {
    let rule: DeltaRule
    let queries: MatrixView<Float>
    let keys: MatrixView<Float>
    let values: MatrixView<Float>
    let decay: MatrixView<Float>
    let beta: MatrixView<Float>
    let state: UnsafeMutablePointer<Float>
    let out: MatrixView<Float>
    let memory: DeltaMemory
    let vector: VectorKernels

    func run(_ range: Range<Int>, worker: Int) {
      let memory = memory[worker]
      for head in range {
        let keyColumns = head % rule.keyHeads * rule.keyDimension
        let valueColumns = head * rule.valueDimension
        let span = keyColumns..<keyColumns + rule.keyDimension
        let chunk = DeltaChunk(
          rule: rule, queries: queries.slice(columns: span), keys: keys.slice(columns: span),
          values: values.slice(columns: valueColumns..<valueColumns + rule.valueDimension),
          out: out.slice(columns: valueColumns..<valueColumns + rule.valueDimension),
          decay: decay.slice(columns: head..<head + 1), beta: beta.slice(columns: head..<head + 1),
          state: state + head * rule.headCount, memory: memory, vector: vector)
        var row = 0
        while row < values.rows {
          let end = min(row + DeltaChunk.rows, values.rows)
          if end - row <= DeltaChunk.stepRows {
            chunk.runSteps(row..<end)
          } else {
            chunk.run(row..<end)
          }
          row = end
        }
      }
    }
  }
}

extension TensorOps {
  /// decay = a * softplus(decay + bias), beta = sigmoid(beta): what projections give becomes g and beta of the delta rule.
  /// - Parameters:
  ///   - decay, beta: rows x heads, changed in place.
  ///   - a: one negative factor a head, -exp(A_log); bias: one number a head.
  package func deltaGates(
    decay: MatrixView<Float>, beta: MatrixView<Float>, a: UnsafePointer<Float>, bias: UnsafePointer<Float>
  ) {
    precondition(decay.rows == beta.rows && decay.columns == beta.columns, "deltaGates: shapes differ")
    // Two functions of the C library a number: dearer than an element of most operations.
    team.parallel(
      decay.rows, grain: max(1, TensorOps.elementsPerStep / 16 / max(decay.columns, 1)),
      GateRows(decay: decay, beta: beta, a: a, bias: bias))
  }

  /// y *= sigmoid(gate).
  package func sigmoidMultiply(gate: MatrixView<Float>, into y: MatrixView<Float>) {
    precondition(gate.rows == y.rows && gate.columns == y.columns, "sigmoidMultiply: shapes differ")
    rows(y, CombineRows(x: gate, y: y, combine: vector.sigmoidMultiply))
  }
}

private struct GateRows: RowOperation {
  let decay: MatrixView<Float>
  let beta: MatrixView<Float>
  let a: UnsafePointer<Float>
  let bias: UnsafePointer<Float>

  func apply(_ row: Int) {
    let (g, b) = (decay.row(row), beta.row(row))
    for head in 0..<decay.columns {
      let x = g[head] + bias[head]
      // Above 20 the logarithm of 1 + e^x is x, as floats go.
      g[head] = a[head] * (x > 20 ? x : log1p(exp(x)))
      b[head] = 1 / (1 + exp(-b[head]))
    }
  }
}
