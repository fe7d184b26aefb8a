import OccamCore
import OccamTensors

/// Weights of one encoder layer.
struct ViTLayer: Sendable {
  let norm1: Norm
  let attention: EncoderAttention
  let norm2: Norm
  let feedForward: PlainFeedForward

  init(_ loader: WeightLoader, _ index: Int, _ configuration: ViTConfiguration) throws {
    let prefix = "v.blk.\(index)."
    let shape = configuration.shape
    func norm(_ name: String) throws -> Norm {
      configuration.normsAreRMS
        ? .rms(try RMSNormWeights(loader, prefix + name, shape.hidden, epsilon: configuration.epsilon))
        : .layer(try LayerNormWeights(loader, prefix + name, shape.hidden), epsilon: configuration.epsilon)
    }
    func scale(_ name: String) throws -> AlignedBuffer<Float>? {
      configuration.hasLayerScales ? try loader.vector(prefix + name + ".weight", count: shape.hidden) : nil
    }
    norm1 = try norm("ln1")
    attention = try EncoderAttention(
      loader, prefix, hidden: shape.hidden, heads: shape.heads, normEpsilon: configuration.epsilon,
      scale: try scale("ls1"))
    norm2 = try norm("ln2")
    feedForward = try PlainFeedForward(
      loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, activation: configuration.activation,
      scale: try scale("ls2"))
  }
}
