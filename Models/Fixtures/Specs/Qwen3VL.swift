import OccamGGUF

/// Qwen3-VL: Qwen3's layers with interleaved M-RoPE and DeepStack planes; an encoder for pictures of any size with two
/// patch kernels, an interpolated position table, one matrix for query, key and value, and mergers of 2 x 2 patches.
/// Without planes its vision part is that of Qwen3.5. Keys and names: llama.cpp, conversion/qwen3vl.py and tools/mtmd.
package enum Qwen3VL: FixtureFamily {
  package static let specs = [
    // Rows of the text model multiples of 256 (K-quants), GQA 8/2; planes behind the first three of four layers, so that
    // one of them is injected behind stage II; the table has 6 x 6 positions.
    FixtureSpec(
      name: "qwen3vl-a", seed: 71, family: Qwen3VL.self,
      text: .init(
        layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 512, ropeBase: 5_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [6, 5, 5], planes: 3),
      vision: .init(
        imageSize: 96, patchSize: 16, width: 128, heads: 4, feedForward: 256, layers: 4, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, deepStack: [0, 2, 3])),
    // Head sizes 40 and 24, widths that hold no K-quant, patches of 12 pixels, tied embeddings, one plane. Sections
    // that leave a pair over (19), which llama.cpp does not turn and the trained model turns by time.
    FixtureSpec(
      name: "qwen3vl-b", seed: 72, family: Qwen3VL.self,
      text: .init(
        layers: 3, width: 160, heads: 4, kvHeads: 2, headSize: 40, feedForward: 416, ropeBase: 5_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, ropeSections: [8, 6, 6], planes: 1),
      vision: .init(
        imageSize: 60, patchSize: 12, width: 96, heads: 4, feedForward: 160, layers: 3, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, deepStack: [1])),
    // No planes.
    FixtureSpec(
      name: "qwen3vl-c", seed: 73, family: Qwen3VL.self,
      text: .init(
        layers: 2, width: 128, heads: 4, kvHeads: 2, headSize: 32, feedForward: 256, ropeBase: 5_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [6, 5, 5]),
      vision: .init(
        imageSize: 64, patchSize: 16, width: 64, heads: 2, feedForward: 128, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, template: template)
  }

  /// Says what the published template says, tools and videos left out.
  private static let template = """
    {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
    {% if message['content'] is string %}{{ message['content'] }}{% else %}\
    {% for part in message['content'] %}{% if part['type'] == 'image' %}\
    {{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% elif 'text' in part %}{{ part['text'] }}{% endif %}\
    {% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries {
    text.metadata("qwen3vl") + [("qwen3vl.n_deepstack_layers", .uint32(UInt32(text.planes)))]
  }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .queryKeyNorms)
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    let vision = spec.vision
    let marks = (0..<vision.layers).map { vision.deepStack.contains($0) }
    return vision.metadata(projector: "qwen3vl_merger", textWidth: spec.text.width, pixels: .half) + [
      ("clip.vision.spatial_merge_size", .uint32(UInt32(vision.merge))),
      ("clip.vision.is_deepstack_layers", .array(.bool(marks))),
    ]
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    spec.vision.qwen3VLTensors(textWidth: spec.text.width)
  }

  // MARK: Published shapes

  private static func shape(_ name: String, _ text: FixtureSpec.Text, _ vision: FixtureSpec.Vision) -> FixtureSpec {
    FixtureSpec(
      name: name, seed: 1, family: Qwen3VL.self, text: text, vision: vision,
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  }

  /// config.json of Qwen/Qwen3-VL-2B-Instruct and Qwen/Qwen3-VL-8B-Instruct. 2304 positions are 48 x 48 patches.
  package static let published = [
    shape(
      "qwen3-vl-2b",
      .init(
        layers: 28, width: 2048, heads: 16, kvHeads: 8, headSize: 128, feedForward: 6144, ropeBase: 5_000_000,
        contextLength: 262_144, epsilon: 1e-6, isTied: true, ropeSections: [24, 20, 20], planes: 3),
      .init(
        imageSize: 768, patchSize: 16, width: 1024, heads: 16, feedForward: 4096, layers: 24, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, deepStack: [5, 11, 17])),
    shape(
      "qwen3-vl-8b",
      .init(
        layers: 36, width: 4096, heads: 32, kvHeads: 8, headSize: 128, feedForward: 12_288, ropeBase: 5_000_000,
        contextLength: 262_144, epsilon: 1e-6, ropeSections: [24, 20, 20], planes: 3),
      .init(
        imageSize: 768, patchSize: 16, width: 1152, heads: 16, feedForward: 4304, layers: 27, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, deepStack: [8, 16, 24])),
  ]
}
