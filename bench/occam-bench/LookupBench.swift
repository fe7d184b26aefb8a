import Occam
import OccamCommandLine

/// What prompt lookup is for: the model is asked about the photo, answers, and is asked the same again. What it says then it
/// said before, more or less. The second answer is timed with guesses and without, in turn; its tokens are the same.
struct LookupBench {
  let bench: Bench
  let photo: ImageSource

  init(_ bench: Bench, _ photo: ImageSource) {
    self.bench = bench
    self.photo = photo
  }

  func table() throws -> Table {
    let prompt = bench.arguments[Flags.prompt] ?? ""
    let question = Message.user(prompt, images: [photo])
    let first = try answer([question], lookup: false).text
    let turns = [question, .assistant(first), .user(prompt)]
    var plain: [GenerationMetrics] = []
    var guessed: [GenerationMetrics] = []
    for run in 0...bench.repetitions {
      bench.progress.update("lookup", run, of: bench.repetitions)
      let pair = try [false, true].map { try answer(turns, lookup: $0) }
      if run == 0 { continue }
      plain.append(pair[0])
      guessed.append(pair[1])
    }
    bench.progress.finish()
    var table = Table([
      .init("model", .left), .init("kernel", .left), .init("threads"), .init("test", .left),
      .init("plain tok/s", key: "plain_tokens_per_s"), .init("lookup tok/s", key: "lookup_tokens_per_s"),
      .init("gain, times", key: "gain"), .init("tokens"), .init("passes"),
      .init("guesses"), .init("right"),
    ])
    let rates = [plain, guessed].map { runs in Statistics.median(runs.map(\.timings.decodeTokensPerSecond)) }
    let counts = guessed.last ?? GenerationMetrics()
    table.add([
      .text(bench.fileName), .text(bench.model.kernel), .integer(bench.model.threads), .text("repeated answer"),
      .number(rates[0], digits: 2), .number(rates[1], digits: 2),
      rates[0] > 0 ? .number(rates[1] / rates[0], digits: 2) : .missing, .integer(counts.generatedTokens),
      .integer(counts.decodePasses), .integer(counts.draftedTokens), .integer(counts.acceptedTokens),
    ])
    return table
  }

  /// In a session of its own, so that nothing is cached, to the model's own end: past it models fall into loops, which
  /// are easily guessed.
  private func answer(_ turns: [Message], lookup: Bool) throws -> GenerationMetrics {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = 128
    options.pruning = bench.pruning
    options.speculation.lookup = lookup
    return try bench.makeSession().respond(to: turns, options: options)
  }
}
