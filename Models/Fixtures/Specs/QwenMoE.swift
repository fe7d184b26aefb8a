/// Qwen3's mixtures of experts, text only: Qwen3 but for the feed-forward networks.
package enum Qwen3MoE: FixtureFamily {
  package static let specs = [
    FixtureSpec(
      name: "qwen3moe-text", seed: 53, family: Qwen3MoE.self,
      text: .init(
        layers: 3, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, experts: .init(count: 8, used: 3, feedForward: 256))),
    // Rows that hold no whole panel, and experts that hold no whole block; an odd number of them.
    FixtureSpec(
      name: "qwen3moe-odd", seed: 56, family: Qwen3MoE.self,
      text: .init(
        layers: 2, width: 160, heads: 6, kvHeads: 3, headSize: 48, feedForward: 240, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, experts: .init(count: 5, used: 3, feedForward: 72))),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    Qwen3.vocabulary(minimumCount: minimumCount)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("qwen3moe") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .queryKeyNorms)
  }

  /// config.json of Qwen/Qwen3-30B-A3B.
  package static let published = [
    FixtureSpec(
      name: "qwen3-30b-a3b", seed: 1, family: Qwen3MoE.self,
      text: .init(
        layers: 48, width: 2048, heads: 32, kvHeads: 4, headSize: 128, feedForward: 6144, ropeBase: 1_000_000,
        contextLength: 40_960, epsilon: 1e-6, experts: .init(count: 128, used: 8, feedForward: 768)),
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  ]
}
