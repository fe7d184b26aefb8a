import OccamCore
import OccamMatmul

/// A projector of one matrix, behind a norm if the family has one: W norm(x).
final class LinearProjector: Projector {
  let inputs: Int
  let outputs: Int
  let weightBytes: Int
  private let norm: RMSNormWeights?
  private let matrix: PackedMatrix  // [outputs x inputs]

  init(_ matrix: PackedMatrix, norm: RMSNormWeights? = nil) {
    self.matrix = matrix
    self.norm = norm
    inputs = matrix.columns
    outputs = matrix.rows
    weightBytes = matrix.byteCount + (norm?.weight.byteCount ?? 0)
  }

  func project(_ features: MatrixView<Float>, into target: MatrixView<Float>, compute: Compute) {
    let normed = norm == nil ? features : compute.view(.hidden, rows: features.rows, columns: inputs)
    timed("projector", products(features.rows, matrix)) {
      norm?.apply(features, into: normed, compute)
      compute.matmul.load(normed)
      compute.matmul.multiply(by: matrix, into: target)
    }
    Probe.tensor("vision.embeddings", target)
  }
}
