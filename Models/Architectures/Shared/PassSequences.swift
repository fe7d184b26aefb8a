import OccamTensors

/// Whose rows a pass holds: rows of one sequence, or one row each of several sequences that decode together, so that
/// the weights are read once for all of them. A row's result is the same either way, bit by bit.
package enum PassSequences {
  case one(SequenceState)
  /// Row i is the next of sequence i; no sequence stands twice.
  case rows([SequenceState])

  /// Keys and values of layer `layer`, sequence by sequence.
  func keyValues(_ layer: Int) -> LayerCaches { LayerCaches(sequences: self, layer: layer) }

  /// The states of recurrent layer `layer`, sequence by sequence.
  func recurrent(_ layer: Int) -> RecurrentStates { RecurrentStates(sequences: self, layer: layer) }

  /// Calls `body` with each sequence and those of `rows` rows that are its own.
  fileprivate func forEach(_ rows: Int, _ body: (SequenceState, Range<Int>) -> Void) {
    switch self {
    case .one(let states): body(states, 0..<rows)
    case .rows(let states):
      precondition(states.count == rows, "PassSequences: one row a sequence")
      for index in 0..<rows { body(states[index], index..<index + 1) }
    }
  }
}

/// What the rows of a pass attend to in one layer.
struct LayerCaches {
  let sequences: PassSequences
  let layer: Int

  func forEach(_ rows: Int, _ body: (LayerKVCache, Range<Int>) -> Void) {
    sequences.forEach(rows) { states, part in body(states.keyValues(layer), part) }
  }
}

/// What the rows of a pass carry on in one recurrent layer.
struct RecurrentStates {
  let sequences: PassSequences
  let layer: Int

  func forEach(_ rows: Int, _ body: (RecurrentState, Range<Int>) -> Void) {
    sequences.forEach(rows) { states, part in body(states.recurrent(layer), part) }
  }
}
