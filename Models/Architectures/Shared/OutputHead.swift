import OccamCore
import OccamMatmul

/// What stands behind the last layer: the final norm and the output head, which may be the embedding table.
struct OutputHead: Sendable {
  let norm: RMSNormWeights
  let head: PackedMatrix  // [vocabulary x hidden]

  init(_ loader: WeightLoader, _ shape: TextShape, epsilon: Float, norm name: String = "output_norm") throws {
    norm = try RMSNormWeights(loader, name, shape.hidden, epsilon: epsilon)
    // Tied models have no output.weight: the embedding table is the output head.
    let name = loader.has("output.weight") ? "output.weight" : "token_embd.weight"
    head = try loader.matrix(name, rows: shape.vocabulary, columns: shape.hidden)
  }

  /// Logits [rows x vocabulary] of the rows of `hidden` [rows x hidden].
  func run(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, _ compute: Compute) {
    let normed = compute.view(.normed, rows: hidden.rows, columns: hidden.columns)
    norm.apply(hidden, into: normed, compute)
    timed("text.head", products(hidden.rows, head)) {
      compute.matmul.load(normed)
      compute.matmul.multiply(by: head, into: logits)
    }
    Probe.tensor("text.logits", logits)
  }
}
