import OccamCore
import OccamMatmul

/// Weights of one decoder layer. Shapes are [outputs x inputs]; q = heads * headDimension, kv = kvHeads * headDimension.
struct LlamaLayer: Sendable {
  let attentionNorm: AlignedBuffer<Float>  // [hidden]
  let query: PackedMatrix  // [q x hidden]
  let key: PackedMatrix  // [kv x hidden]
  let value: PackedMatrix  // [kv x hidden]
  let output: PackedMatrix  // [hidden x q]
  let queryBias: AlignedBuffer<Float>?
  let keyBias: AlignedBuffer<Float>?
  let valueBias: AlignedBuffer<Float>?
  let outputBias: AlignedBuffer<Float>?
  let feedForwardNorm: AlignedBuffer<Float>  // [hidden]
  let gate: PackedMatrix  // [feedForward x hidden]
  let up: PackedMatrix  // [feedForward x hidden]
  let down: PackedMatrix  // [hidden x feedForward]

  init(_ loader: WeightLoader, _ index: Int, _ shape: TextShape) throws {
    let prefix = "blk.\(index)."
    let queries = shape.heads * shape.headDimension
    let keys = shape.kvHeads * shape.headDimension
    attentionNorm = try loader.vector(prefix + "attn_norm.weight", count: shape.hidden)
    query = try loader.matrix(prefix + "attn_q.weight", rows: queries, columns: shape.hidden)
    key = try loader.matrix(prefix + "attn_k.weight", rows: keys, columns: shape.hidden)
    value = try loader.matrix(prefix + "attn_v.weight", rows: keys, columns: shape.hidden)
    output = try loader.matrix(prefix + "attn_output.weight", rows: shape.hidden, columns: queries)
    queryBias = try loader.optionalVector(prefix + "attn_q.bias", count: queries)
    keyBias = try loader.optionalVector(prefix + "attn_k.bias", count: keys)
    valueBias = try loader.optionalVector(prefix + "attn_v.bias", count: keys)
    outputBias = try loader.optionalVector(prefix + "attn_output.bias", count: shape.hidden)
    feedForwardNorm = try loader.vector(prefix + "ffn_norm.weight", count: shape.hidden)
    gate = try loader.matrix(prefix + "ffn_gate.weight", rows: shape.feedForward, columns: shape.hidden)
    up = try loader.matrix(prefix + "ffn_up.weight", rows: shape.feedForward, columns: shape.hidden)
    down = try loader.matrix(prefix + "ffn_down.weight", rows: shape.hidden, columns: shape.feedForward)
  }
}
