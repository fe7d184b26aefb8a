import OccamGGUF

/// InternVL 2.5 and 3: a Qwen2 text model, InternViT over tiles and an overview, 2 x 2 patches a token, a norm and two
/// matrices. Keys and names: llama.cpp, conversion/internvl.py.
package enum InternVL: FixtureFamily {
  package static let specs = [
    // K-quants in the text model; 16 tokens a tile, 12 tiles at most.
    FixtureSpec(
      name: "internvl-a", seed: 61, family: InternVL.self,
      text: .init(
        layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6),
      vision: vision(imageSize: 64, patchSize: 8, width: 128, heads: 4, feedForward: 256, layers: 3))
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, more: specialTokens, template: template)
  }

  static let specialTokens = ["<img>", "</img>", "<IMG_CONTEXT>"]

  /// ChatML that knows image parts, as files with transformers' template have it.
  private static let template = """
    {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
    {% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
    {% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}\
    {% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("qwen2") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .biases)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    let vision = spec.vision
    var entries =
      vision.metadata(projector: "internvl", textWidth: spec.text.width, pixels: .imageNet) + [
        ("clip.vision.projector.scale_factor", .uint32(UInt32(vision.merge)))
      ]
    if let tiles = vision.tiles {
      entries += [
        ("clip.vision.preproc_min_tiles", .uint32(UInt32(tiles.lowerBound))),
        ("clip.vision.preproc_max_tiles", .uint32(UInt32(tiles.upperBound))),
      ]
    }
    return entries
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    let (vision, width) = (spec.vision, spec.text.width)
    let merged = vision.merge * vision.merge * vision.width
    return vision.internViTTensors() + [
      .norm("mm.model.mlp.0.weight", merged),
      .bias("mm.model.mlp.0.bias", merged),
      .matrix("mm.model.mlp.1.weight", merged, width, .visionMatrix),
      .bias("mm.model.mlp.1.bias", width),
      .matrix("mm.model.mlp.3.weight", width, width, .visionMatrix, gain: 1.2),
      .bias("mm.model.mlp.3.bias", width),
    ]
  }

  static func vision(
    imageSize: Int, patchSize: Int, width: Int, heads: Int, feedForward: Int, layers: Int,
    tiles: ClosedRange<Int>? = 1...12, normsAreRMS: Bool = false
  ) -> FixtureSpec.Vision {
    FixtureSpec.Vision(
      imageSize: imageSize, patchSize: patchSize, width: width, heads: heads, feedForward: feedForward, layers: layers,
      activation: .gelu, epsilon: 1e-6, merge: 2, tiles: tiles, hasLayerScales: true, normsAreRMS: normsAreRMS)
  }

  // MARK: Published shapes

  /// OpenGVLab/InternViT-300M-448px-V2_5.
  static let internViT = vision(imageSize: 448, patchSize: 14, width: 1024, heads: 16, feedForward: 4096, layers: 24)

  /// config.json of OpenGVLab/InternVL3-1B and InternVL3-2B. Their text models' outputs are not tied, unlike Qwen's own.
  package static let published = [
    shape(
      "internvl3-1b", InternVL.self,
      .init(
        layers: 24, width: 896, heads: 14, kvHeads: 2, headSize: 64, feedForward: 4864, ropeBase: 1_000_000,
        contextLength: 32_768, epsilon: 1e-6), vocabulary: 151_674),
    shape(
      "internvl3-2b", InternVL.self,
      .init(
        layers: 28, width: 1536, heads: 12, kvHeads: 2, headSize: 128, feedForward: 8960, ropeBase: 1_000_000,
        contextLength: 32_768, epsilon: 1e-6), vocabulary: 151_674),
  ]

  static func shape(
    _ name: String, _ family: any FixtureFamily.Type, _ text: FixtureSpec.Text, vocabulary: Int
  ) -> FixtureSpec {
    FixtureSpec(
      name: name, seed: 1, family: family, text: text, vision: internViT,
      vocabulary: .builtIn(minimumCount: vocabulary), isForTimingOnly: true)
  }
}

/// InternVL 3.5: the same beside a Qwen3 text model.
package enum InternVL3_5: FixtureFamily {
  package static let specs = [
    // The large encoder's norms; widths that hold no K-quant, heads of 24 and 40, 9 tokens a tile, 2 to 6 tiles.
    FixtureSpec(
      name: "internvl-b", seed: 62, family: InternVL3_5.self,
      text: .init(
        layers: 3, width: 160, heads: 4, kvHeads: 2, headSize: 48, feedForward: 416, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6),
      vision: InternVL.vision(
        imageSize: 84, patchSize: 14, width: 96, heads: 4, feedForward: 160, layers: 2, tiles: 2...6,
        normsAreRMS: true))
  ]

  /// Files made from the original repositories have ChatML that knows text alone.
  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, more: InternVL.specialTokens, template: Qwen3.template)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("qwen3") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .queryKeyNorms)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries { InternVL.visionMetadata(spec) }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] { InternVL.visionTensors(spec) }

  /// config.json of OpenGVLab/InternVL3_5-1B.
  package static let published = [
    InternVL.shape(
      "internvl3.5-1b", InternVL3_5.self,
      .init(
        layers: 28, width: 1024, heads: 16, kvHeads: 8, headSize: 128, feedForward: 3072, ropeBase: 1_000_000,
        contextLength: 40_960, epsilon: 1e-6), vocabulary: 151_936)
  ]
}
