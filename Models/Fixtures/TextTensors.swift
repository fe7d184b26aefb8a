import OccamCore

extension FixtureSpec.Text {
  /// Tensors of the text model, in file order.
  /// - Parameter rowScale: factor of a token's rows in the embedding and output matrices; below 1 for the tokens a
  ///   reader could make nothing of, so that greedy text is words.
  package func tensors(vocabularySize: Int, rowScale: @escaping @Sendable (Int) -> Float) -> [TensorPlan] {
    // A tied embedding is also the output matrix: its deviation sets that of the logits, about 3.
    let logitGain = Float(3) / Float(width).squareRoot()
    var plans = [
      embedding("token_embd.weight", vocabularySize, isTied ? logitGain : 0.7, rowScale),
      .norm("output_norm.weight", width),
    ]
    if !isTied {
      plans.append(
        TensorPlan(
          name: "output.weight", shape: [width, vocabularySize], role: .output,
          fill: { row, noise, destination in
            let scale = logitGain * rowScale(row)
            for i in destination.indices { destination[i] = noise.normal() * scale }
          }, deviation: logitGain))
    }
    for layer in 0..<layers { plans += layerTensors(layer) }
    return plans
  }

  private func layerTensors(_ layer: Int) -> [TensorPlan] {
    let prefix = "blk.\(layer)."
    // Query and key gains of 1.6 give scores a deviation of about 2.5: attention far from uniform.
    return [
      .norm(prefix + "attn_norm.weight", width),
      .matrix(prefix + "attn_q.weight", width, heads * headSize, .textMatrix, gain: 1.6),
      .matrix(prefix + "attn_k.weight", width, kvHeads * headSize, .textMatrix, gain: 1.6),
      .matrix(prefix + "attn_v.weight", width, kvHeads * headSize, .textValue(layer: layer)),
      residual(prefix + "attn_output.weight", heads * headSize, .textMatrix, gain: 1),
      .norm(prefix + "ffn_norm.weight", width),
      .matrix(prefix + "ffn_gate.weight", width, feedForward, .textMatrix, gain: 1.5),
      .matrix(prefix + "ffn_up.weight", width, feedForward, .textMatrix),
      residual(prefix + "ffn_down.weight", feedForward, .textDown(layer: layer), gain: 1),
    ]
  }

  private func embedding(
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

  /// A matrix that adds into the residual stream, with stronger rows for the outlier channels.
  private func residual(_ name: String, _ input: Int, _ role: TensorPlan.Role, gain: Float) -> TensorPlan {
    let deviation = gain / Float(input).squareRoot()
    let width = width
    return TensorPlan(
      name: name, shape: [input, width], role: role,
      fill: { row, noise, destination in
        let scale = TensorPlan.isOutlier(channel: row, of: width) ? deviation * 4 : deviation
        for i in destination.indices { destination[i] = noise.normal() * scale }
      }, deviation: deviation)
  }
}
