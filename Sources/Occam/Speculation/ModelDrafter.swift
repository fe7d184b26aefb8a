import Glibc
import OccamCore
import OccamMatmul
import OccamModels
import OccamTensors

/// Guesses what a draft model says, greedily. One a session: it remembers what it read, and reads on from where its text
/// and the conversation part.
final class ModelDrafter: Drafter {
  /// It read the last token to find nothing likely behind it.
  let costOfSilence = 1
  /// As `Speculation.minProbability`.
  var minProbability: Float = 0
  private let decoder: any TextDecoder
  private let compute: Compute
  private let states: SequenceState
  private let rows = TokenRows()
  /// Tokens that `states` hold.
  private var known: [Int32] = []

  init(_ model: DraftModel, kernels: KernelSet, team: WorkerTeam, formats: KVCacheFormats) {
    decoder = model.decoder
    compute = Compute(kernels: kernels, team: team)
    states = SequenceState(model.decoder.shape, formats: formats)
  }

  var byteCount: Int { states.byteCount + compute.byteCount }

  var isCancelled: () -> Bool {
    get { compute.isCancelled }
    set { compute.isCancelled = newValue }
  }

  /// The conversation is over.
  func forget() {
    states.removeAll()
    known = []
  }

  /// Gives the activations back.
  func release() { compute.release() }

  func guesses(behind history: [Int32], atMost count: Int) throws(OccamError) -> [Int32] {
    // The larger model may have a longer context, and tokens that this one has no embedding of.
    let shape = decoder.shape
    guard history.count + count <= shape.contextLength, history.allSatisfy({ $0 < shape.vocabulary }) else { return [] }
    let result: Result<[Int32], OccamError>
    do throws(OccamError) {
      result = .success(try translating("draft model") { try read(history, count) })
    } catch {
      // Some layers may be ahead of others.
      forget()
      result = .failure(error)
    }
    return try result.get()
  }

  private func read(_ history: [Int32], _ count: Int) throws(Cancelled) -> [Int32] {
    // The last row is computed in any case: its logits are wanted.
    let shared = zip(known, history.dropLast()).prefix { $0 == $1 }.count
    let point = Int(states.resumePoint(atMost: Int32(shared)))
    if point == 0 { states.removeAll() } else { states.resume(at: Int32(point)) }
    known = Array(history[..<point])
    var next: Int32?
    for chunk in PrefillDriver.chunks(history.count - point, whole: []) {
      let end = point + chunk.upperBound
      next = try run(history[point + chunk.lowerBound..<end], isLast: end == history.count)
      states.dropUnreachable(from: Int32(known.count), in: 0..<decoder.shape.layers)
    }
    compute.trim()
    // What follows may be wrong: states of fixed size go back to here.
    states.snapshot(0..<decoder.shape.layers, at: Int32(known.count))
    var guesses: [Int32] = []
    while let guess = next {
      guesses.append(guess)
      if guesses.count == count { break }
      next = try run([guess], isLast: true)
    }
    return guesses
  }

  /// Runs tokens through all layers. - Returns: what comes next; nil where that is not asked, or not clear.
  private func run(_ tokens: ArraySlice<Int32>, isLast: Bool) throws(Cancelled) -> Int32? {
    guard let first = tokens.first else { return nil }
    let shape = decoder.shape
    rows.load(first, tokens.dropFirst(), at: Int32(known.count))
    let hidden = compute.view(.residual, rows: rows.count, columns: shape.hidden)
    let logits = compute.view(.logits, rows: 1, columns: shape.vocabulary)
    try compute.team.pass(isShort: rows.count == 1) { () throws(Cancelled) in
      let input = rows.input(hidden, decoder, lastRowOnly: true)
      try decoder.forward(layers: 0..<shape.layers, input, states: .one(states), compute: compute)
      guard isLast else { return }
      decoder.logits(hidden.slice(rows: rows.count - 1..<rows.count), into: logits, compute: compute)
    }
    known += tokens
    return isLast ? likeliest(logits) : nil
  }

  /// The likeliest token, of equals the lowest; nil if it has less than the probability wanted.
  private func likeliest(_ logits: MatrixView<Float>) -> Int32? {
    let row = logits.row(0)
    var best = 0
    for index in 1..<max(logits.columns, 1) where row[index] > row[best] { best = index }
    guard minProbability > 0 else { return Int32(best) }
    var sum: Float = 0
    // What lies further below adds nothing.
    for index in 0..<logits.columns where row[index] > row[best] - 24 { sum += exp(row[index] - row[best]) }
    return 1 / sum >= minProbability ? Int32(best) : nil
  }
}
