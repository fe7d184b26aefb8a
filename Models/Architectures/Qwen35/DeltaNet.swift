import OccamCore
import OccamMatmul
import OccamTensors

/// A gated delta-net layer's mixing of rows: a short convolution over queries, keys and values, the gated delta rule, a norm
/// of each head gated by SiLU. Shapes are [outputs x inputs]; k = key heads * dimension, v = value heads * dimension.
///
/// Reference: Hugging Face transformers, modeling_qwen3_5.py, `Qwen3_5GatedDeltaNet`; llama.cpp, src/models/qwen35.cpp.
/// Value heads come in the file's order: head h uses key head h modulo key heads.
struct DeltaNet: Sendable {
  let shape: DeltaNetShape
  let rule: DeltaRule
  let mixed: LinearWeights  // [2k + v x hidden]
  let gate: LinearWeights  // [v x hidden]
  let beta: LinearWeights  // [value heads x hidden]
  let decay: LinearWeights  // [value heads x hidden]
  let convolution: CausalConvolution
  let decayBias: AlignedBuffer<Float>  // [value heads]
  /// -exp(A_log).
  let decayFactor: AlignedBuffer<Float>  // [value heads]
  let norm: RMSNormWeights  // [dimension]
  let output: LinearWeights  // [hidden x v]

  init(_ loader: WeightLoader, _ prefix: String, hidden: Int, shape: DeltaNetShape) throws {
    self.shape = shape
    rule = shape.rule
    mixed = try LinearWeights(loader, prefix + "attn_qkv", outputs: shape.channels, inputs: hidden)
    gate = try LinearWeights(loader, prefix + "attn_gate", outputs: shape.valueWidth, inputs: hidden)
    beta = try LinearWeights(loader, prefix + "ssm_beta", outputs: shape.valueHeads, inputs: hidden)
    decay = try LinearWeights(loader, prefix + "ssm_alpha", outputs: shape.valueHeads, inputs: hidden)
    convolution = CausalConvolution(
      taps: shape.taps, channels: shape.channels,
      weights: try loader.table(prefix + "ssm_conv1d.weight", rows: shape.channels, columns: shape.taps))
    decayBias = try loader.vector(prefix + "ssm_dt.bias", count: shape.valueHeads)
    decayFactor = try loader.vector(prefix + "ssm_a", count: shape.valueHeads)
    guard decayFactor.buffer.allSatisfy({ $0.isFinite && $0 <= 0 }) else {
      throw ModelError(
        .badValue, loader.file.subject, "tensor '\(prefix)ssm_a' holds a number above 0: states would grow")
    }
    norm = try RMSNormWeights(loader, prefix + "ssm_norm", shape.dimension, epsilon: shape.epsilon)
    output = try LinearWeights(loader, prefix + "ssm_out", outputs: hidden, inputs: shape.valueWidth)
  }

  /// target += Wo (norm(delta rule(convolution(Wqkv n), g, beta)) * silu(Wz n)), with g = a softplus(Wa n + bias) and
  /// beta = sigmoid(Wb n). All rows enter the state; only the rows `outputs` are wanted.
  /// - Parameters: normed: n, [rows x hidden]; target: [outputs x hidden].
  func run(
    _ normed: MatrixView<Float>, _ states: RecurrentStates, outputs: Range<Int>, into target: MatrixView<Float>,
    _ compute: Compute
  ) {
    let rows = normed.rows
    let qkv = compute.view(.query, rows: rows, columns: shape.channels)
    let z = compute.view(.gate, rows: rows, columns: shape.valueWidth)
    let g = compute.view(.key, rows: rows, columns: shape.valueHeads)
    let b = compute.view(.value, rows: rows, columns: shape.valueHeads)
    let out = compute.view(.mixed, rows: rows, columns: shape.valueWidth)
    timed("text.qkvz", products(rows, mixed.weight, gate.weight, beta.weight, decay.weight)) {
      compute.matmul.load(normed)
      compute.matmul.multiply([
        mixed.product(into: qkv), gate.product(into: z), beta.product(into: b), decay.product(into: g),
      ])
    }
    timed("text.gates") {
      compute.tensors.deltaGates(decay: g, beta: b, a: decayFactor.pointer, bias: decayBias.pointer)
    }
    let width = shape.keyWidth
    states.forEach(rows) { state, part in
      let own = qkv.slice(rows: part)
      timed("text.convolution") {
        convolution.run(own, state: state.values.pointer, activation: .silu, into: own, ops: compute.tensors)
      }
      timed("text.delta", MeasuredWork(operations: rule.operations(rows: part.count))) {
        rule.run(
          queries: own.slice(columns: 0..<width), keys: own.slice(columns: width..<2 * width),
          values: own.slice(columns: 2 * width..<shape.channels), decay: g.slice(rows: part),
          beta: b.slice(rows: part), state: state.values.pointer + shape.ruleOffset, into: out.slice(rows: part),
          scratch: compute.delta, ops: compute.tensors)
      }
    }
    let (wanted, gates) = (out.slice(rows: outputs), z.slice(rows: outputs))
    timed("text.gating") {
      norm.applyToHeads(wanted, compute)
      compute.tensors.siluMultiply(gate: gates, up: wanted)
    }
    timed("text.output", products(outputs.count, output.weight)) {
      compute.matmul.load(gates)
      output.multiply(into: target, accumulate: true, compute)
    }
  }
}
