import OccamCore
import OccamMatmul
import OccamTensors

/// A DeepStack plane to the language model's width: LayerNorm over the merged patches, linear, GELU, linear.
/// Reference: Hugging Face transformers, modeling_qwen3_vl.py, `Qwen3VLVisionPatchMerger` (`use_postshuffle_norm`).
struct PlaneMerger: Projector {
  let weightBytes: Int
  private let norm: LayerNormWeights
  private let epsilon: Float
  private let first: LinearWeights  // [inputs x inputs]
  private let second: LinearWeights  // [outputs x inputs]

  /// - Parameters:
  ///   - prefix: of the tensors, "v.deepstack.5.".
  ///   - inputs: width of a token's patches together.
  init(_ loader: WeightLoader, _ prefix: String, inputs: Int, outputs: Int, epsilon: Float) throws {
    let before = loader.bytes
    self.epsilon = epsilon
    norm = try LayerNormWeights(loader, prefix + "norm", inputs)
    first = try LinearWeights(loader, prefix + "fc1", outputs: inputs, inputs: inputs)
    second = try LinearWeights(loader, prefix + "fc2", outputs: outputs, inputs: inputs)
    weightBytes = loader.bytes - before
  }

  var inputs: Int { first.weight.columns }
  var outputs: Int { second.weight.rows }

  func project(_ features: MatrixView<Float>, into target: MatrixView<Float>, compute: Compute) {
    let normed = compute.view(.normed, rows: features.rows, columns: inputs)
    let hidden = compute.view(.hidden, rows: features.rows, columns: inputs)
    timed("projector", products(features.rows, first.weight, second.weight)) {
      norm.apply(features, epsilon: epsilon, into: normed, compute)
      compute.matmul.load(normed)
      first.multiply(into: hidden, activation: compute.tensors.function(.geluErf), compute)
      compute.matmul.load(hidden)
      second.multiply(into: target, compute)
    }
    Probe.tensor("vision.plane", target)
  }
}
