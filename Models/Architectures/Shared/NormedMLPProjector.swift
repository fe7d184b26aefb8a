import OccamCore
import OccamMatmul
import OccamTensors

/// A LayerNorm over a token's merged patches, linear, GELU (the exact one), linear.
final class NormedMLPProjector: Projector {
  /// Names of the three in the file, without `.weight` and `.bias`.
  struct Names: Sendable {
    let norm: String
    let first: String
    let second: String
  }

  let inputs: Int
  let outputs: Int
  let weightBytes: Int
  private let norm: LayerNormWeights
  private let first: LinearWeights
  private let second: LinearWeights

  /// PyTorch's default, which the references leave as it is whatever the encoder's.
  private static let epsilon: Float = 1e-5

  init(_ loader: WeightLoader, _ names: Names, inputs: Int, outputs: Int) throws {
    let before = loader.bytes
    self.inputs = inputs
    self.outputs = outputs
    let middle = try loader.file.projectorRows(names.first + ".weight")
    norm = try LayerNormWeights(loader, names.norm, inputs)
    first = try LinearWeights(loader, names.first, outputs: middle, inputs: inputs)
    second = try LinearWeights(loader, names.second, outputs: outputs, inputs: middle)
    weightBytes = loader.bytes - before
  }

  func project(_ features: MatrixView<Float>, into target: MatrixView<Float>, compute: Compute) {
    let normed = compute.view(.normed, rows: features.rows, columns: inputs)
    let hidden = compute.view(.hidden, rows: features.rows, columns: first.weight.rows)
    timed("projector", products(features.rows, first.weight, second.weight)) {
      norm.apply(features, epsilon: NormedMLPProjector.epsilon, into: normed, compute)
      compute.matmul.load(normed)
      first.multiply(into: hidden, activation: compute.tensors.function(.geluErf), compute)
      compute.matmul.load(hidden)
      second.multiply(into: target, compute)
    }
    Probe.tensor("vision.embeddings", target)
  }
}
