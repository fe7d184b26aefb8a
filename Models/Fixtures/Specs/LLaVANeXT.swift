import OccamGGUF

/// LLaVA-NeXT (1.6): LLaVA-1.5's parts over tiles of the size nearest to the photo's, cut to the photo and with a learned
/// line break behind each row of patches. Keys and names: llama.cpp, tools/mtmd/legacy-models.
package enum LLaVANeXT: FixtureFamily {
  package static let specs = [
    // 16 patches a tile, GQA 8/2, K-quants in the text model.
    FixtureSpec(
      name: "next-a", seed: 41, family: LLaVANeXT.self,
      text: .init(
        layers: 3, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096),
      vision: .init(
        imageSize: 56, width: 128, heads: 4, feedForward: 256, layers: 3, featureLayer: 3,
        pinpoints: sizes(side: 56))),
    // 25 patches a tile, head sizes 48 and 40, widths that hold no K-quant, the published files' exchanged names.
    FixtureSpec(
      name: "next-b", seed: 42, family: LLaVANeXT.self,
      text: .init(
        layers: 2, width: 192, heads: 4, kvHeads: 4, headSize: 48, feedForward: 352, contextLength: 4096),
      vision: .init(
        imageSize: 70, width: 80, heads: 2, feedForward: 224, layers: 2, featureLayer: 2,
        hasSwappedFeedForwardNames: true, pinpoints: sizes(side: 70))),
  ]

  /// The published models' five, for a tile of that side: (height, width) in pixels.
  private static func sizes(side: Int) -> [[Int]] {
    [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]].map { $0.map { $0 * side } }
  }

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    LLaVA.vocabulary(minimumCount: minimumCount)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { LLaVA.textMetadata(text) }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    LLaVA.textTensors(text, vocabulary)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    let pinpoints = spec.vision.pinpoints.joined().map { Int32($0) }
    return LLaVA.visionMetadata(spec) + [
      ("clip.vision.image_grid_pinpoints", .array(.int32(pinpoints))),
      ("clip.vision.mm_patch_merge_type", .string("spatial_unpad")),
    ]
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    LLaVA.visionTensors(spec) + [.noise("model.image_newline", [spec.text.width], .vector, deviation: 1)]
  }

  // MARK: Published shapes

  private static let vision = {
    var vision = LLaVA.clipLarge
    vision.pinpoints = sizes(side: 336)
    return vision
  }()

  private static func shape(_ name: String, _ text: FixtureSpec.Text) -> FixtureSpec {
    FixtureSpec(
      name: name, seed: 1, family: LLaVANeXT.self, text: text, vision: vision,
      vocabulary: .builtIn(minimumCount: 32_000), isForTimingOnly: true)
  }

  /// config.json of liuhaotian/llava-v1.6-vicuna-7b and llava-v1.6-mistral-7b (text: mistralai/Mistral-7B-Instruct-v0.2).
  package static let published = [
    shape("llava-next-7b-vicuna", LLaVA.vicuna7B),
    shape(
      "llava-next-7b-mistral",
      .init(
        layers: 32, width: 4096, heads: 32, kvHeads: 8, headSize: 128, feedForward: 14_336, ropeBase: 1_000_000,
        contextLength: 32_768)),
  ]
}
