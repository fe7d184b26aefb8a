import OccamGGUF

/// LLaVA-1.5: a `llama` text model, CLIP with a class token, two matrices between them.
package enum LLaVA: FixtureFamily {
  package static let specs = [
    FixtureSpec.demo, .g1, .g2, .g3, .bench1b, .benchTile,
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    VocabularyMetadata(
      BuiltInVocabulary(minimumCount: minimumCount), beginning: 1, end: 2, unknown: 0, template: vicunaTemplate)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("llama") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    var entries = spec.vision.metadata(projector: "mlp", textWidth: spec.text.width, pixels: .clip)
    if let layer = spec.vision.featureLayer {
      entries.append(("clip.vision.feature_layer", .array(.int32([Int32(layer)]))))
    }
    return entries
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    spec.vision.clipTensors() + spec.vision.twoMatrices(textWidth: spec.text.width)
  }

  /// The Vicuna form of prompt that LLaVA-1.5 was trained with.
  static let vicunaTemplate = """
    {% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + ' ' }}\
    {% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}\
    {% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + '</s>' }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}
    """

  // MARK: Published shapes

  /// openai/clip-vit-large-patch14-336 as LLaVA uses it: 23 of the 24 layers.
  static let clipLarge = FixtureSpec.Vision(
    imageSize: 336, width: 1024, heads: 16, feedForward: 4096, layers: 23, featureLayer: 23)

  /// lmsys/vicuna-7b-v1.5.
  static let vicuna7B = FixtureSpec.Text(
    layers: 32, width: 4096, heads: 32, kvHeads: 32, headSize: 128, feedForward: 11008, contextLength: 4096)

  /// llava-hf/llava-1.5-7b-hf and -13b-hf (text: lmsys/vicuna-13b-v1.5); bczhou/tiny-llava-v1-hf (text:
  /// TinyLlama/TinyLlama-1.1B-Chat-v1.0).
  package static let published = [
    FixtureSpec(
      name: "llava-1.5-7b", seed: 1, text: vicuna7B, vision: clipLarge, vocabulary: .builtIn(minimumCount: 32_000),
      isForTimingOnly: true),
    FixtureSpec(
      name: "llava-1.5-13b", seed: 1,
      text: .init(
        layers: 40, width: 5120, heads: 40, kvHeads: 40, headSize: 128, feedForward: 13824, contextLength: 4096),
      vision: clipLarge, vocabulary: .builtIn(minimumCount: 32_000), isForTimingOnly: true),
    FixtureSpec(
      name: "tinyllava-1.1b", seed: 1,
      text: .init(layers: 22, width: 2048, heads: 32, kvHeads: 4, headSize: 64, feedForward: 5632),
      vision: clipLarge, vocabulary: .builtIn(minimumCount: 32_000), isForTimingOnly: true),
  ]
}

extension FixtureSpec {
  /// Runs at once, anywhere; the pair of the README's first command.
  package static let demo = FixtureSpec(
    name: "demo", seed: 4,
    text: Text(layers: 3, width: 256, heads: 8, kvHeads: 4, headSize: 32, feedForward: 512),
    vision: Vision(imageSize: 336, width: 128, heads: 4, feedForward: 256, layers: 3))

  /// GQA 8/2, separate output matrix; ViT with 64 patches and CLS; every row a multiple of 256 (K-quants).
  package static let g1 = FixtureSpec(
    name: "g1", seed: 1,
    text: Text(layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 768),
    vision: Vision(imageSize: 112, width: 256, heads: 8, feedForward: 768, layers: 4))

  /// MHA with a head size that is no power of two, tied embeddings; ViT with 144 patches, CLS, widths that hold no
  /// K-quant, an explicit feature layer, and the published files' exchanged names.
  package static let g2 = FixtureSpec(
    name: "g2", seed: 2,
    text: Text(
      layers: 6, width: 256, heads: 16, kvHeads: 16, headSize: 48, feedForward: 512, ropeBase: 500_000,
      epsilon: 1e-6, isTied: true),
    vision: Vision(
      imageSize: 168, width: 320, heads: 5, feedForward: 672, layers: 3, featureLayer: 3,
      hasSwappedFeedForwardNames: true))

  /// No CLS, tanh GELU, one KV head, text widths that hold no K-quant.
  package static let g3 = FixtureSpec(
    name: "g3", seed: 3,
    text: Text(layers: 5, width: 480, heads: 6, kvHeads: 1, headSize: 80, feedForward: 704),
    vision: Vision(
      imageSize: 126, width: 192, heads: 3, feedForward: 544, layers: 4, hasClassToken: false, activation: .gelu))

  /// A 1.1B text model with CLIP ViT-L/14-336: random weights in the true shape, for timing.
  package static let bench1b = FixtureSpec(
    name: "bench-1b", seed: 1,
    text: Text(
      layers: 22, width: 2048, heads: 32, kvHeads: 4, headSize: 64, feedForward: 5632, contextLength: 4096),
    vision: Vision(imageSize: 336, width: 1024, heads: 16, feedForward: 4096, layers: 24, featureLayer: 23),
    vocabulary: .builtIn(minimumCount: 32_000), isForTimingOnly: true)

  /// A SigLIP-B/16-sized encoder over a tile of 512 x 512, 1,024 patches without class token, with CLIP's norms as every
  /// LLaVA-1.5-format file has them, in front of a small text model: for timing encoders.
  package static let benchTile = FixtureSpec(
    name: "bench-tile", seed: 5,
    text: Text(layers: 3, width: 256, heads: 8, kvHeads: 4, headSize: 32, feedForward: 512),
    vision: Vision(
      imageSize: 512, patchSize: 16, width: 768, heads: 12, feedForward: 3072, layers: 12, hasClassToken: false,
      activation: .gelu, epsilon: 1e-6),
    isForTimingOnly: true)
}
