/// Qwen3.5's mixtures of experts: Qwen3.5 but for the feed-forward networks, which have a shared expert with a gate. Names of
/// tensors: llama.cpp, src/models/qwen35moe.cpp.
package enum Qwen35MoE: FixtureFamily {
  package static let specs = [
    // Five experts, and a shared one of another width; every second layer attends.
    FixtureSpec(
      name: "qwen35moe-a", seed: 83, family: Qwen35MoE.self,
      text: .init(
        layers: 4, width: 256, heads: 4, kvHeads: 2, headSize: 64, feedForward: 512, ropeBase: 10_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [3, 3, 2],
        delta: .init(keyHeads: 4, valueHeads: 8, headSize: 32, interval: 2, rotated: 16),
        experts: .init(count: 5, used: 2, feedForward: 256, shared: 512)),
      vision: .init(
        imageSize: 64, patchSize: 16, width: 64, heads: 2, feedForward: 128, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2))
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    Qwen35.vocabulary(minimumCount: minimumCount)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { Qwen35.metadata(text, "qwen35moe") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    Qwen35.textTensors(text, vocabulary)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries { Qwen3VL.visionMetadata(spec) }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] { Qwen3VL.visionTensors(spec) }

  /// config.json of Qwen/Qwen3.5-35B-A3B.
  package static let published = [
    FixtureSpec(
      name: "qwen3.5-35b-a3b", seed: 1, family: Qwen35MoE.self,
      text: .init(
        layers: 40, width: 2048, heads: 16, kvHeads: 2, headSize: 256, feedForward: 512, ropeBase: 10_000_000,
        contextLength: 262_144, epsilon: 1e-6, ropeSections: [11, 11, 10],
        delta: .init(keyHeads: 16, valueHeads: 32, headSize: 128, rotated: 64),
        experts: .init(count: 256, used: 8, feedForward: 512, shared: 512)),
      vision: .init(
        imageSize: 768, patchSize: 16, width: 1152, heads: 16, feedForward: 4304, layers: 27, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2),
      vocabulary: .builtIn(minimumCount: 248_320), isForTimingOnly: true)
  ]
}
