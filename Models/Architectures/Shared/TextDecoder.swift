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
  /// What each layer remembers of a sequence.
  package var states: [LayerStateShape]
  /// The rows of an image see each other in both directions.
  package var imagesAreBidirectional = false
  /// Of feed-forward networks that are mixtures of experts.
  package var experts: ExpertShape?
  /// How a prompt's rows are numbered.
  package var positions = PositionScheme.sequence
  /// Layers behind which an image's planes are added (DeepStack): as many of the first.
  package var injectedLayers = 0
  /// Numbers of a row that a layer works with while it mixes rows, where they are more than attention's own.
  package var mixerWidth = 0
  /// Layers behind the first read the rows as they entered it, too (`PassInput.inputs`).
  package var readsInputs = false
  /// Numbers that all layers together take beside the hidden row of each token.
  package var layerInputs = 0
  /// How deep stage II acts unless told otherwise.
  package var pruningDepth = PruningDepth.llava

  /// - Parameter caches: one a layer: all layers attend.
  package init(
    hidden: Int, heads: Int, feedForward: Int, vocabulary: Int, contextLength: Int, caches: [KVCacheShape]
  ) {
    self.init(
      hidden: hidden, heads: heads, feedForward: feedForward, vocabulary: vocabulary, contextLength: contextLength,
      states: caches.map { .attention($0) })
  }

  package init(
    hidden: Int, heads: Int, feedForward: Int, vocabulary: Int, contextLength: Int, states: [LayerStateShape]
  ) {
    self.hidden = hidden
    self.heads = heads
    self.feedForward = feedForward
    self.vocabulary = vocabulary
    self.contextLength = contextLength
    self.states = states
  }

  package var layers: Int { states.count }

  /// The keys and values that a layer attends to, its own or another layer's; nil: it does not attend.
  package func attention(_ layer: Int) -> KVCacheShape? {
    switch states[layer] {
    case .attention(let shape): shape
    case .recurrent: nil
    case .shared(let other): attention(other)
    }
  }

  /// The layers, from 1, that attend.
  package var attendingLayers: [Int] { states.indices.filter { attention($0) != nil }.map { $0 + 1 } }

  /// The first layer, from 1, at or behind `pruningDepth` that attends to the whole sequence: where stage II acts unless
  /// told otherwise. If there is none, the first that attends at all, and if they all lie before, the last of them. Where
  /// layers read others' entries, the last such layer in front of all that are read, if that comes first: what stage II
  /// drops is then never stored in them.
  package var defaultPruningLayer: Int {
    let wanted = PruningOptions.defaultLayer(layers: layers, depth: pruningDepth)
    let found =
      pruningLayer(atLeast: wanted) ?? attendingLayers.first { $0 >= wanted } ?? attendingLayers.last ?? wanted
    guard let read = states.compactMap({ if case .shared(let layer) = $0 { layer } else { nil } }).min(), found > read,
      let before = (0..<read).last(where: { attention($0).map { $0.window == nil } ?? false })
    else { return found }
    return before + 1
  }

  /// The first layer, from 1, at or behind `layer` whose attention sees the whole sequence.
  package func pruningLayer(atLeast layer: Int) -> Int? {
    states.indices.first { index in
      guard index + 1 >= layer, let attention = attention(index) else { return false }
      return attention.window == nil
    }.map { $0 + 1 }
  }

  /// A user's wishes, the calibration and the defaults, made concrete for these layers; nil: no pruning.
  package func settings(_ wishes: PruningOptions, _ sidecar: Sidecar?) throws(PruningError) -> PruningSettings? {
    try wishes.settings(
      layers: layers, defaultLayer: defaultPruningLayer, attending: attendingLayers, sidecar: sidecar)
  }

  /// Bytes that all layers' states take for a sequence of `tokens` rows, as they allocate them.
  package func stateBytes(tokens: Int, formats: KVCacheFormats) -> Int {
    states.reduce(0) { $0 + $1.byteCount(tokens: tokens, formats: formats) }
  }

  /// Bytes that it takes to make a row of a pass one to go back to (`RecurrentState.rememberRow`).
  package var rowBytes: Int {
    states.reduce(0) { sum, state in if case .recurrent(let shape) = state { sum + shape.copyBytes } else { sum } }
  }
}

/// A language model as the prefill driver and the decode loop see it: embeddings, a group of layers, logits.
///
/// Implementations are immutable; all that changes is in `Compute` and in the layers' states.
package protocol TextDecoder: Sendable {
  var shape: TextShape { get }
  /// Packed bytes of all weights.
  var weightBytes: Int { get }
  /// Packed bytes that one decoded token reads: all but the embedding table and the experts it does not take.
  var bytesPerToken: Int { get }

  /// `row` [hidden] becomes the input row of `token`.
  func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>)

  /// Runs `layers` over all rows of `input.hidden` in place, which moves those layers' `states` behind the rows.
  /// - Throws: `Cancelled` between two layers; the states are then to be discarded.
  func forward(layers: Range<Int>, _ input: PassInput, states: PassSequences, compute: Compute) throws(Cancelled)

  /// Logits [rows x vocabulary] of the rows of `hidden` [rows x hidden], final norm included.
  func logits(_ hidden: MatrixView<Float>, into: MatrixView<Float>, compute: Compute)
}
