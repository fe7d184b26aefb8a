import OccamGGUF

extension FixtureSpec.Text {
  /// Sizes of the layers that are gated delta-nets, and which layers are.
  package struct DeltaNet: Sendable {
    package var keyHeads: Int
    package var valueHeads: Int
    /// Of a head, keys and values alike.
    package var headSize: Int
    /// Rows that the convolution sees.
    package var taps = 4
    /// Every how many-th layer attends.
    package var interval = 4
    /// Whether the file lists the layers instead of naming the interval.
    package var isListed = false
    /// Numbers of an attention head that rotate.
    package var rotated: Int
    /// Layers of multi-token prediction behind the model's own.
    package var predicting = 0

    package init(
      keyHeads: Int, valueHeads: Int, headSize: Int, taps: Int = 4, interval: Int = 4, isListed: Bool = false,
      rotated: Int, predicting: Int = 0
    ) {
      (self.keyHeads, self.valueHeads, self.headSize, self.taps) = (keyHeads, valueHeads, headSize, taps)
      (self.interval, self.isListed, self.rotated, self.predicting) = (interval, isListed, rotated, predicting)
    }

    package var keyWidth: Int { keyHeads * headSize }
    package var valueWidth: Int { valueHeads * headSize }
    package var channels: Int { 2 * keyWidth + valueWidth }

    package func isRecurrent(_ layer: Int) -> Bool { (layer + 1) % interval != 0 }
  }
}

/// Qwen3.5 and 3.6, dense: three of four layers gated delta-nets, the fourth gated attention with norms of queries and keys and
/// interleaved M-RoPE over a quarter of each head; the vision part of Qwen3-VL without planes. Keys, names and the order
/// of value heads: llama.cpp, conversion/qwen.py and src/models/qwen35.cpp.
package enum Qwen35: FixtureFamily {
  package static let specs = [
    // Rows of the text model multiples of 256 (K-quants); two value heads for each key head; stage II behind layer 4 of 8.
    FixtureSpec(
      name: "qwen35-a", seed: 81, family: Qwen35.self,
      text: .init(
        layers: 8, width: 256, heads: 4, kvHeads: 2, headSize: 64, feedForward: 512, ropeBase: 10_000_000,
        contextLength: 4096, epsilon: 1e-6, ropeSections: [3, 3, 2],
        delta: .init(keyHeads: 4, valueHeads: 8, headSize: 32, rotated: 16)),
      vision: .init(
        imageSize: 64, patchSize: 16, width: 64, heads: 2, feedForward: 128, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2)),
    // Head sizes 40 and 24, widths that hold no K-quant, tied embeddings, a list of layers, a layer of multi-token prediction,
    // three taps, the last layer recurrent.
    FixtureSpec(
      name: "qwen35-b", seed: 82, family: Qwen35.self,
      text: .init(
        layers: 5, width: 160, heads: 4, kvHeads: 1, headSize: 40, feedForward: 416, ropeBase: 10_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, ropeSections: [4, 3, 3],
        delta: .init(
          keyHeads: 3, valueHeads: 3, headSize: 24, taps: 3, interval: 2, isListed: true, rotated: 20, predicting: 1)),
      vision: .init(
        imageSize: 60, patchSize: 12, width: 96, heads: 4, feedForward: 160, layers: 3, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    QwenVocabulary.metadata(minimumCount: minimumCount, pre: "qwen35", template: template)
  }

  /// Says what the published template says, tools and videos left out: an empty thought in front of the answer unless
  /// thinking is asked for.
  private static let template = """
    {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
    {% if message['content'] is string %}{{ message['content'] }}{% else %}\
    {% for part in message['content'] %}{% if part['type'] == 'image' %}\
    {{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% elif 'text' in part %}{{ part['text'] }}{% endif %}\
    {% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}\
    {% if enable_thinking is defined and enable_thinking is true %}{{ '<think>\\n' }}\
    {% else %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries { metadata(text, "qwen35") }

  static func metadata(_ text: FixtureSpec.Text, _ prefix: String) -> MetadataEntries {
    guard let delta = text.delta else { preconditionFailure("Qwen35: a specification without delta-nets") }
    var entries = text.metadata(prefix)
    func add(_ key: String, _ value: GGUFValue) { entries.append(("\(prefix).\(key)", value)) }
    entries.set("\(prefix).block_count", .uint32(UInt32(text.layers + delta.predicting)))
    entries.set("\(prefix).rope.dimension_count", .uint32(UInt32(delta.rotated)))
    add("ssm.conv_kernel", .uint32(UInt32(delta.taps)))
    add("ssm.state_size", .uint32(UInt32(delta.headSize)))
    add("ssm.group_count", .uint32(UInt32(delta.keyHeads)))
    add("ssm.time_step_rank", .uint32(UInt32(delta.valueHeads)))
    add("ssm.inner_size", .uint32(UInt32(delta.valueWidth)))
    if delta.isListed {
      let layers = (0..<text.layers + delta.predicting).map { $0 < text.layers && delta.isRecurrent($0) }
      add("attention.recurrent_layers", .array(.bool(layers)))
    } else {
      add("full_attention_interval", .uint32(UInt32(delta.interval)))
    }
    if delta.predicting > 0 { add("nextn_predict_layers", .uint32(UInt32(delta.predicting))) }
    return entries
  }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    guard let delta = text.delta else { preconditionFailure("Qwen35: a specification without delta-nets") }
    // Embedding, output and the last norm are llama's.
    var outside = text
    outside.layers = 0
    var plans = outside.tensors(vocabulary)
    for layer in 0..<text.layers {
      let prefix = "blk.\(layer)."
      plans.append(.norm(prefix + "attn_norm.weight", text.width))
      plans += delta.isRecurrent(layer) ? deltaNet(text, delta, layer) : attention(text, layer)
      plans += feedForward(text, layer)
    }
    for layer in text.layers..<text.layers + delta.predicting {
      let prefix = "blk.\(layer)."
      plans.append(.norm(prefix + "attn_norm.weight", text.width))
      plans +=
        attention(text, layer) + feedForward(text, layer) + [
          .matrix(prefix + "nextn.eh_proj.weight", 2 * text.width, text.width, .textMatrix),
          .norm(prefix + "nextn.enorm.weight", text.width), .norm(prefix + "nextn.hnorm.weight", text.width),
          .norm(prefix + "nextn.shared_head_norm.weight", text.width),
        ]
    }
    return plans
  }

  private static func deltaNet(
    _ text: FixtureSpec.Text, _ delta: FixtureSpec.Text.DeltaNet, _ layer: Int
  ) -> [TensorPlan] {
    let prefix = "blk.\(layer)."
    return [
      .matrix(prefix + "attn_qkv.weight", text.width, delta.channels, .textValue(layer: layer)),
      .matrix(prefix + "attn_gate.weight", text.width, delta.valueWidth, .textMatrix),
      .noise(prefix + "ssm_conv1d.weight", [delta.taps, delta.channels], .vector, deviation: 1.5),
      // Decay from slow to fast: factors of -0.02 and below times softplus of about 0.2.
      TensorPlan(
        name: prefix + "ssm_a", shape: [delta.valueHeads], role: .vector,
        fill: { _, noise, destination in
          for i in destination.indices {
            let number = noise.normal()
            destination[i] = -0.02 - number * number
          }
        }, deviation: 0),
      TensorPlan(
        name: prefix + "ssm_dt.bias", shape: [delta.valueHeads], role: .vector,
        fill: { _, noise, destination in
          for i in destination.indices { destination[i] = noise.normal() - 2 }
        }, deviation: 0),
      .matrix(prefix + "ssm_alpha.weight", text.width, delta.valueHeads, .textMatrix),
      .matrix(prefix + "ssm_beta.weight", text.width, delta.valueHeads, .textMatrix),
      .headNorm(prefix + "ssm_norm.weight", delta.headSize, mean: 1),
      text.residual(prefix + "ssm_out.weight", delta.valueWidth, .textMatrix, gain: 0.3),
    ]
  }

  private static func attention(_ text: FixtureSpec.Text, _ layer: Int) -> [TensorPlan] {
    let prefix = "blk.\(layer)."
    let (queries, keys) = (text.heads * text.headSize, text.kvHeads * text.headSize)
    return [
      // Head by head a query and a gate.
      .matrix(prefix + "attn_q.weight", text.width, 2 * queries, .textMatrix),
      .matrix(prefix + "attn_k.weight", text.width, keys, .textMatrix),
      .matrix(prefix + "attn_v.weight", text.width, keys, .textValue(layer: layer)),
      .headNorm(prefix + "attn_q_norm.weight", text.headSize, mean: 1.6),
      .headNorm(prefix + "attn_k_norm.weight", text.headSize, mean: 1.6),
      text.residual(prefix + "attn_output.weight", queries, .textMatrix, gain: 0.6),
    ]
  }

  private static func feedForward(_ text: FixtureSpec.Text, _ layer: Int) -> [TensorPlan] {
    let prefix = "blk.\(layer)."
    // What llama calls ffn_norm.
    let norm = TensorPlan.norm(prefix + "post_attention_norm.weight", text.width)
    if let experts = text.experts { return [norm] + text.expertTensors(prefix, layer, experts) }
    return [
      norm,
      .matrix(prefix + "ffn_gate.weight", text.width, text.feedForward, .textMatrix, gain: 1.5),
      .matrix(prefix + "ffn_up.weight", text.width, text.feedForward, .textMatrix),
      text.residual(prefix + "ffn_down.weight", text.feedForward, .textDown(layer: layer), gain: 0.5),
    ]
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries { Qwen3VL.visionMetadata(spec) }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] { Qwen3VL.visionTensors(spec) }

  // MARK: Published shapes

  private static func shape(
    _ name: String, layers: Int, width: Int, heads: Int, kvHeads: Int, feedForward: Int, valueHeads: Int,
    _ vision: FixtureSpec.Vision
  ) -> FixtureSpec {
    FixtureSpec(
      name: name, seed: 1, family: Qwen35.self,
      text: .init(
        layers: layers, width: width, heads: heads, kvHeads: kvHeads, headSize: 256, feedForward: feedForward,
        ropeBase: 10_000_000, contextLength: 262_144, epsilon: 1e-6, isTied: true, ropeSections: [11, 11, 10],
        delta: .init(keyHeads: 16, valueHeads: valueHeads, headSize: 128, rotated: 64)),
      vision: vision, vocabulary: .builtIn(minimumCount: 248_320), isForTimingOnly: true)
  }

  /// 2304 positions are 48 x 48 patches.
  private static let vision = FixtureSpec.Vision(
    imageSize: 768, patchSize: 16, width: 1024, heads: 16, feedForward: 4096, layers: 24, hasClassToken: false,
    activation: .gelu, epsilon: 1e-6, merge: 2)

  /// config.json of Qwen/Qwen3.5-2B and Qwen/Qwen3.5-4B.
  package static let published = [
    shape(
      "qwen3.5-2b", layers: 24, width: 2048, heads: 8, kvHeads: 2, feedForward: 6144, valueHeads: 16, vision),
    shape(
      "qwen3.5-4b", layers: 32, width: 2560, heads: 16, kvHeads: 4, feedForward: 9216, valueHeads: 32, vision),
  ]
}
