import OccamCore

/// What a text model's layers hold beside llama's nine tensors.
struct TextLayerFeatures: OptionSet {
  let rawValue: Int

  /// Biases of query, key and value.
  static let biases = TextLayerFeatures(rawValue: 1)
  /// RMS norms of each query and key head.
  static let queryKeyNorms = TextLayerFeatures(rawValue: 2)
  /// RMS norms behind attention and feed-forward, before they are added.
  static let postNorms = TextLayerFeatures(rawValue: 4)
}

extension FixtureSpec.Text {
  /// Tensors of the text model, in file order. A token's rows in the embedding and output matrices are scaled by the
  /// vocabulary's `rowScale`, below 1 for the tokens a reader could make nothing of, so that greedy text is words.
  func tensors(
    _ vocabulary: VocabularyMetadata, _ features: TextLayerFeatures = [], finalNorm: String = "output_norm"
  ) -> [TensorPlan] {
    let rowScale = vocabulary.rowScale
    // A tied embedding is also the output matrix: its deviation sets that of the logits, about 3.
    let logitGain = Float(3) / Float(width).squareRoot()
    var plans = [
      embedding("token_embd.weight", vocabulary.count, isTied ? logitGain : 0.7, rowScale),
      .norm(finalNorm + ".weight", width),
    ]
    if !isTied {
      plans.append(
        TensorPlan(
          name: "output.weight", shape: [width, vocabulary.count], role: .output,
          fill: { row, noise, destination in
            let scale = logitGain * rowScale(row)
            for i in destination.indices { destination[i] = noise.normal() * scale }
          }, deviation: logitGain))
    }
    for layer in 0..<layers { plans += layerTensors(layer, features) }
    return plans
  }

  private func layerTensors(_ layer: Int, _ features: TextLayerFeatures) -> [TensorPlan] {
    let prefix = "blk.\(layer)."
    var plans: [TensorPlan] = [.norm(prefix + "attn_norm.weight", width)]
    if attentionLayers?.contains(layer) ?? true {
      plans += attentionTensors(prefix, layer, features)
    } else {
      plans += convolutionTensors(prefix)
    }
    if features.contains(.postNorms) { plans.append(.norm(prefix + "post_attention_norm.weight", width)) }
    plans.append(.norm(prefix + "ffn_norm.weight", width))
    if let experts {
      plans += expertTensors(prefix, layer, experts)
    } else {
      plans += [
        .matrix(prefix + "ffn_gate.weight", width, feedForward, .textMatrix, gain: 1.5),
        .matrix(prefix + "ffn_up.weight", width, feedForward, .textMatrix),
        residual(prefix + "ffn_down.weight", feedForward, .textDown(layer: layer), gain: 1),
      ]
    }
    if features.contains(.postNorms) { plans.append(.norm(prefix + "post_ffw_norm.weight", width)) }
    return plans
  }

  private func attentionTensors(_ prefix: String, _ layer: Int, _ features: TextLayerFeatures) -> [TensorPlan] {
    let (queries, keys) = (heads * headSize, kvHeads * headSize)
    // Query and key gains of 1.6 give scores a deviation of about 2.5: attention far from uniform.
    var plans: [TensorPlan] = [
      .matrix(prefix + "attn_q.weight", width, queries, .textMatrix, gain: 1.6),
      .matrix(prefix + "attn_k.weight", width, keys, .textMatrix, gain: 1.6),
      .matrix(prefix + "attn_v.weight", width, keys, .textValue(layer: layer)),
    ]
    if features.contains(.biases) {
      plans += [
        .bias(prefix + "attn_q.bias", queries, deviation: 0.5),
        .bias(prefix + "attn_k.bias", keys, deviation: 0.5),
        .bias(prefix + "attn_v.bias", keys, deviation: 0.2),
      ]
    }
    if features.contains(.queryKeyNorms) {
      plans += [
        .headNorm(prefix + "attn_q_norm.weight", headSize, mean: 1.6),
        .headNorm(prefix + "attn_k_norm.weight", headSize, mean: 1.6),
      ]
    }
    return plans + [residual(prefix + "attn_output.weight", queries, .textMatrix, gain: 1)]
  }

  /// A gated short convolution (LFM2).
  private func convolutionTensors(_ prefix: String) -> [TensorPlan] {
    [
      .noise(
        prefix + "shortconv.conv.weight", [convolutionTaps, width], .vector,
        deviation: 1 / Float(convolutionTaps).squareRoot()),
      .matrix(prefix + "shortconv.in_proj.weight", width, 3 * width, .textMatrix, gain: 0.8),
      residual(prefix + "shortconv.out_proj.weight", width, .textMatrix, gain: 0.6),
    ]
  }

  /// A router, stored as floats, stacks of experts, and the shared one with its gate.
  func expertTensors(_ prefix: String, _ layer: Int, _ experts: Experts) -> [TensorPlan] {
    func stack(_ name: String, gain: Float) -> TensorPlan {
      .noise(
        prefix + name, [width, experts.feedForward, experts.count], .textMatrix,
        deviation: gain / Float(width).squareRoot())
    }
    let shared: [TensorPlan] =
      experts.shared == 0
      ? []
      : [
        .noise(
          prefix + "ffn_gate_inp_shexp.weight", [width], .vector, deviation: 1 / Float(width).squareRoot()),
        .matrix(prefix + "ffn_gate_shexp.weight", width, experts.shared, .textMatrix, gain: 1.5),
        .matrix(prefix + "ffn_up_shexp.weight", width, experts.shared, .textMatrix),
        residual(prefix + "ffn_down_shexp.weight", experts.shared, .textDown(layer: layer), gain: 1),
      ]
    return [
      // The first expert weighs about ten times the second, so that rounding, which now and then makes another expert the
      // last one chosen, changes little.
      .matrix(prefix + "ffn_gate_inp.weight", width, experts.count, .vector, gain: 4),
      stack("ffn_gate_exps.weight", gain: 1.5), stack("ffn_up_exps.weight", gain: 1),
      residual(
        prefix + "ffn_down_exps.weight", experts.feedForward, .textDown(layer: layer), gain: 1, stacked: experts.count),
    ] + shared
  }

  func embedding(
    _ name: String, _ rows: Int, _ deviation: Float, _ rowScale: @escaping @Sendable (Int) -> Float
  ) -> TensorPlan {
    let width = width
    return TensorPlan(
      name: name, shape: [width, rows], role: .tokenEmbedding,
      fill: { row, noise, destination in
        let scale = deviation * rowScale(row)
        for i in destination.indices {
          let number = noise.normal() * scale
          // The same sign and size for every token: a constant, large coordinate.
          destination[i] = TensorPlan.isOutlier(channel: i, of: width) ? number + 5 * deviation : number
        }
      }, deviation: deviation)
  }

  /// A matrix, or a stack of some, that adds into the residual stream, with stronger rows for the outlier channels.
  func residual(
    _ name: String, _ input: Int, _ role: TensorPlan.Role, gain: Float, stacked: Int? = nil
  ) -> TensorPlan {
    let deviation = gain / Float(input).squareRoot()
    let width = width
    return TensorPlan(
      name: name, shape: [input, width] + (stacked.map { [$0] } ?? []), role: role,
      fill: { row, noise, destination in
        let scale = TensorPlan.isOutlier(channel: row % width, of: width) ? deviation * 4 : deviation
        for i in destination.indices { destination[i] = noise.normal() * scale }
      }, deviation: deviation)
  }
}
