import Occam
import OccamCommandLine

/// The tests that `bench/peers` runs with other runtimes, a JSON object a line: load, ttft, encode, pp N, tg N, all
/// unpruned, and `ttft-pruned`. One untimed run before each, but for `load`.
struct LineBench {
  let bench: Bench
  /// As the peers' script asks.
  private static let question = "USER: <__media__>\nWhat is in the picture? ASSISTANT:"

  init(_ bench: Bench) { self.bench = bench }

  func run() throws {
    try line("load", 1, [bench.model.loadMilliseconds / 1000])
    if let photo = bench.photo {
      let answers = try answers("ttft", photo, .off)
      let tokens = answers.last.map { Int($0.meanVisualTokensPerLayer) } ?? 0
      let memory = answers.last.map { ", \"weights_bytes\": \($0.weightsBytes), \"kv_bytes\": \($0.kvBytes)" } ?? ""
      try line("ttft", tokens, answers.map { $0.timings.timeToFirstToken / 1000 }, memory)
      try line("encode", tokens, answers.map { $0.timings.imageEncode / 1000 })
    }
    try bench.forEachRate { test, count, seconds in
      let bytes = ", \"bytes_per_token\": \(bench.model.bytesPerDecodedToken)"
      try line(test, count, seconds, test.hasPrefix("tg") ? bytes : "")
    }
    if let photo = bench.photo {
      let answers = try answers("ttft-pruned", photo, bench.pruning)
      let tokens = answers.last?.pruning.reduce(0) { $0 + $1.total } ?? 0
      let pruning = answers.last?.pruning ?? []
      try line(
        "ttft-pruned", tokens, answers.map { $0.timings.timeToFirstToken / 1000 },
        ", \"stage1\": \(pruning.reduce(0) { $0 + $1.stage1 }), \"kept\": \(pruning.reduce(0) { $0 + $1.kept })")
    }
  }

  /// Up to the first token, in a session of its own each time.
  private func answers(
    _ name: String, _ photo: ImageSource, _ pruning: GenerationOptions.Pruning
  ) throws -> [GenerationMetrics] {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = 1
    options.ignoresEndOfText = true
    options.raw = true
    options.pruning = pruning
    var result: [GenerationMetrics] = []
    for run in 0...bench.repetitions {
      bench.progress.update(name, run, of: bench.repetitions)
      let metrics = try bench.makeSession().respond(to: LineBench.question, images: [photo], options: options)
      if run > 0 { result.append(metrics) }
    }
    bench.progress.finish()
    return result
  }

  /// - Parameters: n: what was processed, tokens or 1; seconds: one a run; more: further members.
  private func line(_ test: String, _ n: Int, _ seconds: [Double], _ more: String = "") throws {
    let times = seconds.map { Number.text($0, 6) }.joined(separator: ", ")
    try Terminal.output(
      "{\"test\": \"\(test)\", \"n\": \(n), \"seconds\": [\(times)], \"rss\": \(OccamProcess.peakResidentBytes), "
        + "\"rss_baseline\": \(bench.baseline), \"kernel\": \"\(bench.model.kernel)\"\(more)}\n")
  }
}
