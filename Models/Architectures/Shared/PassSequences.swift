import OccamTensors

/// Whose rows a pass holds: rows of one sequence, or single rows of sequences that decode, so that the weights are read
/// once for all of them.
package enum PassSequences {
  case one(SequenceState)
  /// Row i is the next of sequence i. A sequence that stands several times, one behind the other, takes as many rows,
  /// each as in a pass of its own: its result is that pass's, bit by bit. The last of them can be taken back
  /// (`SequenceState.takeBack`).
  case rows([SequenceState])

  /// Keys and values of layer `layer`, sequence by sequence.
  func keyValues(_ layer: Int) -> LayerCaches { LayerCaches(sequences: self, layer: layer) }

  /// The states of recurrent layer `layer`, sequence by sequence.
  func recurrent(_ layer: Int) -> RecurrentStates { RecurrentStates(sequences: self, layer: layer) }

  /// Calls `body` with each sequence and those of `rows` rows that are its own, in order.
  fileprivate func forEach(_ rows: Int, _ body: (SequenceState, Range<Int>) -> Void) {
    switch self {
    case .one(let states): body(states, 0..<rows)
    case .rows(let states):
      precondition(states.count == rows, "PassSequences: one row a sequence")
      for index in 0..<rows { body(states[index], index..<index + 1) }
    }
  }

  /// Whether row `row` is the first of its sequence's, and whether it is the last.
  fileprivate func place(_ row: Int) -> (isFirst: Bool, isLast: Bool) {
    guard case .rows(let states) = self else { return (true, true) }
    return (
      row == 0 || states[row - 1] !== states[row], row == states.count - 1 || states[row + 1] !== states[row]
    )
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

  /// Call it once a layer and pass: behind `body` a row has passed through the state.
  func forEach(_ rows: Int, _ body: (RecurrentState, Range<Int>) -> Void) {
    sequences.forEach(rows) { states, part in
      let state = states.recurrent(layer)
      let place = sequences.place(part.lowerBound)
      if place.isFirst { state.forgetRows() }
      body(state, part)
      if !place.isLast { state.rememberRow() }
    }
  }
}
