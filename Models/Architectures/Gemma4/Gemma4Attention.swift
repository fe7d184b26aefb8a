import OccamCore
import OccamMatmul
import OccamTensors

/// Attention of a Gemma 4 layer: norms of queries, keys and values, the values' without weight; scores are not scaled. A
/// layer that shares has queries alone and reads the entries of an earlier one. Without a value matrix values are the keys
/// before norm and rotation. q = heads * head dimension, kv = KV heads * head dimension.
struct Gemma4Attention: Sendable {
  /// What a layer needs to store entries of its own.
  struct Entries: Sendable {
    let key: PackedMatrix  // [kv x hidden]
    let value: PackedMatrix?  // [kv x hidden]
    let keyNorm: RMSNormWeights  // [head dimension]
    let valueNorm: RMSNormWeights  // [head dimension], ones
  }

  let heads: Int
  let cache: KVCacheShape
  let rotary: RotaryTable
  let runs: PassInput.RunReach
  let query: PackedMatrix  // [q x hidden]
  let queryNorm: RMSNormWeights  // [head dimension]
  /// nil: shared.
  let entries: Entries?
  let output: PackedMatrix  // [hidden x q]

  init(
    _ loader: WeightLoader, _ prefix: String, _ configuration: Gemma4Configuration, layer: Int, cache: KVCacheShape,
    rotary: RotaryTable
  ) throws {
    let shape = configuration.shape
    let (hidden, width) = (shape.hidden, cache.headDimension)
    heads = shape.heads
    self.cache = cache
    self.rotary = rotary
    // Pictures are seen in both directions within windows alone.
    runs = cache.window == nil ? .causal : .window
    query = try loader.matrix(prefix + "attn_q.weight", rows: heads * width, columns: hidden)
    queryNorm = try RMSNormWeights(loader, prefix + "attn_q_norm", width, epsilon: configuration.epsilon)
    if case .shared = shape.states[layer] {
      entries = nil
    } else {
      let rows = cache.kvHeads * width
      let name = prefix + "attn_v.weight"
      entries = Entries(
        key: try loader.matrix(prefix + "attn_k.weight", rows: rows, columns: hidden),
        value: loader.has(name) ? try loader.matrix(name, rows: rows, columns: hidden) : nil,
        keyNorm: try RMSNormWeights(loader, prefix + "attn_k_norm", width, epsilon: configuration.epsilon),
        valueNorm: RMSNormWeights(ones: width, epsilon: configuration.epsilon))
    }
    output = try loader.matrix(prefix + "attn_output.weight", rows: hidden, columns: heads * width)
  }

  /// target = Wo attention(...). All rows are stored; only the rows `outputs` attend.
  /// - Parameters: as of `SelfAttention.run`.
  func run(
    _ normed: MatrixView<Float>, _ input: PassInput, _ caches: LayerCaches, outputs: Range<Int>, scores: ScoreRequest?,
    into target: MatrixView<Float>, _ compute: Compute
  ) {
    let (rows, width) = (normed.rows, self.cache.headDimension)
    let q = compute.view(.query, rows: rows, columns: heads * width)
    let mixed = compute.view(.mixed, rows: rows, columns: heads * width)
    guard let positions = input.positions.baseAddress else { return }
    var stored: (keys: MatrixView<Float>, values: MatrixView<Float>)?
    if let entries {
      stored = multiply(entries, normed, q, positions, compute)
    } else {
      timed("text.qkv", products(rows, query)) {
        compute.matmul.load(normed)
        compute.matmul.multiply(by: query, into: q)
      }
    }
    timed("text.rope") {
      queryNorm.applyToHeads(q, compute)
      compute.tensors.rope(q, heads: heads, headDimension: width, positions: positions, table: rotary)
    }
    caches.forEach(rows) { cache, part in
      let own = input.rows(part)
      let wanted = outputs.clamped(to: part)
      let firstEntry = cache.count
      if let stored {
        timed("text.store") {
          cache.append(
            keys: stored.keys.slice(rows: part), values: stored.values.slice(rows: part),
            positions: own.positions.baseAddress, ops: compute.tensors)
        }
      }
      let visibility =
        stored == nil
        ? own.sharedVisibility(in: cache, runs: runs, compute)
        : own.visibility(in: cache, firstEntry: firstEntry, runs: runs, compute)
      timed("text.attention", self.cache.work(wanted, firstEntry: firstEntry, heads: heads)) {
        compute.tensors.attend(
          q.slice(rows: wanted), cache: cache, visibility: visibility.rows(from: wanted.lowerBound - part.lowerBound),
          heads: heads, scale: 1, into: mixed.slice(rows: wanted), scratch: compute.attention, scores: scores)
      }
    }
    timed("text.output", products(outputs.count, output)) {
      compute.matmul.load(mixed.slice(rows: outputs))
      compute.matmul.multiply(by: output, into: target)
    }
  }

  /// Queries, keys and values of all rows; of keys and values norm and rotation, too.
  private func multiply(
    _ entries: Entries, _ normed: MatrixView<Float>, _ q: MatrixView<Float>, _ positions: UnsafePointer<Position>,
    _ compute: Compute
  ) -> (keys: MatrixView<Float>, values: MatrixView<Float>) {
    let rows = normed.rows
    let columns = self.cache.kvHeads * self.cache.headDimension
    let k = compute.view(.key, rows: rows, columns: columns)
    let v = compute.view(.value, rows: rows, columns: columns)
    compute.matmul.load(normed)
    if let value = entries.value {
      timed("text.qkv", products(rows, query, entries.key, value)) {
        compute.matmul.multiply([
          MatmulProduct(query, into: q), MatmulProduct(entries.key, into: k), MatmulProduct(value, into: v),
        ])
      }
    } else {
      timed("text.qkv", products(rows, query, entries.key)) {
        compute.matmul.multiply([MatmulProduct(query, into: q), MatmulProduct(entries.key, into: k)])
        v.pointer.update(from: k.pointer, count: rows * columns)
      }
    }
    timed("text.rope") {
      entries.keyNorm.applyToHeads(k, compute)
      entries.valueNorm.applyToHeads(v, compute)
      compute.tensors.rope(
        k, heads: self.cache.kvHeads, headDimension: self.cache.headDimension, positions: positions, table: rotary)
    }
    return (k, v)
  }
}
