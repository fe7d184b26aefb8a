import OccamCore
import OccamTensors

/// Sizes of a text decoder, all in elements.
package struct TextShape: Sendable, Equatable {
  package var layers: Int
  package var hidden: Int
  package var heads: Int
  package var kvHeads: Int
  package var headDimension: Int
  package var feedForward: Int
  package var vocabulary: Int
  /// Positions the model was trained for.
  package var contextLength: Int
}

/// A language model as the prefill driver and the decode loop see it: embeddings, a group of layers, logits.
///
/// Implementations are immutable; all that changes is in `Compute` and in the KV cells.
package protocol TextDecoder: Sendable {
  var shape: TextShape { get }
  /// Packed bytes of all weights.
  var weightBytes: Int { get }
  /// Packed bytes that one decoded token reads: all but the embedding table.
  var bytesPerToken: Int { get }

  /// `row` [hidden] becomes the embedding of `token`.
  func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>)

  /// Runs `layers` over all rows of `hidden` [rows x hidden] in place, appending the rows' keys and values to
  /// `cells[layer]`. Row i attends to every cell stored before and to rows 0...i.
  /// - Parameters:
  ///   - positions: one a row, for RoPE.
  ///   - scores: attention rows wanted of the last layer of the group.
  ///   - lastRowOnly: after the group only the last row is wanted; the last layer computes no other.
  /// - Throws: `Cancelled` between two layers; the cells are then to be discarded.
  func forward(
    layers: Range<Int>, hidden: MatrixView<Float>, positions: [Int32], cells: [LayerCells], compute: Compute,
    scores: ScoreRequest?, lastRowOnly: Bool) throws(Cancelled)

  /// Logits [rows x vocabulary] of the rows of `hidden` [rows x hidden], final norm included.
  func logits(_ hidden: MatrixView<Float>, into: MatrixView<Float>, compute: Compute)
}
