import OccamGGUF

/// SmolVLM (Idefics3): a `llama` text model with SmolLM2's byte-pair vocabulary, SigLIP over square tiles and an overview,
/// pixel shuffle and one matrix between them. Keys and names: llama.cpp, conversion/smolvlm.py and tools/mtmd.
package enum SmolVLM: FixtureFamily {
  package static let specs = [
    // Every row of the text model a multiple of 256 (K-quants); GQA 8/2; 16 tokens a tile, up to 3 x 3 tiles.
    FixtureSpec(
      name: "smolvlm-a", seed: 21, family: SmolVLM.self,
      text: .init(
        layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 100_000,
        contextLength: 4096),
      vision: .init(
        imageSize: 64, patchSize: 8, width: 128, heads: 4, feedForward: 256, layers: 3, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, longestEdge: 192)),
    // Widths that hold no K-quant, head sizes 40 and 24, tied embeddings; 3 x 3 patches a token, 4 tokens a tile, up to
    // 4 x 4 tiles.
    FixtureSpec(
      name: "smolvlm-b", seed: 22, family: SmolVLM.self,
      text: .init(
        layers: 3, width: 160, heads: 4, kvHeads: 2, headSize: 40, feedForward: 416, ropeBase: 130_000,
        contextLength: 4096, isTied: true),
      vision: .init(
        imageSize: 84, patchSize: 14, width: 96, heads: 4, feedForward: 160, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 3, longestEdge: 336)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    // SmolLM2 puts its own in front; the vision tokens were added behind.
    let rows = (1...6).flatMap { row in (1...6).map { "<row_\(row)_col_\($0)>" } }
    let vocabulary = BytePairVocabulary(
      leading: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
      trailing: ["<global-img>"] + rows + ["<fake_token_around_image>", "<image>", "<end_of_utterance>"],
      minimumCount: minimumCount)
    return VocabularyMetadata(
      vocabulary, pre: "smollm", beginning: "<|im_start|>", end: "<end_of_utterance>", padding: "<|im_end|>",
      template: template)
  }

  /// Says what the published template says: no line break behind a role, a colon without space before an image.
  private static let template = """
    <|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}\
    {% if message['content'] is not string and message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}\
    {% endif %}{% if message['content'] is string %}{{ message['content'] }}{% else %}\
    {% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}\
    {% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}{% endif %}<end_of_utterance>
    {% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("llama") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    let vision = spec.vision
    return vision.metadata(projector: "idefics3", textWidth: spec.text.width, pixels: .half) + [
      ("clip.vision.projector.scale_factor", .uint32(UInt32(vision.merge))),
      ("clip.vision.preproc_image_size", .uint32(UInt32(vision.longestEdge ?? vision.imageSize))),
    ]
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    let vision = spec.vision
    let merged = vision.merge * vision.merge * vision.width
    return vision.sigLIPTensors() + [
      .matrix("mm.model.fc.weight", merged, spec.text.width, .visionMatrix, gain: 0.8)
    ]
  }

  // MARK: Published shapes

  /// google/siglip-base-patch16-512.
  private static let sigLIPBase = FixtureSpec.Vision(
    imageSize: 512, patchSize: 16, width: 768, heads: 12, feedForward: 3072, layers: 12, hasClassToken: false,
    activation: .gelu, epsilon: 1e-6, merge: 4, longestEdge: 2048)

  /// google/siglip-so400m-patch14-384.
  private static let sigLIPLarge = FixtureSpec.Vision(
    imageSize: 384, width: 1152, heads: 16, feedForward: 4304, layers: 27, hasClassToken: false, activation: .gelu,
    epsilon: 1e-6, merge: 3, longestEdge: 1536)

  private static func shape(
    _ name: String, _ text: FixtureSpec.Text, _ vision: FixtureSpec.Vision, vocabulary: Int
  ) -> FixtureSpec {
    FixtureSpec(
      name: name, seed: 1, family: SmolVLM.self, text: text, vision: vision,
      vocabulary: .builtIn(minimumCount: vocabulary), isForTimingOnly: true)
  }

  /// Text and vision sections of config.json of HuggingFaceTB/SmolVLM-256M-Instruct, SmolVLM-500M-Instruct,
  /// SmolVLM-Instruct and SmolVLM2-2.2B-Instruct.
  package static let published = [
    shape(
      "smolvlm-256m",
      .init(
        layers: 30, width: 576, heads: 9, kvHeads: 3, headSize: 64, feedForward: 1536, ropeBase: 100_000,
        contextLength: 8192), sigLIPBase, vocabulary: 49_280),
    shape(
      "smolvlm-500m",
      .init(
        layers: 32, width: 960, heads: 15, kvHeads: 5, headSize: 64, feedForward: 2560, ropeBase: 100_000,
        contextLength: 8192), sigLIPBase, vocabulary: 49_280),
    shape(
      "smolvlm-2.2b",
      .init(
        layers: 24, width: 2048, heads: 32, kvHeads: 32, headSize: 64, feedForward: 8192, ropeBase: 273_768,
        contextLength: 16_384), sigLIPLarge, vocabulary: 49_155),
    shape(
      "smolvlm2-2.2b",
      .init(
        layers: 24, width: 2048, heads: 32, kvHeads: 32, headSize: 64, feedForward: 8192, ropeBase: 130_000,
        contextLength: 8192), sigLIPLarge, vocabulary: 49_280),
  ]
}
