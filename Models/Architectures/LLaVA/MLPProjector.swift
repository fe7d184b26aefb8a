import OccamCore
import OccamGGUF
import OccamMatmul
import OccamTensors

/// LLaVA-1.5's projector: linear, GELU, linear. Tensors mm.0 and mm.2.
package final class MLPProjector: Projector {
  package let inputs: Int
  package let outputs: Int
  package let weightBytes: Int
  private let first: LinearWeights
  private let second: LinearWeights
  private let activation: Activation

  /// Widths between and behind the layers, from the file's header.
  static func sizes(_ file: GGUFFile) throws -> (middle: Int, outputs: Int) {
    func rows(_ name: String) throws -> Int {
      if let rows = file.tensor(name)?.dimensions.dropFirst().first { return rows }
      throw ModelError(.missingTensor, file.subject, "projector tensor '\(name)' is missing or not a matrix")
    }
    return (try rows("mm.0.weight"), try rows("mm.2.weight"))
  }

  /// - Parameter activation: the tanh form unless told otherwise, as ggml computes it.
  package init(_ loader: WeightLoader, inputs: Int, activation: Activation = .gelu) throws {
    let before = loader.bytes
    let (middle, outputs) = try MLPProjector.sizes(loader.file)
    // The Yi variant has the same projector type and norms between its layers.
    guard !loader.has("mm.3.weight") else {
      throw ModelError(.unknownProjector, loader.file.subject, "unknown projector 'mlp' with mm.3.weight (mlp_norm)")
    }
    self.inputs = inputs
    self.outputs = outputs
    self.activation = activation
    first = try LinearWeights(loader, "mm.0", outputs: middle, inputs: inputs)
    second = try LinearWeights(loader, "mm.2", outputs: outputs, inputs: middle)
    weightBytes = loader.bytes - before
  }

  package func project(_ features: MatrixView<Float>, into target: MatrixView<Float>, compute: Compute) {
    let hidden = compute.view(.hidden, rows: features.rows, columns: first.weight.rows)
    timed("projector", products(features.rows, first.weight, second.weight)) {
      compute.matmul.load(features)
      first.multiply(into: hidden, activation: compute.tensors.function(activation), compute)
      compute.matmul.load(hidden)
      second.multiply(into: target, compute)
    }
    Probe.tensor("vision.embeddings", target)
  }
}
