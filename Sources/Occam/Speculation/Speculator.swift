import OccamCore

/// The guesses of one reply: who makes them, how many, and what becomes of them.
final class Speculator {
  private struct Source {
    let drafter: any Drafter
    var budget = DraftBudget()
  }

  private let core: SessionCore
  private let options: Speculation
  /// Whether tokens that end a text may be guessed; nothing is to be computed behind one.
  private let guessesEnd: Bool
  private var sources: [Source]
  /// Tokens of prompt and reply.
  private var history: [Int32]
  /// Of the last pass, and of what it was made from: the logits of its rows, the guesses, how many were right, whose.
  private var logits: MatrixView<Float>?
  private var guesses: [Int32] = []
  private var right = 0
  private var source = 0

  /// - Parameter history: tokens of the prompt, images left out.
  /// - Returns: nil where nobody guesses.
  init?(_ core: SessionCore, _ options: GenerationOptions, history: [Int32]) {
    self.core = core
    self.options = options.speculation
    guessesEnd = options.ignoresEndOfText
    sources = []
    if self.options.lookup { sources.append(Source(drafter: LookupDrafter())) }
    if self.options.usesDraftModel, let drafter = core.modelDrafter {
      drafter.minProbability = self.options.minProbability
      sources.append(Source(drafter: drafter))
    }
    guard !sources.isEmpty, self.options.maxTokens > 0 else { return nil }
    self.history = history
  }

  /// Logits [1 x vocabulary] behind `token`, which the reply goes on with: of the last pass, if it guessed the token, else
  /// of a new one.
  /// - Parameter remaining: tokens that may follow.
  func logits(
    behind token: Int32, remaining: Int, _ metrics: inout GenerationMetrics
  ) throws(OccamError) -> MatrixView<Float> {
    history.append(token)
    for index in sources.indices { sources[index].budget.count() }
    if let logits, right < guesses.count, guesses[right] == token {
      // A pass would have been ended here.
      if core.compute.isCancelled() { throw OccamError(.cancelled, "", "cancelled") }
      right += 1
      metrics.acceptedTokens += 1
      core.confirmGuess()
      return logits.slice(rows: right..<right + 1)
    }
    settle()
    guesses = try makeGuesses(min(options.maxTokens, core.room, remaining - 1))
    metrics.draftedTokens += guesses.count
    if !guesses.isEmpty { metrics.drafts += 1 }
    metrics.decodePasses += 1
    let logits = try core.decode(token, guesses: guesses)
    self.logits = logits
    return logits.slice(rows: 0..<1)
  }

  /// The guesses that are left of the last pass were wrong.
  private func settle() {
    core.dropGuesses()
    logits = nil
    if !guesses.isEmpty { sources[source].budget.settle(right: right, wrong: guesses.count - right) }
    (guesses, right) = ([], 0)
  }

  /// Of the first that has some.
  private func makeGuesses(_ most: Int) throws(OccamError) -> [Int32] {
    for (index, entry) in sources.enumerated() {
      let count = min(most, entry.budget.guesses)
      guard count > 0, count >= options.minTokens else { continue }
      var found = try entry.drafter.guesses(behind: history, atMost: count)
      if let end = found.firstIndex(where: { !isUseful($0) }) { found.removeSubrange(end...) }
      guard !found.isEmpty, found.count >= options.minTokens else {
        sources[index].budget.settle(right: 0, wrong: entry.drafter.costOfSilence)
        continue
      }
      source = index
      return found
    }
    return []
  }

  private func isUseful(_ token: Int32) -> Bool {
    token >= 0 && token < core.model.decoder.shape.vocabulary
      && (guessesEnd || !core.model.tokenizer.isEndOfGeneration(token))
  }
}
