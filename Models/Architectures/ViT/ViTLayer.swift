import OccamCore
import OccamMatmul

/// Weights of one encoder layer.
struct ViTLayer: Sendable {
  let norm1: EncoderNorm
  let query: LinearWeights
  let key: LinearWeights
  let value: LinearWeights
  /// Over all heads together, before they are taken apart.
  let queryNorm: RMSNormWeights?  // [hidden]
  let keyNorm: RMSNormWeights?  // [hidden]
  let output: ScaledBranch
  let norm2: EncoderNorm
  let up: LinearWeights  // [feedForward x hidden]
  let down: ScaledBranch  // [hidden x feedForward]

  init(_ loader: WeightLoader, _ index: Int, _ configuration: ViTConfiguration) throws {
    let prefix = "v.blk.\(index)."
    let shape = configuration.shape
    let (hidden, epsilon) = (shape.hidden, configuration.epsilon)
    norm1 = try EncoderNorm(loader, prefix + "ln1", hidden, configuration)
    query = try LinearWeights(loader, prefix + "attn_q", outputs: hidden, inputs: hidden)
    key = try LinearWeights(loader, prefix + "attn_k", outputs: hidden, inputs: hidden)
    value = try LinearWeights(loader, prefix + "attn_v", outputs: hidden, inputs: hidden)
    queryNorm = try RMSNormWeights(optional: loader, prefix + "attn_q_norm", hidden, epsilon: epsilon)
    keyNorm = try RMSNormWeights(optional: loader, prefix + "attn_k_norm", hidden, epsilon: epsilon)
    norm2 = try EncoderNorm(loader, prefix + "ln2", hidden, configuration)
    // Files of the older converter name the two matrices the other way round; the shape tells (llama.cpp does the same:
    // they are swapped iff "down" takes `hidden` inputs).
    let swapped = loader.file.tensor(prefix + "ffn_down.weight")?.dimensions.first == hidden
    up = try LinearWeights(
      loader, prefix + (swapped ? "ffn_down" : "ffn_up"), outputs: shape.feedForward, inputs: hidden)
    func branch(_ name: String, inputs: Int, scale: String) throws -> ScaledBranch {
      ScaledBranch(
        linear: try LinearWeights(loader, prefix + name, outputs: hidden, inputs: inputs),
        scale: configuration.hasLayerScales ? try loader.vector(prefix + scale + ".weight", count: hidden) : nil)
    }
    output = try branch("attn_out", inputs: hidden, scale: "ls1")
    down = try branch(swapped ? "ffn_up" : "ffn_down", inputs: shape.feedForward, scale: "ls2")
  }
}

/// A norm round an encoder's layers: LayerNorm, or RMSNorm where the file holds no biases of norms.
enum EncoderNorm: Sendable {
  case layer(LayerNormWeights, epsilon: Float)
  case rms(RMSNormWeights)

  init(_ loader: WeightLoader, _ name: String, _ count: Int, _ configuration: ViTConfiguration) throws {
    self =
      configuration.normsAreRMS
      ? .rms(try RMSNormWeights(loader, name, count, epsilon: configuration.epsilon))
      : .layer(try LayerNormWeights(loader, name, count), epsilon: configuration.epsilon)
  }

  func apply(_ x: MatrixView<Float>, into out: MatrixView<Float>, _ compute: Compute) {
    switch self {
    case .layer(let weights, let epsilon): weights.apply(x, epsilon: epsilon, into: out, compute)
    case .rms(let weights): weights.apply(x, into: out, compute)
    }
  }
}

/// What a layer adds to its input: s * (W h + b), s one factor a channel (LayerScale), 1 where the file has none.
struct ScaledBranch: Sendable {
  let linear: LinearWeights
  let scale: AlignedBuffer<Float>?  // [outputs]

  /// x += s * (W h + b), h being what `compute.matmul` has loaded.
  func add(to x: MatrixView<Float>, _ compute: Compute) {
    guard let scale else { return linear.multiply(into: x, accumulate: true, compute) }
    let branch = compute.view(.branch, rows: x.rows, columns: x.columns)
    linear.multiply(into: branch, compute)
    compute.tensors.add(branch, scaledBy: scale.pointer, into: x)
  }
}
