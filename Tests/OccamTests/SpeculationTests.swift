import Occam
import OccamCore
import OccamTestSupport
import Testing

/// Prompt lookup changes how many passes a reply takes, and nothing else of it.
@Suite(.serialized) struct SpeculationTests {
  struct Reply: Equatable {
    var ids: [Int32] = []
    var texts: [String] = []
    var logprobs: [Float?] = []
    var stop: GenerationMetrics.Stop?
    var stopText: String?
    var cachedTokens = 0
    var error: OccamError.Code?
  }

  /// - Parameter onToken: called with the number of tokens so far.
  static func ask(
    _ session: Session, _ question: String, _ options: GenerationOptions, images: [ImageSource] = [],
    onToken: (Int) -> Void = { _ in }
  ) throws -> (reply: Reply, metrics: GenerationMetrics?) {
    var reply = Reply()
    do throws(OccamError) {
      let metrics = try session.respond(to: question, images: images, options: options) { event in
        guard case .token(let token) = event else { return }
        reply.ids.append(token.id)
        reply.texts.append(token.text)
        reply.logprobs.append(token.logprob)
        onToken(reply.ids.count)
      }
      reply.stop = metrics.stop
      reply.stopText = metrics.stopText
      reply.cachedTokens = metrics.cachedTokens
      return (reply, metrics)
    } catch {
      reply.error = error.code
      return (reply, nil)
    }
  }

  static let families = ["g1", "gemma3-a", "gemma4-a", "qwen35-a", "lfm2-a", "qwen3vl-a", "smolvlm-a"]
  /// Words that come again.
  static let question = "What is it? " + String(repeating: "a cat and a cup and ", count: 6)

  static func options(_ tokens: Int? = 48, seed: UInt64 = 0) -> GenerationOptions {
    var options = GenerationOptions.greedy(tokens)
    options.logprobs = 0
    options.seed = seed
    // Of the likeliest two, so that these random models say things again.
    if seed > 0 { (options.temperature, options.topK) = (0.5, 2) }
    return options
  }

  /// Asks in two sessions, plain and by lookup, and compares.
  /// - Returns: the metrics of the reply that guessed.
  @discardableResult static func compare(
    _ model: VisionLanguageModel, _ options: GenerationOptions, images: [ImageSource] = [],
    session: SessionOptions = SessionOptions(contextLength: 4096), _ comment: String = ""
  ) throws -> GenerationMetrics? {
    let plain = try ask(try model.makeSession(session), question, options, images: images)
    var guessing = options
    guessing.speculation.lookup = true
    let guessed = try ask(try model.makeSession(session), question, guessing, images: images)
    #expect(guessed.reply == plain.reply, "\(comment)")
    #expect(plain.metrics?.draftedTokens ?? 0 == 0)
    return guessed.metrics
  }

  private static func images(_ model: VisionLanguageModel) -> [ImageSource] {
    model.projectorPath == nil ? [] : [TestModel.cat]
  }

  @Test(arguments: families) func greedyRepliesAreTheSame(family: String) throws {
    let model = try TestModel.family(family)
    for pruning in [GenerationOptions.Pruning(), .off] {
      var options = SpeculationTests.options(120)
      options.pruning = pruning
      let metrics = try #require(try SpeculationTests.compare(model, options, images: SpeculationTests.images(model)))
      #expect(metrics.decodePasses == metrics.generatedTokens - 1 - metrics.acceptedTokens)
    }
  }

  /// Penalties and biases read what was said before each position; a seed gives the same text.
  @Test(arguments: families) func sampledRepliesAreTheSame(family: String) throws {
    let model = try TestModel.family(family)
    var (drafted, accepted) = (0, 0)
    for seed in 1...4 as ClosedRange<UInt64> {
      var options = SpeculationTests.options(60, seed: seed)
      (options.temperature, options.topK) = (1, 0)
      // One of four tokens each time, so that pairs of them come again.
      for token in 70..<74 as Range<Int32> { options.logitBias[token] = 100 }
      if seed % 2 == 0 {
        options.repeatPenalty = 1.3
        options.presencePenalty = 0.2
        options.frequencyPenalty = 0.1
        options.logitBias[71] = -.infinity
        options.logprobsBehindSampling = true
      }
      let metrics = try #require(try SpeculationTests.compare(model, options, "seed \(seed)"))
      drafted += metrics.draftedTokens
      accepted += metrics.acceptedTokens
    }
    #expect(accepted > 0 && accepted < drafted)
  }

  /// Wrong guesses are few whatever is said, by their number.
  @Test(arguments: families) func wrongGuessesAreFew(family: String) throws {
    let model = try TestModel.family(family)
    for seed in 1...3 as ClosedRange<UInt64> {
      var options = SpeculationTests.options(200, seed: seed)
      (options.temperature, options.topK) = (1.5, 0)
      let metrics = try #require(try SpeculationTests.compare(model, options))
      let wrong = metrics.draftedTokens - metrics.acceptedTokens
      let allowed =
        DraftBudget.start + metrics.acceptedTokens + metrics.generatedTokens / DraftBudget.tokensPerGuess
      #expect(wrong <= allowed)
    }
  }

  /// A grammar holds the reply to a text that repeats itself, in tokens that these random models choose anew each time; a
  /// bias to one token.
  @Test(arguments: families) func repeatedTextsTakeFewPasses(family: String) throws {
    let model = try TestModel.family(family)
    var options = SpeculationTests.options(nil)
    options.ignoresEndOfText = false
    options.format = .grammar("root ::= (\"the cup and the cat \"){12}")
    let metrics = try #require(try SpeculationTests.compare(model, options))
    #expect(metrics.text == String(repeating: "the cup and the cat ", count: 12))
    #expect(metrics.decodePasses < metrics.generatedTokens - 1)
    var biased = SpeculationTests.options(120)
    biased.logitBias = [70: 1e6]
    let passes = try #require(try SpeculationTests.compare(model, biased, "bias")).decodePasses
    #expect(passes <= 4 + 120 / (biased.speculation.maxTokens + 1))
    options.format = .json
    options.maxTokens = 60
    try SpeculationTests.compare(model, options, "JSON")
  }

  @Test(arguments: families) func repliesEndInTheSamePlace(family: String) throws {
    let model = try TestModel.family(family)
    var options = SpeculationTests.options(120)
    let whole = try SpeculationTests.ask(try model.makeSession(), SpeculationTests.question, options)
    let text = whole.reply.texts.joined()
    // At every token; by a text from the middle of a later one on.
    for tokens in [1, 2, 30, 31, 32, 33, 34] {
      options.maxTokens = tokens
      try SpeculationTests.compare(model, options, "\(tokens) tokens")
    }
    options.maxTokens = 120
    let characters = Array(text)
    for start in stride(from: characters.count / 4, to: characters.count - 3, by: max(characters.count / 8, 1)) {
      options.stop = [String(characters[start..<start + 3])]
      try SpeculationTests.compare(model, options, "stop at \(options.stop)")
    }
  }

  @Test(arguments: families, [true, false]) func fullContextsEndInTheSamePlace(family: String, ends: Bool) throws {
    let model = try TestModel.family(family)
    let prompt = try #require(
      try SpeculationTests.ask(try model.makeSession(), SpeculationTests.question, SpeculationTests.options(1)).metrics)
    for more in [1, 2, 9, 40] {
      var options = SpeculationTests.options(nil)
      options.endsAtFullContext = ends
      try SpeculationTests.compare(
        model, options, session: SessionOptions(contextLength: prompt.promptTokens + more), "\(more) more")
    }
  }

  /// Turn after turn; the second goes on behind what the first left in the caches, the third is ended by its reader.
  @Test(arguments: families) func conversationsGoOn(family: String) throws {
    let model = try TestModel.family(family)
    var replies: [[Reply]] = []
    var accepted = 0
    for lookup in [false, true] {
      let session = try model.makeSession(SessionOptions(contextLength: 4096))
      var turns: [Reply] = []
      for turn in 0..<5 {
        var options = SpeculationTests.options(turn == 1 ? 61 : 40)
        options.speculation.lookup = lookup
        // In two turns somebody leaves behind one of the tokens that came together.
        let end = turn == 2 ? 17 : turn == 3 ? 22 : Int.max
        let (reply, metrics) = try SpeculationTests.ask(
          session, SpeculationTests.question, options, images: turn == 0 ? SpeculationTests.images(model) : []
        ) { if $0 == end { session.cancel() } }
        #expect(reply.stop == (end < .max ? .cancelled : .length))
        turns.append(reply)
        accepted += metrics?.acceptedTokens ?? 0
      }
      replies.append(turns)
    }
    #expect(replies[0] == replies[1])
    #expect(accepted > 0)
  }

  @Test func guessesHaveLimits() throws {
    let model = try TestModel.pair()
    for tokens in [-1, Speculation.limit + 1] {
      var options = SpeculationTests.options(4)
      options.speculation.maxTokens = tokens
      let error = failure { try model.makeSession().respond(to: "a", options: options) }
      #expect(error?.code == .invalidOption && error?.subject == "guesses of a pass")
    }
    var options = SpeculationTests.options(60)
    for (most, least) in [(0, 0), (1, 0), (Speculation.limit, 0), (4, 5), (6, 3)] {
      options.speculation.maxTokens = most
      options.speculation.minTokens = least
      let metrics = try #require(try SpeculationTests.compare(model, options))
      #expect(metrics.draftedTokens <= most * metrics.drafts && metrics.draftedTokens >= least * metrics.drafts)
      if most == 0 || least > most { #expect(metrics.drafts == 0) }
    }
  }

  // MARK: Parts

  @Test func lookupFindsWhatCameBefore() {
    func guesses(_ history: [Int32], _ count: Int = 10) -> [Int32] {
      LookupDrafter().guesses(behind: history, atMost: count)
    }
    #expect(guesses([1]) == [] && guesses([1, 2, 3, 4]) == [])
    // One token alone may recur by chance.
    #expect(guesses([1, 2, 3, 9, 2]) == [])
    #expect(guesses([1, 2, 3, 4, 5, 6, 9, 1, 2]) == [3, 4, 5, 6])
    #expect(guesses([1, 2, 3, 4, 5, 6, 9, 1, 2], 3) == [3, 4, 5])
    // The latest of equals, but a longer run first.
    #expect(guesses([1, 2, 3, 1, 2, 4, 1, 2], 1) == [4])
    #expect(guesses([7, 1, 2, 3, 1, 2, 4, 7, 1, 2], 1) == [3])
    // A short period goes on.
    #expect(guesses([5, 1, 2, 1, 2, 1, 2], 6) == [1, 2, 1, 2, 1, 2])
    #expect(guesses([3, 3, 3, 3], 5) == [3, 3, 3, 3, 3])
  }

  @Test func budgetsFollowWhatIsRight() {
    var budget = DraftBudget()
    #expect(budget.guesses == DraftBudget.start)
    budget.settle(right: 0, wrong: DraftBudget.start)
    #expect(budget.guesses == 0)
    for _ in 1..<DraftBudget.tokensPerGuess { budget.count() }
    #expect(budget.guesses == 0)
    budget.count()
    #expect(budget.guesses == 1)
    budget.settle(right: 5, wrong: 2)
    #expect(budget.guesses == 4)
    budget.settle(right: 1000, wrong: 0)
    #expect(budget.guesses == DraftBudget.most)
  }
}
