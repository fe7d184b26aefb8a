import OccamGGUF

/// LFM2-VL: a text model of short convolutions and a few attention layers, SigLIP 2 over tiles in the picture's own
/// proportions, 2 x 2 patches a token, a norm and two matrices. Keys and names: llama.cpp, conversion/lfm2.py.
package enum LFM2VL: FixtureFamily {
  package static let specs = [
    // K-quants in the text model, the published patches and positions; GQA 8/2.
    FixtureSpec(
      name: "lfm2-a", seed: 71, family: LFM2VL.self,
      text: .init(
        layers: 5, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, attentionLayers: [1, 3]),
      vision: .init(
        imageSize: 256, patchSize: 16, width: 64, heads: 2, feedForward: 128, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, projectorWidth: 128, merge: 2)),
    // Attention first and last, four taps; widths that hold no K-quant, 7 x 7 positions, 64 tokens a tile.
    FixtureSpec(
      name: "lfm2-b", seed: 72, family: LFM2VL.self,
      text: .init(
        layers: 4, width: 160, heads: 4, kvHeads: 4, headSize: 40, feedForward: 416, ropeBase: 1_000_000,
        contextLength: 4096, isTied: true, attentionLayers: [0, 3], convolutionTaps: 4),
      vision: .init(
        imageSize: 224, patchSize: 32, width: 96, heads: 4, feedForward: 160, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    let rows = (1...10).flatMap { row in (1...10).map { "<|img_row_\(row)_col_\($0)|>" } }
    let vocabulary = BytePairVocabulary(
      leading: ["<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"],
      trailing: ["<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"] + rows,
      minimumCount: minimumCount)
    return VocabularyMetadata(
      vocabulary, pre: "lfm2", beginning: "<|startoftext|>", end: "<|im_end|>", padding: "<|pad|>",
      addsBeginning: true, template: template)
  }

  /// ChatML behind the beginning of text, `<image>` for an image.
  private static let template = """
    {{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
    {% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
    {% if part['type'] == 'image' %}{{ '<image>' }}{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}\
    {% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

  /// The key of the KV heads holds one number a layer, 0 for a convolution.
  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries {
    let heads = (0..<text.layers).map { layer -> Int32 in
      text.attentionLayers?.contains(layer) ?? true ? Int32(text.kvHeads) : 0
    }
    return text.metadata("lfm2").map { entry in
      entry.key == "lfm2.attention.head_count_kv" ? (entry.key, .array(.int32(heads))) : entry
    } + [("lfm2.shortconv.l_cache", .uint32(UInt32(text.convolutionTaps)))]
  }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .queryKeyNorms, finalNorm: "token_embd_norm")
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    spec.vision.metadata(projector: "lfm2", textWidth: spec.text.width, pixels: .half) + [
      ("clip.vision.projector.scale_factor", .uint32(UInt32(spec.vision.merge)))
    ]
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    let (vision, width) = (spec.vision, spec.text.width)
    let merged = vision.merge * vision.merge * vision.width
    let middle = vision.projectorWidth ?? width
    return vision.sigLIPTensors() + [
      .norm("mm.input_norm.weight", merged),
      .bias("mm.input_norm.bias", merged),
      .matrix("mm.1.weight", merged, middle, .visionMatrix),
      .bias("mm.1.bias", middle),
      .matrix("mm.2.weight", middle, width, .visionMatrix, gain: 1.2),
      .bias("mm.2.bias", width),
    ]
  }

  // MARK: Published shapes

  /// config.json of LiquidAI/LFM2-VL-450M: LFM2-350M and SigLIP 2 NaFlex base.
  package static let published = [
    FixtureSpec(
      name: "lfm2-vl-450m", seed: 1, family: LFM2VL.self,
      text: .init(
        layers: 16, width: 1024, heads: 16, kvHeads: 8, headSize: 64, feedForward: 4608, ropeBase: 1_000_000,
        contextLength: 128_000, isTied: true, attentionLayers: [2, 5, 8, 10, 12, 14]),
      vision: .init(
        imageSize: 256, patchSize: 16, width: 768, heads: 12, feedForward: 3072, layers: 12, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, projectorWidth: 2560, merge: 2),
      vocabulary: .builtIn(minimumCount: 65_536), isForTimingOnly: true),
    // LiquidAI/LFM2-VL-1.6B: LFM2-1.2B and SigLIP 2 NaFlex so400m without its last layer.
    FixtureSpec(
      name: "lfm2-vl-1.6b", seed: 1, family: LFM2VL.self,
      text: .init(
        layers: 16, width: 2048, heads: 32, kvHeads: 8, headSize: 64, feedForward: 8192, ropeBase: 1_000_000,
        contextLength: 128_000, isTied: true, attentionLayers: [2, 5, 8, 10, 12, 14]),
      vision: .init(
        imageSize: 256, patchSize: 16, width: 1152, heads: 16, feedForward: 4304, layers: 26, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, projectorWidth: 2560, merge: 2),
      vocabulary: .builtIn(minimumCount: 65_536), isForTimingOnly: true),
  ]
}
