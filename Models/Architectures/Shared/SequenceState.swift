import OccamTensors

/// What one decoder layer remembers of a sequence.
package enum LayerStateShape: Sendable, Hashable {
  /// Keys and values, entry by entry.
  case attention(KVCacheShape)
  /// A state of fixed size.
  case recurrent(RecurrentShape)
  /// Nothing of its own: it attends to the keys and values of an earlier layer.
  case shared(layer: Int)

  package func byteCount(tokens: Int, formats: KVCacheFormats) -> Int {
    switch self {
    case .attention(let shape): shape.byteCount(entries: shape.entries(tokens: tokens), formats: formats)
    case .recurrent(let shape): shape.byteCount
    case .shared: 0
    }
  }
}

/// All that a decoder remembers of one sequence, layer by layer. One owner at a time.
package final class SequenceState {
  private let shape: TextShape
  /// One a layer; nil where a layer reads another's.
  private let layers: [(any LayerState)?]
  /// Of each layer the last that reads its state.
  private let lastReaders: [Int]

  package init(_ shape: TextShape, formats: KVCacheFormats) {
    self.shape = shape
    layers = shape.states.map { state -> (any LayerState)? in
      switch state {
      case .attention(let shape): LayerKVCache(shape, formats: formats)
      case .recurrent(let shape): RecurrentState(shape)
      case .shared: nil
      }
    }
    lastReaders = shape.states.indices.map { layer in
      shape.states.lastIndex { if case .shared(layer) = $0 { true } else { false } } ?? layer
    }
  }

  /// The entries that layer `layer` attends to; the caller guarantees that it attends.
  package func keyValues(_ layer: Int) -> LayerKVCache {
    if case .shared(let other) = shape.states[layer] { return keyValues(other) }
    guard let cache = layers[layer] as? LayerKVCache else {
      preconditionFailure("SequenceState: layer \(layer) keeps no keys and values")
    }
    return cache
  }

  /// The state of recurrent layer `layer`; the caller guarantees that it is one.
  package func recurrent(_ layer: Int) -> RecurrentState {
    guard let state = layers[layer] as? RecurrentState else {
      preconditionFailure("SequenceState: layer \(layer) is not recurrent")
    }
    return state
  }

  /// Each layer's own state; nil where it has none.
  package subscript(_ layer: Int) -> (any LayerState)? { layers[layer] }

  package var byteCount: Int { layers.reduce(0) { $0 + ($1?.byteCount ?? 0) } }

  /// What all layers would take for a sequence of `tokens`.
  package func byteCount(forTokens tokens: Int) -> Int {
    layers.reduce(0) { $0 + ($1?.byteCount(forTokens: tokens) ?? 0) }
  }

  /// Entries that each layer reads; a recurrent layer has none.
  package var entryCounts: [Int] {
    layers.indices.map { shape.attention($0) == nil ? 0 : keyValues($0).count }
  }

  /// The largest position, `position` at most, at which every layer can go on.
  package func resumePoint(atMost position: Int32) -> Int32 {
    var point = position
    while true {
      let common = layers.reduce(point) { min($0, $1?.resumePoint(atMost: $0) ?? $0) }
      if common == point { return point }
      point = common
    }
  }

  package func resume(at position: Int32) { for layer in layers { layer?.resume(at: position) } }

  package func snapshot(_ range: Range<Int>, at position: Int32) {
    for layer in layers[range] { layer?.snapshot(at: position) }
  }

  /// Of the newest `last` rows keeps only these in the layers of `range`.
  package func keep(_ rows: [Int], ofLast last: Int, in range: Range<Int>) {
    for layer in layers[range] { layer?.keep(rows, ofLast: last) }
  }

  /// Forgets the newest `rows` rows of a pass that took several, each as in a pass of its own; the first stays.
  package func takeBack(_ rows: Int) { for layer in layers { layer?.takeBack(rows) } }

  package func reserve(more rows: Int) { for layer in layers { layer?.reserve(more: rows) } }

  /// Frees what no row at `position` or behind it sees in the layers of `range`. What layers behind these read of an
  /// earlier one stays: a prefill may bring them rows from before `position`.
  package func dropUnreachable(from position: Int32, in range: Range<Int>) {
    for (layer, reader) in zip(layers, lastReaders) where range.contains(reader) {
      layer?.dropUnreachable(from: position)
    }
  }

  package func removeAll() { for layer in layers { layer?.removeAll() } }
}
