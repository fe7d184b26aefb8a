import OccamCore
import OccamMatmul
import OccamModels
import OccamTensors
import Synchronization

/// Decodes for all sessions of a model that generate at the same time, in passes that hold a token of each, and guesses
/// behind it: decoding is bound by reading the weights, and a pass reads them once for all of its rows. A row's logits are
/// those of a pass of its own, bit by bit.
///
/// There is no thread for it: of the sessions that wait, one runs the pass for all.
final class DecodeBatcher: Sendable {
  /// What a session hands in, and the memory for it: one a session, reused token by token. The session is blocked while
  /// others read it.
  final class Request: @unchecked Sendable {
    let states: SequenceState
    /// What is to be decoded, loaded by the session.
    let rows = TokenRows()
    /// [rows x vocabulary], the session's.
    fileprivate(set) var logits: MatrixView<Float>?
    fileprivate var stage = Stage.idle

    init(states: SequenceState) { self.states = states }
  }

  fileprivate enum Stage { case idle, waiting, leading, done }

  private struct State {
    // Requests belong to sessions that are blocked until theirs is done.
    var waiting: [Request] = []
    var isLed = false
  }

  private let decoder: any TextDecoder
  private let team: WorkerTeam
  private let state = Monitor(State())
  /// Sessions in their decode loops.
  private let active = Atomic<Int>(0)
  private let passTime = Atomic<UInt64>(0)
  private let passes = Atomic<Int>(0)
  private let tokens = Atomic<Int>(0)
  // Touched by the session that leads only, with the team's turn.
  nonisolated(unsafe) private let compute: Compute
  nonisolated(unsafe) private let gathered = TokenRows()

  /// The longest that a pass waits for sessions that are still sampling.
  private static let gatherLimit: UInt64 = 10_000_000
  /// For how many passes' time others' prefill and encoding may keep tokens waiting.
  private static let patience = 1.0

  init(decoder: any TextDecoder, kernels: KernelSet, team: WorkerTeam) {
    self.decoder = decoder
    self.team = team
    compute = Compute(kernels: kernels, team: team)
  }

  /// Between them a session may call `decode`.
  func enter() { active.add(1, ordering: .relaxed) }
  func leave() { active.subtract(1, ordering: .relaxed) }

  /// Whether a session that decodes is the only one: its passes need nobody's company.
  var isAlone: Bool { active.load(ordering: .relaxed) <= 1 }

  /// Passes so far, and the tokens in them, guesses not counted.
  var counts: (passes: Int, tokens: Int) { (passes.load(ordering: .relaxed), tokens.load(ordering: .relaxed)) }

  /// Tells of a pass: how long it took, nanoseconds, and how many sessions had a token in it.
  func note(_ time: UInt64, sessions: Int) {
    passes.add(1, ordering: .relaxed)
    tokens.add(sessions, ordering: .relaxed)
    passTime.store(time, ordering: .relaxed)
    team.setPatience(UInt64(Double(time) * DecodeBatcher.patience))
  }

  /// Runs the request's rows through all layers, together with what other sessions hand in; blocks until it is done.
  /// - Parameters: logits: [rows x vocabulary], filled.
  func decode(_ request: Request, into logits: MatrixView<Float>) {
    request.logits = logits
    state.withLock { state in
      request.stage = state.isLed ? .waiting : .leading
      state.isLed = true
      state.waiting.append(request)
    }
    // The leader may wait for this one.
    state.broadcast()
    state.wait(until: { _ in request.stage != .waiting }) { _ in }
    guard request.stage == .leading else { return }
    gather()
    team.pass(isShort: true) {
      let batch = state.withLock { state in
        defer { state.waiting = [] }
        return state.waiting
      }
      let start = Clock.nanoseconds()
      run(batch)
      note(Clock.nanoseconds() - start, sessions: batch.count)
      finish(batch)
    }
  }

  /// Sessions that are about to hand in a token are waited for, as long as that costs little.
  private func gather() {
    let wait = min(max(passTime.load(ordering: .relaxed) / 4, 1_000_000), DecodeBatcher.gatherLimit)
    state.wait(
      until: { $0.waiting.count >= self.active.load(ordering: .relaxed) }, deadline: Clock.nanoseconds() + wait
    ) { _ in }
  }

  /// Wakes the sessions of a batch, and one that came too late for it to lead the next.
  private func finish(_ batch: [Request]) {
    state.withLock { state in
      for request in batch { request.stage = .done }
      state.isLed = !state.waiting.isEmpty
      state.waiting.first?.stage = .leading
    }
    state.broadcast()
  }

  private func run(_ batch: [Request]) {
    let shape = decoder.shape
    let rows = batch.reduce(0) { $0 + $1.rows.count }
    let hidden = compute.view(.residual, rows: rows, columns: shape.hidden)
    let logits = compute.view(.logits, rows: rows, columns: shape.vocabulary)
    gathered.load(batch.map(\.rows))
    let sequences = batch.flatMap { Array(repeating: $0.states, count: $0.rows.count) }
    // Nobody cancels this pass: sessions look behind it whether theirs is.
    try? decoder.forward(
      layers: 0..<shape.layers, gathered.input(hidden, decoder, lastRowOnly: false), states: .rows(sequences),
      compute: compute)
    decoder.logits(hidden, into: logits, compute: compute)
    var first = 0
    for request in batch {
      for row in 0..<request.rows.count {
        request.logits?.row(row).update(from: logits.row(first + row), count: shape.vocabulary)
      }
      first += request.rows.count
    }
  }
}
