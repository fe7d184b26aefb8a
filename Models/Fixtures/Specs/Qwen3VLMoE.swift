/// Qwen3-VL's mixtures of experts: its vision part beside a text model with Qwen3's mixtures.
package enum Qwen3VLMoE: FixtureFamily {
  package static let specs = [
    // Planes behind two of three layers.
    FixtureSpec(
      name: "qwen3vlmoe-a", seed: 81, family: Qwen3VLMoE.self,
      text: .init(
        layers: 3, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 5_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [6, 5, 5], planes: 2,
        experts: .init(count: 8, used: 3, feedForward: 256)),
      vision: .init(
        imageSize: 96, patchSize: 16, width: 128, heads: 4, feedForward: 256, layers: 3, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, deepStack: [0, 2]))
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    Qwen3VL.vocabulary(minimumCount: minimumCount)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries {
    text.metadata("qwen3vlmoe") + [("qwen3vlmoe.n_deepstack_layers", .uint32(UInt32(text.planes)))]
  }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .queryKeyNorms)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries { Qwen3VL.visionMetadata(spec) }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] { Qwen3VL.visionTensors(spec) }

  /// config.json of Qwen/Qwen3-VL-30B-A3B-Instruct.
  package static let published = [
    FixtureSpec(
      name: "qwen3-vl-30b-a3b", seed: 1, family: Qwen3VLMoE.self,
      text: .init(
        layers: 48, width: 2048, heads: 32, kvHeads: 4, headSize: 128, feedForward: 6144, ropeBase: 5_000_000,
        contextLength: 262_144, epsilon: 1e-6, ropeSections: [24, 20, 20], planes: 3,
        experts: .init(count: 128, used: 8, feedForward: 768)),
      vision: .init(
        imageSize: 768, patchSize: 16, width: 1152, heads: 16, feedForward: 4304, layers: 27, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, deepStack: [8, 16, 24]),
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  ]
}
