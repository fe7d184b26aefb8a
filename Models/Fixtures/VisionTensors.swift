import OccamCore

extension FixtureSpec.Vision {
  /// CLIP's encoder, in file order: class token, no bias of the patches, a norm before the layers and none behind.
  func clipTensors() -> [TensorPlan] {
    var plans: [TensorPlan] = []
    if hasClassToken { plans.append(.noise("v.class_embd", [width], .vector, deviation: 1)) }
    plans += [
      patchKernel(.patchKernel),
      .noise("v.position_embd.weight", [width, positions], .positions, deviation: 0.5),
      .norm("v.pre_ln.weight", width),
      .bias("v.pre_ln.bias", width),
    ]
    for layer in 0..<layers { plans += layerTensors(layer) }
    return plans
  }

  /// SigLIP's encoder, in file order: a bias of the patches, a norm behind the layers and none before. What embeds the
  /// patches is F32 in every file, as llama.cpp's converter writes it.
  func sigLIPTensors() -> [TensorPlan] {
    var plans = [
      patchKernel(.vector),
      .bias("v.patch_embd.bias", width, deviation: 0.2),
      .noise("v.position_embd.weight", [width, positions], .vector, deviation: 0.5),
    ]
    for layer in 0..<layers { plans += layerTensors(layer) }
    return plans + [.norm("v.post_ln.weight", width), .bias("v.post_ln.bias", width)]
  }

  /// InternViT's encoder: SigLIP's with a class token, and no norm behind the layers.
  func internViTTensors() -> [TensorPlan] {
    var plans: [TensorPlan] = [
      .noise("v.class_embd", [width], .vector, deviation: 1),
      patchKernel(.patchKernel),
      .bias("v.patch_embd.bias", width, deviation: 0.2),
      .noise("v.position_embd.weight", [width, positions], .vector, deviation: 0.5),
    ]
    for layer in 0..<layers { plans += layerTensors(layer) }
    return plans
  }

  /// Qwen3-VL's encoder and its mergers into `textWidth`, in file order: a kernel for each of the two frames that a picture
  /// counts as, which together answer as one does elsewhere.
  func qwen3VLTensors(textWidth: Int) -> [TensorPlan] {
    let merged = merge * merge * width
    var plans = [
      patchKernel(.vector, gain: 0.75),
      patchKernel(.vector, name: "v.patch_embd.weight.1", gain: 0.75),
      .bias("v.patch_embd.bias", width, deviation: 0.2),
      .noise("v.position_embd.weight", [width, positions], .vector, deviation: 0.5),
    ]
    for layer in 0..<layers {
      plans += layerTensors(layer, fused: true)
      guard deepStack.contains(layer) else { continue }
      let prefix = "v.deepstack.\(layer)."
      plans += [
        .norm(prefix + "norm.weight", merged),
        .bias(prefix + "norm.bias", merged),
        .matrix(prefix + "fc1.weight", merged, merged, .visionMatrix, gain: 1.2),
        .bias(prefix + "fc1.bias", merged),
        .matrix(prefix + "fc2.weight", merged, textWidth, .visionMatrix),
        .bias(prefix + "fc2.bias", textWidth),
      ]
    }
    return plans + [
      .norm("v.post_ln.weight", width),
      .bias("v.post_ln.bias", width),
      .matrix("mm.0.weight", merged, merged, .visionMatrix, gain: 1.2),
      .bias("mm.0.bias", merged),
      .matrix("mm.2.weight", merged, textWidth, .visionMatrix, gain: 1.2),
      .bias("mm.2.bias", textWidth),
    ]
  }

  /// LLaVA's two matrices with biases into `textWidth`.
  func twoMatrices(textWidth: Int) -> [TensorPlan] {
    let middle = projectorWidth ?? textWidth
    return [
      // The hidden state is not normed before the projector, and has a deviation of about 2.
      .matrix("mm.0.weight", width, middle, .visionMatrix, gain: 0.7),
      .bias("mm.0.bias", middle),
      .matrix("mm.2.weight", middle, textWidth, .visionMatrix, gain: 1.2),
      .bias("mm.2.bias", textWidth),
    ]
  }

  /// `[patchSize, patchSize, 3, width]`: a coarse 4 x 4 pattern per colour that answers to shapes and colours, and
  /// fine noise that answers to texture.
  func patchKernel(
    _ role: TensorPlan.Role, name: String = "v.patch_embd.weight", gain: Float = 1.5
  ) -> TensorPlan {
    let side = patchSize
    let coarse = gain / Float(3 * side * side).squareRoot()
    return TensorPlan(
      name: name, shape: [side, side, 3, width], role: role,
      fill: { row, noise, destination in
        // A row is one line of one colour plane of one kernel; the pattern's line is drawn anew for each band of four.
        let band = (row % side) / 4
        var pattern = Noise(seed: UInt64(row / side) &* 4 &+ UInt64(band), tensor: "pattern")
        let levels = (0..<(side + 3) / 4).map { _ in pattern.normal() * coarse }
        for x in destination.indices { destination[x] = levels[x / 4] + noise.normal() * coarse * 0.5 }
      }, deviation: coarse)
  }

  /// - Parameter fused: whether query, key and value are one matrix.
  func layerTensors(_ layer: Int, fused: Bool = false) -> [TensorPlan] {
    let prefix = "v.blk.\(layer)."
    let (first, second) = hasSwappedFeedForwardNames ? ("ffn_down", "ffn_up") : ("ffn_up", "ffn_down")
    func norm(_ name: String) -> [TensorPlan] {
      let weight = TensorPlan.norm(prefix + name + ".weight", width)
      return normsAreRMS ? [weight] : [weight, .bias(prefix + name + ".bias", width)]
    }
    func projection(_ name: String, gain: Float) -> [TensorPlan] {
      let matrix = TensorPlan.matrix(prefix + name + ".weight", width, width, .visionMatrix, gain: gain)
      return normsAreRMS ? [matrix] : [matrix, .bias(prefix + name + ".bias", width)]
    }
    // Of both signs, and far from 1.
    func scale(_ name: String) -> [TensorPlan] {
      hasLayerScales ? [.noise(prefix + name + ".weight", [width], .vector, deviation: 0.8)] : []
    }
    var plans = norm("ln1")
    if fused {
      plans += [
        .matrix(prefix + "attn_qkv.weight", width, 3 * width, .visionMatrix, gain: 1.5),
        .bias(prefix + "attn_qkv.bias", 3 * width),
      ]
    } else {
      plans += projection("attn_q", gain: 1.5) + projection("attn_k", gain: 1.5) + projection("attn_v", gain: 1)
    }
    if normsAreRMS {
      plans += [
        .headNorm(prefix + "attn_q_norm.weight", width, mean: 1.6),
        .headNorm(prefix + "attn_k_norm.weight", width, mean: 1.6),
      ]
    }
    plans += [
      .matrix(prefix + "attn_out.weight", width, width, .visionMatrix),
      .bias(prefix + "attn_out.bias", width),
    ]
    plans += scale("ls1") + norm("ln2")
    plans += [
      .matrix(prefix + first + ".weight", width, feedForward, .visionMatrix, gain: 1.2),
      .bias(prefix + first + ".bias", feedForward),
      .matrix(prefix + second + ".weight", feedForward, width, .visionMatrix, gain: 1.5),
      .bias(prefix + second + ".bias", width),
    ]
    return plans + scale("ls2")
  }
}
