import OccamGGUF

/// Gemma 3: norms of queries and keys, norms before and behind attention and feed-forward, GeGLU, five local layers for
/// each global one, tied embeddings scaled by the root of their width; SigLIP whose patches are averaged, normed and
/// multiplied with one matrix. Keys and names: llama.cpp, conversion/gemma.py and tools/mtmd.
package enum Gemma3: FixtureFamily {
  package static let specs = [
    // 9 tokens an image, less than a window, as in the published models; every text row a multiple of 256 (K-quants).
    FixtureSpec(
      name: "gemma3-a", seed: 31, family: Gemma3.self,
      text: .init(
        layers: 6, width: 256, heads: 4, kvHeads: 2, headSize: 64, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, slidingWindow: 12, ropeScale: 8),
      vision: .init(
        imageSize: 168, width: 128, heads: 4, feedForward: 256, layers: 3, hasClassToken: false, activation: .gelu,
        epsilon: 1e-6, merge: 4, namesMerge: false)),
    // Head sizes 80 and 24, widths that hold no K-quant, 7 layers, pooling of 2 x 2 named in the file; 16 tokens.
    FixtureSpec(
      name: "gemma3-b", seed: 32, family: Gemma3.self,
      text: .init(
        layers: 7, width: 160, heads: 4, kvHeads: 1, headSize: 80, feedForward: 352, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, slidingWindow: 20),
      vision: .init(
        imageSize: 112, width: 72, heads: 3, feedForward: 176, layers: 2, hasClassToken: false, activation: .gelu,
        epsilon: 1e-6, merge: 2)),
    // Text only, as 270M and 1B are: one KV head, a head wider than a share of the width.
    FixtureSpec(
      name: "gemma3-text", seed: 33, family: Gemma3.self,
      text: .init(
        layers: 6, width: 192, heads: 4, kvHeads: 1, headSize: 64, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, slidingWindow: 10)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    var leading: [(String, BuiltInVocabulary.Kind)] = [
      ("<pad>", .control), ("<eos>", .control), ("<bos>", .control), ("<unk>", .unknown),
      ("<start_of_turn>", .control), ("<end_of_turn>", .control),
      ("<start_of_image>", .control), ("<end_of_image>", .control), ("<image_soft_token>", .control),
    ]
    // Gemma keeps runs of line breaks and spaces whole.
    leading += (1...4).map { (String(repeating: "\n", count: $0), .userDefined) }
    leading += (2...4).map { (String(repeating: "\u{2581}", count: $0), .userDefined) }
    return VocabularyMetadata(
      BuiltInVocabulary(leading: leading, minimumCount: minimumCount), beginning: 2, end: 1, unknown: 3,
      template: template
    ).setting("tokenizer.ggml.padding_token_id", .uint32(0)).setting("tokenizer.ggml.add_space_prefix", .bool(false))
  }

  /// Says what the published template says: a system message goes in front of the first user's text.
  private static let template = """
    {{ bos_token }}{% if messages[0]['role'] == 'system' %}\
    {% if messages[0]['content'] is string %}{% set first = messages[0]['content'] + '\\n\\n' %}\
    {% else %}{% set first = messages[0]['content'][0]['text'] + '\\n\\n' %}{% endif %}\
    {% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}\
    {% for message in turns %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}\
    {% else %}{% set role = message['role'] %}{% endif %}\
    {{ '<start_of_turn>' + role + '\\n' + (first if loop.first else '') }}\
    {% if message['content'] is string %}{{ message['content'] | trim }}{% else %}\
    {% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<start_of_image>' }}\
    {% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}{% endfor %}{% endif %}\
    {{ '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("gemma3") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, [.queryKeyNorms, .postNorms])
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    var entries = spec.vision.metadata(projector: "gemma3", textWidth: spec.text.width, pixels: .half)
    if spec.vision.namesMerge {
      entries.append(("clip.vision.projector.scale_factor", .uint32(UInt32(spec.vision.merge))))
    }
    return entries
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    let width = spec.vision.width
    return spec.vision.sigLIPTensors() + [
      // Stored transposed: a row belongs to one number of the encoder. llama.cpp transposes it as it is, so that it may
      // be F16 or F32 only, like the patch kernel.
      .noise(
        "mm.input_projection.weight", [spec.text.width, width], .patchKernel, deviation: 3 / Float(width).squareRoot()),
      .norm("mm.soft_emb_norm.weight", width),
    ]
  }

  // MARK: Published shapes

  private static func shape(
    _ name: String, _ text: FixtureSpec.Text, _ vision: FixtureSpec.Vision = .absent, vocabulary: Int
  ) -> FixtureSpec {
    FixtureSpec(
      name: name, seed: 1, family: Gemma3.self, text: text, vision: vision,
      vocabulary: .builtIn(minimumCount: vocabulary), isForTimingOnly: true)
  }

  /// config.json of google/gemma-3-270m-it, gemma-3-1b-it and gemma-3-4b-it (vision: SigLIP-SO400M/14 at 896 pixels).
  package static let published = [
    shape(
      "gemma3-270m",
      .init(
        layers: 18, width: 640, heads: 4, kvHeads: 1, headSize: 256, feedForward: 2048, ropeBase: 1_000_000,
        contextLength: 32_768, epsilon: 1e-6, isTied: true, slidingWindow: 512), vocabulary: 262_144),
    shape(
      "gemma3-1b",
      .init(
        layers: 26, width: 1152, heads: 4, kvHeads: 1, headSize: 256, feedForward: 6912, ropeBase: 1_000_000,
        contextLength: 32_768, epsilon: 1e-6, isTied: true, slidingWindow: 512), vocabulary: 262_144),
    shape(
      "gemma-3-4b",
      .init(
        layers: 34, width: 2560, heads: 8, kvHeads: 4, headSize: 256, feedForward: 10_240, ropeBase: 1_000_000,
        contextLength: 131_072, epsilon: 1e-6, isTied: true, slidingWindow: 1024, ropeScale: 8),
      .init(
        imageSize: 896, width: 1152, heads: 16, feedForward: 4304, layers: 27, hasClassToken: false, activation: .gelu,
        epsilon: 1e-6, merge: 4, namesMerge: false), vocabulary: 262_208),
  ]
}
