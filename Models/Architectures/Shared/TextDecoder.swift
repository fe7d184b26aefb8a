import OccamCore
import OccamPruning
import OccamTensors

/// Sizes of a text decoder, all in elements.
package struct TextShape: Sendable, Equatable {
  package var hidden: Int
  package var heads: Int
  package var feedForward: Int
  package var vocabulary: Int
  /// Positions the model was trained for.
  package var contextLength: Int
  /// What each layer stores of a token.
  package var caches: [KVCacheShape]
  /// The rows of an image see each other in both directions.
  package var imagesAreBidirectional = false
  /// Of feed-forward networks that are mixtures of experts.
  package var experts: ExpertShape?

  package var layers: Int { caches.count }

  /// The first layer, from 1, at or behind a third of the depth that sees the whole sequence: where stage II acts unless
  /// told otherwise (the paper's 11 of 32).
  package var defaultPruningLayer: Int {
    let third = PruningOptions.defaultLayer(layers: layers)
    return caches.indices.first { $0 + 1 >= third && caches[$0].window == nil }.map { $0 + 1 } ?? third
  }

  /// Bytes that all layers' caches take for a sequence of `tokens` rows, as they allocate them.
  package func cacheBytes(tokens: Int, format: LayerKVCache.CellFormat) -> Int {
    caches.reduce(0) { $0 + $1.byteCount(entries: $1.entries(tokens: tokens), format: format) }
  }
}

/// A language model as the prefill driver and the decode loop see it: embeddings, a group of layers, logits.
///
/// Implementations are immutable; all that changes is in `Compute` and in the layers' caches.
package protocol TextDecoder: Sendable {
  var shape: TextShape { get }
  /// Packed bytes of all weights.
  var weightBytes: Int { get }
  /// Packed bytes that one decoded token reads: all but the embedding table and the experts it does not take.
  var bytesPerToken: Int { get }

  /// `row` [hidden] becomes the input row of `token`.
  func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>)

  /// Runs `layers` over all rows of `input.hidden` in place, appending the rows' keys and values to `caches[layer]`.
  /// - Throws: `Cancelled` between two layers; the caches are then to be discarded.
  func forward(layers: Range<Int>, _ input: PassInput, caches: [LayerKVCache], compute: Compute) throws(Cancelled)

  /// Logits [rows x vocabulary] of the rows of `hidden` [rows x hidden], final norm included.
  func logits(_ hidden: MatrixView<Float>, into: MatrixView<Float>, compute: Compute)
}

extension TextDecoder {
  /// Empty caches, one a layer.
  package func makeCaches(_ format: LayerKVCache.CellFormat) -> [LayerKVCache] {
    shape.caches.map { LayerKVCache($0, format: format) }
  }
}
