/// Guesses what stood behind the last tokens where they stood before (prompt lookup: A. Saxena, 2023; in llama.cpp
/// `ngram-simple`).
package final class LookupDrafter: Drafter {
  /// Tokens that must agree.
  static let shortest = 2
  /// A longer run of equal tokens says no more.
  static let longest = 16
  /// Guesses that each token of the run is worth: a pair of tokens may recur by chance.
  static let guessesPerToken = 2

  let costOfSilence = 0

  package init() {}

  /// Of the places where the longest run ends, the latest counts. One pass over the history: nothing beside a pass over
  /// the weights.
  /// - Returns: `count` at most, none where the last tokens are new.
  package func guesses(behind history: [Int32], atMost count: Int) -> [Int32] {
    history.withUnsafeBufferPointer { tokens in
      let end = tokens.count - 1
      var (best, place) = (LookupDrafter.shortest - 1, -1)
      var candidate = end - 1
      while candidate >= 0, best < LookupDrafter.longest {
        defer { candidate -= 1 }
        guard tokens[candidate] == tokens[end] else { continue }
        var run = 1
        while run < LookupDrafter.longest, run <= candidate, tokens[candidate - run] == tokens[end - run] { run += 1 }
        if run > best { (best, place) = (run, candidate) }
      }
      guard place >= 0 else { return [] }
      let wanted = min(count, LookupDrafter.guessesPerToken * best)
      return LookupDrafter.copy(tokens, from: place + 1, wanted)
    }
  }

  /// Where the place is near the end, what stands between is repeated.
  private static func copy(_ tokens: UnsafeBufferPointer<Int32>, from first: Int, _ count: Int) -> [Int32] {
    let period = tokens.count - first
    return (0..<count).map { tokens[first + $0 % period] }
  }
}
