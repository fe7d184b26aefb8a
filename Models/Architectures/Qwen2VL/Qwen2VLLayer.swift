import OccamTensors

/// One layer of Qwen2-VL's or Qwen2.5-VL's encoder.
struct Qwen2VLLayer: Sendable {
  let norm1: Norm
  let attention: EncoderAttention
  let norm2: Norm
  let feedForward: any EncoderFeedForward

  init(
    _ loader: WeightLoader, _ index: Int, _ configuration: Qwen2VLConfiguration, _ rotary: RotaryTable
  ) throws {
    let prefix = "v.blk.\(index)."
    let shape = configuration.shape
    norm1 = try configuration.norm(loader, prefix + "ln1")
    attention = try EncoderAttention(loader, prefix, hidden: shape.hidden, heads: shape.heads, rotary: rotary)
    norm2 = try configuration.norm(loader, prefix + "ln2")
    feedForward =
      configuration.isGated
      ? try GatedFeedForward(loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward)
      : try PlainFeedForward(
        loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, activation: configuration.activation)
  }
}
