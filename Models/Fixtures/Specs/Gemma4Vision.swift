import OccamGGUF

extension FixtureSpec.Vision {
  /// Gemma 4's encoder and its projection to `textWidth`, in file order.
  func gemma4Tensors(textWidth: Int) -> [TensorPlan] {
    var plans: [TensorPlan] = [
      patchKernel(.patchKernel),
      .noise("v.position_embd.weight", [width, positionsPerAxis, 2], .vector, deviation: 0.4),
    ]
    for layer in 0..<layers { plans += gemma4Layer(layer) }
    if isStandardized {
      // Tokens are scaled by the root of the width before.
      plans += [
        .bias("v.std_bias", width, deviation: Float(width).squareRoot()),
        .headNorm("v.std_scale", width, mean: 0.1),
      ]
    }
    return plans + [.matrix("mm.input_projection.weight", width, textWidth, .visionMatrix)]
  }

  private func gemma4Layer(_ layer: Int) -> [TensorPlan] {
    let prefix = "v.blk.\(layer)."
    let head = width / heads
    // Scores are not scaled: norms of this size give them a deviation of about 2.5.
    let norm = (2.5 / Float(head).squareRoot()).squareRoot()
    func linear(
      _ name: String, _ inputs: Int, _ outputs: Int, gain: Float, from: Float, to: Float
    ) -> [TensorPlan] {
      var plans: [TensorPlan] = [.matrix(prefix + name + ".weight", inputs, outputs, .visionMatrix, gain: gain)]
      guard hasLimits else { return plans }
      // A few of a hundred numbers lie outside, on both sides differently.
      plans += [("input_min", -from), ("input_max", to), ("output_min", -1.8 * gain), ("output_max", 1.6 * gain)].map {
        .constant(prefix + name + "." + $0, $1)
      }
      return plans
    }
    // Statement by statement: one expression takes compilers too long to check.
    var plans: [TensorPlan] = [.norm(prefix + "ln1.weight", width)]
    plans += linear("attn_q", width, width, gain: 1, from: 1.9, to: 2.2)
    plans += linear("attn_k", width, width, gain: 1, from: 1.9, to: 2.2)
    plans += linear("attn_v", width, width, gain: 1, from: 1.7, to: 1.6)
    plans.append(.headNorm(prefix + "attn_q_norm.weight", head, mean: norm))
    plans.append(.headNorm(prefix + "attn_k_norm.weight", head, mean: norm))
    plans += linear("attn_out", width, width, gain: 1, from: 0.9, to: 1.1)
    plans.append(.norm(prefix + "attn_post_norm.weight", width))
    plans.append(.norm(prefix + "ln2.weight", width))
    plans += linear("ffn_gate", width, feedForward, gain: 1.5, from: 2.1, to: 1.8)
    plans += linear("ffn_up", width, feedForward, gain: 1, from: 2.1, to: 1.8)
    plans += linear("ffn_down", feedForward, width, gain: 1, from: 1.2, to: 1.5)
    plans.append(.norm(prefix + "ffn_post_norm.weight", width))
    return plans
  }
}
