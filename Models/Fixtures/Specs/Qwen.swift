import OccamGGUF

/// Qwen2's byte-pair vocabulary, special tokens behind, and ChatML.
enum QwenVocabulary {
  /// - Parameter more: special tokens behind the family's own.
  static func metadata(minimumCount: Int, more: [String] = [], template: String) -> VocabularyMetadata {
    let vocabulary = BytePairVocabulary(
      leading: [],
      trailing: [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
        "<|image_pad|>", "<|video_pad|>", "<think>", "</think>",
      ] + more, minimumCount: minimumCount)
    return VocabularyMetadata(
      vocabulary, pre: "qwen2", beginning: "<|endoftext|>", end: "<|im_end|>", padding: "<|endoftext|>",
      template: template)
  }
}

/// Qwen2 and 2.5, text only: llama's layers with biases of query, key and value, RoPE over halves.
package enum Qwen2: FixtureFamily {
  package static let specs = [
    FixtureSpec(
      name: "qwen2-text", seed: 51, family: Qwen2.self,
      text: .init(
        layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 704, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true))
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, template: template)
  }

  /// ChatML with the family's default system message.
  private static let template = """
    {% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}\
    {% endif %}{% for message in messages %}\
    {{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("qwen2") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .biases)
  }

  /// config.json of Qwen/Qwen2-1.5B-Instruct.
  package static let published = [
    FixtureSpec(
      name: "qwen2-1.5b", seed: 1, family: Qwen2.self,
      text: .init(
        layers: 28, width: 1536, heads: 12, kvHeads: 2, headSize: 128, feedForward: 8960, ropeBase: 1_000_000,
        contextLength: 32_768, epsilon: 1e-6, isTied: true),
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  ]
}

/// Qwen3, text only: llama's layers with norms of queries and keys, RoPE over halves, heads wider than their share.
package enum Qwen3: FixtureFamily {
  package static let specs = [
    FixtureSpec(
      name: "qwen3-text", seed: 52, family: Qwen3.self,
      text: .init(
        layers: 4, width: 192, heads: 6, kvHeads: 2, headSize: 80, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6))
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, template: template)
  }

  /// ChatML; `enable_thinking` false puts an empty thought in front of the answer, as the published template does.
  static let template = """
    {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}\
    {% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}\
    {% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { text.metadata("qwen3") }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.tensors(vocabulary, .queryKeyNorms)
  }

  /// config.json of Qwen/Qwen3-1.7B.
  package static let published = [
    FixtureSpec(
      name: "qwen3-1.7b", seed: 1, family: Qwen3.self,
      text: .init(
        layers: 28, width: 2048, heads: 16, kvHeads: 8, headSize: 128, feedForward: 6144, ropeBase: 1_000_000,
        contextLength: 40_960, epsilon: 1e-6, isTied: true),
      vocabulary: .builtIn(minimumCount: 151_936), isForTimingOnly: true)
  ]
}
