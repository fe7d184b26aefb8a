import OccamCore
import OccamMatmul

/// Weights of one encoder layer.
struct ViTLayer: Sendable {
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
