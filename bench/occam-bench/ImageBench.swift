import Occam
import OccamCommandLine

/// What an answer about a photo costs: unpruned and pruned runs in turn, medians side by side, and their ratio.
struct ImageBench {
  let bench: Bench
  let photo: ImageSource

  init(_ bench: Bench, _ photo: ImageSource) {
    self.bench = bench
    self.photo = photo
  }

  private struct Measure: Sendable {
    let name: String
    let key: String
    let digits: Int
    /// Larger is better: the ratio is pruned over unpruned; otherwise unpruned over pruned.
    let largerIsBetter: Bool
    let value: @Sendable (GenerationMetrics) -> Double
  }

  private static let measures = [
    Measure(name: "image decode, ms", key: "image_decode_ms", digits: 1, largerIsBetter: false) {
      $0.timings.imageDecode
    },
    Measure(name: "image encode, ms", key: "image_encode_ms", digits: 1, largerIsBetter: false) {
      $0.timings.imageEncode
    },
    Measure(name: "prefill, ms", key: "prefill_ms", digits: 1, largerIsBetter: false) { $0.timings.prefill },
    Measure(name: "time to first token, ms", key: "ttft_ms", digits: 1, largerIsBetter: false) {
      $0.timings.timeToFirstToken
    },
    Measure(name: "decode, tok/s", key: "decode_tokens_per_s", digits: 2, largerIsBetter: true) {
      $0.timings.decodeTokensPerSecond
    },
    Measure(name: "KV cells, MiB", key: "kv_mib", digits: 2, largerIsBetter: false) {
      Double($0.kvBytes) / 1_048_576
    },
    Measure(name: "peak RSS, MiB", key: "peak_rss_mib", digits: 1, largerIsBetter: false) {
      Double($0.peakResidentBytes) / 1_048_576
    },
    Measure(name: "visual tokens, final", key: "visual_tokens", digits: 1, largerIsBetter: false) { metrics in
      metrics.pruning.isEmpty
        ? metrics.meanVisualTokensPerLayer : Double(metrics.pruning.reduce(0) { $0 + $1.kept })
    },
    Measure(name: "visual tokens, mean of layers", key: "visual_tokens_per_layer", digits: 1, largerIsBetter: false) {
      $0.meanVisualTokensPerLayer
    },
  ]

  func table() throws -> Table {
    var unpruned: [GenerationMetrics] = []
    var pruned: [GenerationMetrics] = []
    for run in 0...bench.repetitions {
      bench.progress.update("photo", run, of: bench.repetitions)
      let pair = try [GenerationOptions.Pruning.off, bench.pruning].map { try answer($0) }
      if run == 0 { continue }
      unpruned.append(pair[0])
      pruned.append(pair[1])
    }
    bench.progress.finish()
    let isForPeople = bench.format == .md
    var table = Table(
      (isForPeople ? [] : [.init("model", .left), .init("kernel", .left), .init("threads")])
        + [.init("measure", key: "test", .left), .init("unpruned"), .init("pruned"), .init("gain, times", key: "gain")])
    for measure in ImageBench.measures {
      let before = Statistics.median(unpruned.map(measure.value))
      let after = Statistics.median(pruned.map(measure.value))
      let gain = measure.largerIsBetter ? after / before : before / after
      table.add(
        (isForPeople ? [] : [.text(bench.fileName), .text(bench.model.kernel), .integer(bench.model.threads)]) + [
          .text(isForPeople ? measure.name : measure.key), .number(before, digits: measure.digits),
          .number(after, digits: measure.digits), gain.isFinite ? .number(gain, digits: 2) : .missing,
        ])
    }
    return table
  }

  /// A session of its own each time, so that nothing is cached.
  private func answer(_ pruning: GenerationOptions.Pruning) throws -> GenerationMetrics {
    let session = try bench.makeSession()
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = 32
    options.ignoresEndOfText = true
    options.pruning = pruning
    // Each run's own peak, where the system can start it anew; otherwise that of the process so far.
    OccamProcess.resetPeakResidentBytes()
    return try session.respond(to: bench.arguments[Flags.prompt] ?? "", images: [photo], options: options)
  }
}
