import OccamCore
import OccamMatmul

/// A LayerNorm's weight and bias, [hidden] each.
struct LayerNormWeights: Sendable {
  let weight: AlignedBuffer<Float>
  let bias: AlignedBuffer<Float>

  init(_ loader: WeightLoader, _ name: String, _ count: Int) throws {
    weight = try loader.vector(name + ".weight", count: count)
    bias = try loader.vector(name + ".bias", count: count)
  }

  /// nil where the file holds neither of the two; half a norm is an error.
  init?(optional loader: WeightLoader, _ name: String, _ count: Int) throws {
    guard loader.has(name + ".weight") || loader.has(name + ".bias") else { return nil }
    try self.init(loader, name, count)
  }
}

/// A linear layer [outputs x inputs] with an optional bias [outputs].
struct LinearWeights: Sendable {
  let weight: PackedMatrix
  let bias: AlignedBuffer<Float>?

  init(_ loader: WeightLoader, _ name: String, outputs: Int, inputs: Int) throws {
    weight = try loader.matrix(name + ".weight", rows: outputs, columns: inputs)
    bias = try loader.optionalVector(name + ".bias", count: outputs)
  }
}

/// Weights of one encoder layer.
struct CLIPLayer: Sendable {
  let norm1: LayerNormWeights
  let query: LinearWeights
  let key: LinearWeights
  let value: LinearWeights
  let output: LinearWeights
  let norm2: LayerNormWeights
  let up: LinearWeights  // [feedForward x hidden]
  let down: LinearWeights  // [hidden x feedForward]

  init(_ loader: WeightLoader, _ index: Int, _ shape: VisionShape) throws {
    let prefix = "v.blk.\(index)."
    let hidden = shape.hidden
    norm1 = try LayerNormWeights(loader, prefix + "ln1", hidden)
    query = try LinearWeights(loader, prefix + "attn_q", outputs: hidden, inputs: hidden)
    key = try LinearWeights(loader, prefix + "attn_k", outputs: hidden, inputs: hidden)
    value = try LinearWeights(loader, prefix + "attn_v", outputs: hidden, inputs: hidden)
    output = try LinearWeights(loader, prefix + "attn_out", outputs: hidden, inputs: hidden)
    norm2 = try LayerNormWeights(loader, prefix + "ln2", hidden)
    // Files of the older converter name the two matrices the other way round; the shape tells (llama.cpp does the same:
    // they are swapped iff "down" takes `hidden` inputs).
    let swapped = loader.file.tensor(prefix + "ffn_down.weight")?.dimensions.first == hidden
    up = try LinearWeights(
      loader, prefix + (swapped ? "ffn_down" : "ffn_up"), outputs: shape.feedForward, inputs: hidden)
    down = try LinearWeights(
      loader, prefix + (swapped ? "ffn_up" : "ffn_down"), outputs: hidden, inputs: shape.feedForward)
  }
}
