import Occam
import OccamCommandLine

/// How the cost of a prompt's token grows with the prompt: what is left beside attention shall not.
struct GrowthBench {
  let bench: Bench

  init(_ bench: Bench) { self.bench = bench }

  private static let lengths = [64, 256, 1024, 4096, 16384]

  /// A row a length; medians. The longest that the context holds is its own.
  func table() throws -> Table {
    var table = Table([
      .init("tokens"), .init("tok/s", key: "tokens_per_s"), .init("ms a token", key: "ms_per_token"),
      .init("attention, ms a token", key: "attention_ms_per_token"), .init("attention, %", key: "attention_percent"),
      .init("all but attention, ms a token", key: "rest_ms_per_token"),
    ])
    let session = try bench.makeSession()
    let longest = bench.model.contextLength - 1
    for tokens in GrowthBench.lengths.filter({ $0 < longest }) + [min(longest, GrowthBench.lengths.max() ?? 0)] {
      var runs: [(seconds: Double, attention: Double)] = []
      for run in 0...bench.repetitions {
        bench.progress.update("\(tokens) tokens", run, of: bench.repetitions)
        guard let profile = try session.prefillProfile(tokens: tokens) else { continue }
        if run > 0 { runs.append(profile) }
      }
      bench.progress.finish()
      let whole = Statistics.median(runs.map(\.seconds)) * 1000 / Double(tokens)
      let attention = Statistics.median(runs.map(\.attention)) * 1000 / Double(tokens)
      table.add([
        .integer(tokens), .number(1000 / whole, digits: 2), .number(whole, digits: 3), .number(attention, digits: 3),
        .number(100 * attention / whole, digits: 1), .number(whole - attention, digits: 3),
      ])
    }
    return table
  }
}
