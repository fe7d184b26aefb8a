import OccamCore
import OccamTensors

/// One layer of a `llama` decoder.
struct LlamaLayer: Sendable {
  let attentionNorm: RMSNormWeights
  let attention: SelfAttention
  let feedForwardNorm: RMSNormWeights
  let feedForward: FeedForward

  init(_ loader: WeightLoader, _ index: Int, _ configuration: LlamaConfiguration, _ rotary: RotaryTable) throws {
    let prefix = "blk.\(index)."
    let shape = configuration.shape
    let epsilon = configuration.rmsEpsilon
    attentionNorm = try RMSNormWeights(loader, prefix + "attn_norm", shape.hidden, epsilon: epsilon)
    attention = try SelfAttention(
      loader, prefix, hidden: shape.hidden, heads: shape.heads, cache: configuration.cache, epsilon: epsilon,
      rotary: rotary)
    feedForwardNorm = try RMSNormWeights(loader, prefix + "ffn_norm", shape.hidden, epsilon: epsilon)
    if let experts = shape.experts {
      feedForward = .experts(try ExpertMLP(loader, prefix, hidden: shape.hidden, experts))
    } else {
      feedForward = .dense(
        try GatedMLP(loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, gate: .silu))
    }
  }
}
