/// How the layers of a Gemma 4 text model differ.
package struct MixedLayers: Sendable {
  /// Every which layer is global: it sees the whole sequence, in wider heads.
  package var globalEvery: Int
  package var globalHeadSize: Int
  package var globalKVHeads: Int
  /// Whether global layers have no value matrix: their values are their keys before norm and rotation.
  package var globalValuesAreKeys = false
  /// The last layers that read entries of earlier ones.
  package var sharedLayers = 0
  /// Width of these layers' feed-forward network; that of the others if nil.
  package var sharedFeedForward: Int?
  /// Width of the embedding that each layer has for each token; 0: none.
  package var perLayerWidth = 0
  /// Limit of the logits.
  package var softcap: Float = 30

  package init(
    globalEvery: Int, globalHeadSize: Int, globalKVHeads: Int, globalValuesAreKeys: Bool = false,
    sharedLayers: Int = 0, sharedFeedForward: Int? = nil, perLayerWidth: Int = 0
  ) {
    self.globalEvery = globalEvery
    self.globalHeadSize = globalHeadSize
    self.globalKVHeads = globalKVHeads
    self.globalValuesAreKeys = globalValuesAreKeys
    self.sharedLayers = sharedLayers
    self.sharedFeedForward = sharedFeedForward
    self.perLayerWidth = perLayerWidth
  }
}

extension FixtureSpec.Text {
  func isGlobal(_ layer: Int, _ mixed: MixedLayers) -> Bool { (layer + 1) % mixed.globalEvery == 0 }
  func isShared(_ layer: Int, _ mixed: MixedLayers) -> Bool { layer >= layers - mixed.sharedLayers }

  /// Tensors of a text model with mixed layers, in file order.
  func mixedTensors(_ vocabulary: VocabularyMetadata, _ mixed: MixedLayers) -> [TensorPlan] {
    // Tied: the deviation of the embedding sets that of the logits, about 6 before the limit.
    let logitGain = Float(6) / Float(width).squareRoot()
    var plans: [TensorPlan] = [
      embedding("token_embd.weight", vocabulary.count, logitGain, vocabulary.rowScale),
      .norm("output_norm.weight", width),
      Self.rotaryFactors(mixed.globalHeadSize / 2),
    ]
    if mixed.perLayerWidth > 0 {
      let all = mixed.perLayerWidth * layers
      plans += [
        .noise(
          "per_layer_token_embd.weight", [all, vocabulary.count], .tokenEmbedding,
          deviation: 1 / Float(mixed.perLayerWidth).squareRoot()),
        .matrix("per_layer_model_proj.weight", width, all, .textMatrix),
        .headNorm("per_layer_proj_norm.weight", mixed.perLayerWidth, mean: 1),
      ]
    }
    for layer in 0..<layers { plans += mixedLayer(layer, mixed) }
    return plans
  }

  /// A quarter of the pairs is rotated, the others stand still: the converter's factors.
  private static func rotaryFactors(_ pairs: Int) -> TensorPlan {
    TensorPlan(
      name: "rope_freqs.weight", shape: [pairs], role: .vector,
      fill: { _, _, destination in
        for index in destination.indices { destination[index] = index < pairs / 4 ? 1 : 1e30 }
      }, deviation: 0)
  }

  private func mixedLayer(_ layer: Int, _ mixed: MixedLayers) -> [TensorPlan] {
    let prefix = "blk.\(layer)."
    let isGlobal = isGlobal(layer, mixed)
    let isShared = isShared(layer, mixed)
    let head = isGlobal ? mixed.globalHeadSize : headSize
    let keys = head * (isGlobal ? mixed.globalKVHeads : kvHeads)
    let feedForward = isShared ? mixed.sharedFeedForward ?? feedForward : feedForward
    // Scores are not scaled: norms of this size give them a deviation of about 2.5.
    let norm = (2.5 / Float(head).squareRoot()).squareRoot()
    var plans: [TensorPlan] = [
      .norm(prefix + "attn_norm.weight", width),
      .matrix(prefix + "attn_q.weight", width, heads * head, .textMatrix),
      .headNorm(prefix + "attn_q_norm.weight", head, mean: norm),
    ]
    if !isShared {
      plans += [
        .matrix(prefix + "attn_k.weight", width, keys, .textMatrix),
        .headNorm(prefix + "attn_k_norm.weight", head, mean: norm),
      ]
      if !(isGlobal && mixed.globalValuesAreKeys) {
        plans.append(.matrix(prefix + "attn_v.weight", width, keys, .textValue(layer: layer)))
      }
    }
    plans += [
      residual(prefix + "attn_output.weight", heads * head, .textMatrix, gain: 1),
      .norm(prefix + "post_attention_norm.weight", width),
      .norm(prefix + "ffn_norm.weight", width),
      .matrix(prefix + "ffn_gate.weight", width, feedForward, .textMatrix, gain: 1.5),
      .matrix(prefix + "ffn_up.weight", width, feedForward, .textMatrix),
      residual(prefix + "ffn_down.weight", feedForward, .textDown(layer: layer), gain: 1),
      .norm(prefix + "post_ffw_norm.weight", width),
    ]
    if mixed.perLayerWidth > 0 {
      plans += [
        .matrix(prefix + "inp_gate.weight", width, mixed.perLayerWidth, .textMatrix, gain: 0.5),
        .matrix(prefix + "proj.weight", mixed.perLayerWidth, width, .textMatrix),
        .norm(prefix + "post_norm.weight", width),
      ]
    }
    return plans + [.headNorm(prefix + "layer_output_scale.weight", 1, mean: 0.9)]
  }
}
