import OccamCore
import OccamMatmul
import OccamTensors

/// What each layer of Gemma 4 E2B and E4B adds for itself: an embedding of the row's token, read from the mapped file, and
/// a projection of the row as it entered the first layer. Width is that of one layer's share.
final class LayerEmbeddings: Sendable {
  let width: Int
  /// [vocabulary x layers * width].
  private let table: EmbeddingTable
  private let padding: Int32
  /// One a layer, [width x hidden].
  private let projections: [PackedMatrix]
  /// [width].
  private let norm: RMSNormWeights

  /// nil where the model has none.
  init?(_ loader: WeightLoader, _ configuration: Gemma4Configuration) throws {
    guard configuration.perLayerWidth > 0 else { return nil }
    let shape = configuration.shape
    width = configuration.perLayerWidth
    padding = configuration.padding
    table = try loader.embedding(
      "per_layer_token_embd.weight", rows: shape.vocabulary, columns: shape.layers * width, isPlanned: false)
    projections = try loader.splitMatrix(
      "per_layer_model_proj.weight", rows: width, parts: shape.layers, columns: shape.hidden)
    // The projection is divided by the root of the width before its norm, which only the epsilon feels.
    norm = try RMSNormWeights(
      loader, "per_layer_proj_norm", width, epsilon: configuration.epsilon * Float(shape.hidden))
  }

  /// (norm(Wp x) + sqrt(width) e) / sqrt(2) for each row x and layer of `layers`.
  /// - Parameter inputs: [rows x hidden], as they entered the first layer.
  /// - Returns: [rows x layers * width], valid until the next call.
  func run(
    _ inputs: MatrixView<Float>, _ tokens: UnsafeBufferPointer<Int32>, layers: Range<Int>, _ compute: Compute
  ) -> MatrixView<Float> {
    let all = compute.view(.layerInputs, rows: inputs.rows, columns: layers.count * width)
    timed("text.per-layer") {
      compute.matmul.load(inputs)
      for (index, layer) in layers.enumerated() {
        compute.matmul.multiply(by: projections[layer], into: all.slice(columns: index * width..<(index + 1) * width))
      }
      norm.applyToHeads(all, compute)
      compute.team.parallel(
        inputs.rows,
        AddEmbeddings(
          table: table, tokens: tokens, padding: padding, first: layers.lowerBound * width,
          scale: Float(width).squareRoot(), rows: all))
    }
    return all
  }

  /// x = (x + scale * e) / sqrt(2), e being part of the embedding of the row's token.
  private struct AddEmbeddings: TeamStep {
    let table: EmbeddingTable
    let tokens: UnsafeBufferPointer<Int32>
    let padding: Int32
    /// The first number of the embedding that counts.
    let first: Int
    let scale: Float
    let rows: MatrixView<Float>

    func run(_ range: Range<Int>, worker: Int) {
      let root = Float(0.5).squareRoot()
      withUnsafeTemporaryAllocation(of: Float.self, capacity: table.columns) { embedding in
        guard let base = embedding.baseAddress else { return }
        for row in range {
          table.decode(Int(tokens[row] == PassInput.noToken ? padding : tokens[row]), into: base)
          let numbers = rows.row(row)
          for index in 0..<rows.columns { numbers[index] = (numbers[index] + scale * base[first + index]) * root }
        }
      }
    }
  }
}
