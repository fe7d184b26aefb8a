import OccamGGUF

/// Qwen2-VL: `qwen2vl` text with M-RoPE, an encoder over the picture's own proportions with rotary positions in two
/// dimensions and two kernels of the patches, 2 x 2 patches a token, two matrices. Keys and names: llama.cpp,
/// conversion/qwenvl.py and tools/mtmd.
package enum Qwen2VL: FixtureFamily {
  package static let specs = [
    // Every row of the text model a multiple of 256 (K-quants); GQA 8/2.
    FixtureSpec(
      name: "qwen2vl-a", seed: 61, family: Qwen2VL.self,
      text: .init(
        layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [4, 6, 6]),
      vision: .init(
        imageSize: 560, width: 128, heads: 4, feedForward: 512, layers: 3, hasClassToken: false, epsilon: 1e-6,
        merge: 2)),
    // Widths that hold no K-quant, head sizes 40 and 24, tied embeddings; small patches; the encoder's feed-forward under
    // the names of the older converter.
    FixtureSpec(
      name: "qwen2vl-b", seed: 62, family: Qwen2VL.self,
      text: .init(
        layers: 3, width: 160, heads: 4, kvHeads: 2, headSize: 40, feedForward: 416, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, ropeSections: [4, 8, 8]),
      vision: .init(
        imageSize: 560, patchSize: 10, width: 96, heads: 4, feedForward: 192, layers: 2, hasClassToken: false,
        epsilon: 1e-6, hasSwappedFeedForwardNames: true, merge: 2)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, template: template)
  }

  /// Says what the published template says of text and pictures: ChatML with a default system message, three tokens a
  /// picture.
  private static let template = """
    {% for message in messages %}{% if loop.first and message['role'] != 'system' %}\
    {{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}\
    {{ '<|im_start|>' + message['role'] + '\\n' }}\
    {% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
    {% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}\
    {% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("qwen2vl") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .biases)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    var entries = spec.vision.metadata(projector: "qwen2vl_merger", textWidth: spec.text.width, pixels: .clip)
    // The converter writes the text model's width here.
    entries.set("clip.vision.feed_forward_length", .uint32(UInt32(spec.text.width)))
    return entries
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    let vision = spec.vision
    return vision.twoPatchKernels() + (0..<vision.layers).flatMap { vision.layerTensors($0) }
      + [.norm("v.post_ln.weight", vision.width), .bias("v.post_ln.bias", vision.width)]
      + vision.merger(textWidth: spec.text.width)
  }

  /// config.json of Qwen/Qwen2-VL-2B-Instruct.
  package static let published = [
    FixtureSpec(
      name: "qwen2-vl-2b", seed: 1, family: Qwen2VL.self,
      text: .init(
        layers: 28, width: 1536, heads: 12, kvHeads: 2, headSize: 128, feedForward: 8960, ropeBase: 1_000_000,
        contextLength: 32_768, epsilon: 1e-6, isTied: true, ropeSections: [16, 24, 24]),
      vision: .init(
        imageSize: 560, width: 1280, heads: 16, feedForward: 5120, layers: 32, hasClassToken: false, epsilon: 1e-6,
        merge: 2),
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  ]
}

/// Qwen2.5-VL: Qwen2-VL with RMS norms and gated feed-forwards in the encoder, most of whose layers see windows of
/// 112 x 112 pixels.
package enum Qwen25VL: FixtureFamily {
  package static let specs = [
    // Every second layer sees the whole picture, the last among them; a feed-forward width that holds no block of 32.
    FixtureSpec(
      name: "qwen25vl-a", seed: 63, family: Qwen25VL.self,
      text: .init(
        layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [4, 6, 6]),
      vision: .init(
        imageSize: 560, width: 128, heads: 4, feedForward: 220, layers: 4, hasClassToken: false, activation: .silu,
        epsilon: 1e-6, merge: 2, windowPattern: 2)),
    // The last layer sees windows; head sizes 40 and 16.
    FixtureSpec(
      name: "qwen25vl-b", seed: 64, family: Qwen25VL.self,
      text: .init(
        layers: 3, width: 160, heads: 4, kvHeads: 2, headSize: 40, feedForward: 416, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, ropeSections: [4, 8, 8]),
      vision: .init(
        imageSize: 560, width: 96, heads: 6, feedForward: 160, layers: 4, hasClassToken: false, activation: .silu,
        epsilon: 1e-6, merge: 2, windowPattern: 3)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    Qwen2VL.vocabulary(minimumCount: minimumCount)
  }

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { Qwen2VL.textMetadata(text) }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    Qwen2VL.textTensors(text, vocabulary)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    let vision = spec.vision
    return vision.metadata(projector: "qwen2.5vl_merger", textWidth: spec.text.width, pixels: .clip) + [
      ("clip.use_silu", .bool(true)),
      ("clip.vision.n_wa_pattern", .uint32(UInt32(vision.windowPattern ?? 1))),
    ]
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    let vision = spec.vision
    return vision.twoPatchKernels() + (0..<vision.layers).flatMap { vision.gatedLayerTensors($0) }
      + [.norm("v.post_ln.weight", vision.width)] + vision.merger(textWidth: spec.text.width)
  }

  /// config.json of Qwen/Qwen2.5-VL-3B-Instruct.
  package static let published = [
    FixtureSpec(
      name: "qwen2.5-vl-3b", seed: 1, family: Qwen25VL.self,
      text: .init(
        layers: 36, width: 2048, heads: 16, kvHeads: 2, headSize: 128, feedForward: 11_008, ropeBase: 1_000_000,
        contextLength: 128_000, epsilon: 1e-6, isTied: true, ropeSections: [16, 24, 24]),
      vision: .init(
        imageSize: 560, width: 1280, heads: 16, feedForward: 3420, layers: 32, hasClassToken: false, activation: .silu,
        epsilon: 1e-6, merge: 2, windowPattern: 8),
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  ]
}

extension FixtureSpec.Vision {
  /// One kernel for each of two frames; a still picture goes through both.
  fileprivate func twoPatchKernels() -> [TensorPlan] {
    [patchKernel(.patchKernel), patchKernel(.patchKernel, name: "v.patch_embd.weight.1")]
  }

  /// The matrices behind the norm, from merged patches to `textWidth`.
  fileprivate func merger(textWidth: Int) -> [TensorPlan] {
    let merged = merge * merge * width
    return [
      .matrix("mm.0.weight", merged, merged, .visionMatrix),
      .bias("mm.0.bias", merged),
      .matrix("mm.2.weight", merged, textWidth, .visionMatrix, gain: 1.2),
      .bias("mm.2.bias", textWidth),
    ]
  }

  /// A layer of Qwen2.5-VL's encoder.
  fileprivate func gatedLayerTensors(_ layer: Int) -> [TensorPlan] {
    let prefix = "v.blk.\(layer)."
    func linear(_ name: String, _ input: Int, _ output: Int, gain: Float = 1) -> [TensorPlan] {
      [
        .matrix(prefix + name + ".weight", input, output, .visionMatrix, gain: gain),
        .bias(prefix + name + ".bias", output),
      ]
    }
    return [.norm(prefix + "ln1.weight", width)]
      + linear("attn_q", width, width, gain: 1.5) + linear("attn_k", width, width, gain: 1.5)
      + linear("attn_v", width, width) + linear("attn_out", width, width)
      + [.norm(prefix + "ln2.weight", width)]
      + linear("ffn_gate", width, feedForward, gain: 1.5) + linear("ffn_up", width, feedForward)
      + linear("ffn_down", feedForward, width, gain: 1.5)
  }
}
