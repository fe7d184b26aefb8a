import OccamTensors

/// Weights of one encoder layer.
struct ViTLayer: Sendable {
  let norm1: LayerNormWeights
  let attention: EncoderAttention
  let norm2: LayerNormWeights
  let feedForward: PlainFeedForward

  init(_ loader: WeightLoader, _ index: Int, _ configuration: ViTConfiguration) throws {
    let prefix = "v.blk.\(index)."
    let shape = configuration.shape
    norm1 = try LayerNormWeights(loader, prefix + "ln1", shape.hidden)
    attention = try EncoderAttention(loader, prefix, hidden: shape.hidden, heads: shape.heads)
    norm2 = try LayerNormWeights(loader, prefix + "ln2", shape.hidden)
    feedForward = try PlainFeedForward(
      loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, activation: configuration.activation)
  }
}
