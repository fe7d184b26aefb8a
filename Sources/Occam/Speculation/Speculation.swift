/// Speculative decoding: the next tokens are guessed, and one pass over the weights computes them all. Each position is
/// sampled as always, and a guess counts where it is the token that was sampled: texts, seeds and probabilities give what
/// they give without guesses. Decoding waits for the weights to be read, so that a pass of a few rows costs little more
/// than one of a single row. Models with layers that keep a state of fixed size take a copy of it for each guess of a pass;
/// `MemoryPlan` counts them.
public struct Speculation: Sendable, Equatable {
  /// The most guesses a reply may ask for in one pass.
  public static let limit = 64

  /// Guesses what followed earlier in the conversation, where the last tokens stood before: for answers that repeat the
  /// prompt, a picture's text, or themselves. Needs no memory to speak of.
  public var lookup = false
  /// Guesses by the draft model (`ModelOptions.draftModel`), if there is one, where lookup finds nothing. It sees text
  /// alone: images are left out of what it reads, which costs right guesses and never changes the reply.
  public var usesDraftModel = true
  /// Guesses of one pass at most, 0...`limit`; 0: none are made.
  public var maxTokens = 8
  /// Fewer guesses are not worth a pass of their own: the token is decoded alone.
  public var minTokens = 0
  /// The draft model guesses as long as it gives its guess this probability, 0...1.
  public var minProbability: Float = 0.75

  public init() {}

  func check() throws(OccamError) {
    guard (0...Speculation.limit).contains(maxTokens) else {
      throw OccamError(.invalidOption, "guesses of a pass", "\(maxTokens) is not in 0...\(Speculation.limit)")
    }
  }

  /// Guesses that a pass may hold, for planning memory.
  func mostGuesses(hasDraftModel: Bool) -> Int {
    lookup || (usesDraftModel && hasDraftModel) ? min(max(maxTokens, 0), Speculation.limit) : 0
  }
}

/// Says what may come next. A wrong guess costs time and changes nothing.
protocol Drafter: AnyObject {
  /// What it costs to ask and hear nothing, in wrong guesses.
  var costOfSilence: Int { get }

  /// - Parameters:
  ///   - history: tokens of prompt and reply, images left out; not empty.
  ///   - count: guesses wanted at most, positive.
  func guesses(behind history: [Int32], atMost count: Int) throws(OccamError) -> [Int32]
}

/// How much may be guessed, so that wrong guesses stay cheap whatever is said: at most `start` of them, one more for each
/// right one, and one for every `tokensPerGuess` tokens.
///
/// A guess is a row of a pass, and a right one saves a pass: it pays for a wrong one where a row costs less than half a
/// pass. Where a row costs a third, those that nothing paid for cost two percent, and three passes at the beginning.
package struct DraftBudget {
  package static let start = 8
  package static let tokensPerGuess = 16
  /// What right guesses save up at most.
  package static let most = Speculation.limit

  /// In guesses of `tokensPerGuess` units.
  private var units = start * tokensPerGuess

  package init() {}

  /// Guesses that may be made now.
  package var guesses: Int { units / DraftBudget.tokensPerGuess }

  /// A token was decoded.
  package mutating func count() { add(1) }

  /// What became of some guesses.
  package mutating func settle(right: Int, wrong: Int) { add((right - wrong) * DraftBudget.tokensPerGuess) }

  private mutating func add(_ change: Int) {
    units = min(units + change, DraftBudget.most * DraftBudget.tokensPerGuess)
  }
}
