import OccamCore
import OccamModels

// Decoding: a token at a time, or with guesses of what follows it.

extension SessionCore {
  /// Runs one token and guesses of those behind it through all layers, together with those of other sessions that
  /// generate. Guesses stay in the caches until they are taken back; `confirmGuess` lets one stay for good.
  /// - Parameter guesses: no more than `room` says.
  /// - Returns: logits [1 + guesses x vocabulary] behind each, those of a pass of its own, bit by bit.
  func decode(_ token: Int32, guesses: [Int32] = []) throws(OccamError) -> MatrixView<Float> {
    guard length < contextLength else {
      throw OccamError(.contextFull, "context", "is full (\(contextLength) tokens)")
    }
    let rows = 1 + guesses.count
    let shape = model.decoder.shape
    let logits = compute.view(.logits, rows: rows, columns: shape.vocabulary)
    // Between passes, so that no pass allocates: every 64 tokens each layer takes another block.
    states.dropUnreachable(from: nextPosition, in: 0..<shape.layers)
    states.reserve(more: rows)
    decodeRequest.rows.load(token, guesses, at: nextPosition)
    let isAlone = model.batcher.isAlone
    if isAlone {
      try decodeAlone(into: logits)
    } else {
      model.batcher.decode(decodeRequest, into: logits)
    }
    cached.append(.token(token))
    for guess in guesses { cached.append(.token(guess)) }
    nextPosition += Int32(rows)
    length += rows
    openGuesses = guesses.count
    // A pass of several sessions is never ended.
    if !isAlone, compute.isCancelled() { throw OccamError(.cancelled, "", "cancelled") }
    return logits
  }

  /// Guesses that the context has room for behind one more token.
  var room: Int { max(contextLength - length - 1, 0) }

  /// The first guess that is open was right.
  func confirmGuess() { openGuesses -= 1 }

  /// Takes the guesses back that nobody confirmed: the session is as if they had not been made.
  func dropGuesses() {
    guard openGuesses > 0 else { return }
    states.takeBack(openGuesses)
    cached.removeLast(openGuesses)
    nextPosition -= Int32(openGuesses)
    length -= openGuesses
    openGuesses = 0
  }

  private func decodeAlone(into logits: MatrixView<Float>) throws(OccamError) {
    let shape = model.decoder.shape
    let rows = decodeRequest.rows
    let hidden = compute.view(.residual, rows: rows.count, columns: shape.hidden)
    let isOne = rows.count == 1
    do throws(OccamError) {
      try translating("decode") {
        try compute.team.pass(isShort: true) {
          let start = Clock.nanoseconds()
          let input = rows.input(hidden, model.decoder, lastRowOnly: isOne)
          let sequence: PassSequences = isOne ? .one(states) : .rows(Array(repeating: states, count: rows.count))
          try model.decoder.forward(layers: 0..<shape.layers, input, states: sequence, compute: compute)
          model.decoder.logits(hidden, into: logits, compute: compute)
          model.batcher.note(Clock.nanoseconds() - start, sessions: 1)
        }
      }
    } catch {
      leaveBrokenPass()
      throw error
    }
  }

  /// Of a pass that was ended some layers hold rows that others do not. Entries can be taken back; states of fixed size
  /// cannot, unless there is a copy of them.
  private func leaveBrokenPass() {
    if states.resumePoint(atMost: nextPosition) == nextPosition {
      states.resume(at: nextPosition)
    } else {
      dropCache()
    }
  }
}
