import OccamCore
import OccamMatmul
import OccamTensors

/// Self-attention whose result is gated, number by number, by a sigmoid of the layer's input. The file keeps queries and
/// gates as one matrix, head by head a query and a gate.
struct GatedAttention: Sendable {
  let attention: SelfAttention
  let gate: LinearWeights  // [heads * head dimension x hidden]

  init(
    _ loader: WeightLoader, _ prefix: String, hidden: Int, heads: Int, cache: KVCacheShape, epsilon: Float,
    rotary: RotaryTable
  ) throws {
    let parts = try LinearWeights.split(
      loader, prefix + "attn_q", outputs: heads * cache.headDimension, parts: 2, inputs: hidden,
      alternating: cache.headDimension)
    gate = parts[1]
    attention = try SelfAttention(
      loader, prefix, hidden: hidden, heads: heads, cache: cache, epsilon: epsilon, rotary: rotary, query: parts[0])
    for (norm, name) in [(attention.queryNorm, "attn_q_norm"), (attention.keyNorm, "attn_k_norm")] where norm == nil {
      throw ModelError(.missingTensor, loader.file.subject, "tensor '\(prefix)\(name).weight' is missing")
    }
  }

  /// target += Wo (attention(n) * sigmoid(Wg n)); arguments as `SelfAttention.run` has them.
  func run(
    _ normed: MatrixView<Float>, _ input: PassInput, _ caches: LayerCaches, outputs: Range<Int>, scores: ScoreRequest?,
    into target: MatrixView<Float>, _ compute: Compute
  ) {
    let gates = compute.view(.gate, rows: normed.rows, columns: gate.weight.rows)
    let mixed = attention.mix(
      normed, input, caches, outputs: outputs, scores: scores, beside: gate.product(into: gates), compute)
    timed("text.gating") { compute.tensors.sigmoidMultiply(gate: gates.slice(rows: outputs), into: mixed) }
    attention.project(mixed, into: target, accumulate: true, compute)
  }
}
