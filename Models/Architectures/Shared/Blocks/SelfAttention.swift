import OccamCore
import OccamMatmul
import OccamTensors

/// Self-attention of a text decoder's layer: grouped queries, rotary positions, a KV cache; biases and norms of queries
/// and keys where the file has them. Shapes are [outputs x inputs]; q = heads * head dimension, kv = KV heads * head
/// dimension.
struct SelfAttention: Sendable {
  let heads: Int
  let cache: KVCacheShape
  /// The scores' factor.
  let scale: Float
  let rotary: RotaryTable
  let query: LinearWeights  // [q x hidden]
  let key: LinearWeights  // [kv x hidden]
  let value: LinearWeights  // [kv x hidden]
  let output: LinearWeights  // [hidden x q]
  let queryNorm: RMSNormWeights?  // [head dimension]
  let keyNorm: RMSNormWeights?  // [head dimension]

  /// - Parameters:
  ///   - prefix: of the layer's tensors, "blk.0.".
  ///   - scale: nil: 1 / sqrt(head dimension).
  ///   - epsilon: of the norms of queries and keys.
  ///   - query: its layer, where the file keeps it with something else; nil: "attn_q".
  init(
    _ loader: WeightLoader, _ prefix: String, hidden: Int, heads: Int, cache: KVCacheShape, scale: Float? = nil,
    epsilon: Float, rotary: RotaryTable, query: LinearWeights? = nil
  ) throws {
    self.heads = heads
    self.cache = cache
    self.scale = scale ?? 1 / Float(cache.headDimension).squareRoot()
    self.rotary = rotary
    let queries = heads * cache.headDimension
    let keys = cache.kvHeads * cache.headDimension
    self.query = try query ?? LinearWeights(loader, prefix + "attn_q", outputs: queries, inputs: hidden)
    key = try LinearWeights(loader, prefix + "attn_k", outputs: keys, inputs: hidden)
    value = try LinearWeights(loader, prefix + "attn_v", outputs: keys, inputs: hidden)
    output = try LinearWeights(loader, prefix + "attn_output", outputs: hidden, inputs: queries)
    queryNorm = try RMSNormWeights(optional: loader, prefix + "attn_q_norm", cache.headDimension, epsilon: epsilon)
    keyNorm = try RMSNormWeights(optional: loader, prefix + "attn_k_norm", cache.headDimension, epsilon: epsilon)
  }

  /// target (+)= Wo attention(RoPE(norm(Wq n)), RoPE(norm(Wk n)), Wv n). All rows are stored; only the rows `outputs`
  /// attend.
  /// - Parameters:
  ///   - normed: n, [rows x hidden].
  ///   - input: positions, and which rows see which.
  ///   - scores: attention weights wanted of this layer; the rows are those of `outputs`.
  ///   - target: [outputs x hidden].
  func run(
    _ normed: MatrixView<Float>, _ input: PassInput, _ caches: LayerCaches, outputs: Range<Int>, scores: ScoreRequest?,
    into target: MatrixView<Float>, accumulate: Bool, _ compute: Compute
  ) {
    let mixed = mix(normed, input, caches, outputs: outputs, scores: scores, compute)
    project(mixed, into: target, accumulate: accumulate, compute)
  }

  /// All but Wo: [outputs x q], until the next call.
  /// - Parameter beside: a product of n to be computed with queries, keys and values.
  func mix(
    _ normed: MatrixView<Float>, _ input: PassInput, _ caches: LayerCaches, outputs: Range<Int>, scores: ScoreRequest?,
    beside: MatmulProduct? = nil, _ compute: Compute
  ) -> MatrixView<Float> {
    let rows = normed.rows
    let width = self.cache.headDimension
    let q = compute.view(.query, rows: rows, columns: heads * width)
    let k = compute.view(.key, rows: rows, columns: self.cache.kvHeads * width)
    let v = compute.view(.value, rows: rows, columns: self.cache.kvHeads * width)
    let mixed = compute.view(.mixed, rows: rows, columns: heads * width)
    timed("text.qkv", products(rows, query.weight, key.weight, value.weight)) {
      compute.matmul.load(normed)
      if let beside {
        compute.matmul.multiply([query.product(into: q), key.product(into: k), value.product(into: v), beside])
      } else {
        compute.matmul.multiply([query.product(into: q), key.product(into: k), value.product(into: v)])
      }
    }
    timed("text.rope") {
      queryNorm?.applyToHeads(q, compute)
      keyNorm?.applyToHeads(k, compute)
      guard let positions = input.positions.baseAddress else { return }
      compute.tensors.rope(q, heads: heads, headDimension: width, positions: positions, table: rotary)
      compute.tensors.rope(k, heads: self.cache.kvHeads, headDimension: width, positions: positions, table: rotary)
    }
    caches.forEach(rows) { cache, part in
      let own = input.rows(part)
      let wanted = outputs.clamped(to: part)
      let firstEntry = cache.count
      timed("text.store") {
        cache.append(
          keys: k.slice(rows: part), values: v.slice(rows: part), positions: own.positions.baseAddress,
          ops: compute.tensors)
      }
      let visibility = own.visibility(in: cache, firstEntry: firstEntry, compute)
        .rows(from: wanted.lowerBound - part.lowerBound)
      timed("text.attention", self.cache.work(wanted, firstEntry: firstEntry, heads: heads)) {
        compute.tensors.attend(
          q.slice(rows: wanted), cache: cache, visibility: visibility, heads: heads, scale: scale,
          into: mixed.slice(rows: wanted), scratch: compute.attention, scores: scores)
      }
    }
    return mixed.slice(rows: outputs)
  }

  /// target (+)= Wo mixed.
  func project(_ mixed: MatrixView<Float>, into target: MatrixView<Float>, accumulate: Bool, _ compute: Compute) {
    timed("text.output", products(mixed.rows, output.weight)) {
      compute.matmul.load(mixed)
      output.multiply(into: target, accumulate: accumulate, compute)
    }
  }
}
