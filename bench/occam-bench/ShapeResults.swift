import Occam
import OccamCommandLine

/// What was measured of a shape.
struct ShapeResults {
  let kernel: String
  let threads: Int
  /// Packed bytes.
  let weights: Int
  /// Peak resident bytes before loading, and at the end.
  let baseline: Int
  var peak = 0
  let loadMilliseconds: Double
  /// Test, tokens, seconds of each run.
  var rates: [(test: String, tokens: Int, seconds: [Double])] = []
  var unpruned: [GenerationMetrics] = []
  var pruned: [GenerationMetrics] = []

  init(kernel: String, threads: Int, weights: Int, baseline: Int, loadMilliseconds: Double) {
    self.kernel = kernel
    self.threads = threads
    self.weights = weights
    self.baseline = baseline
    self.loadMilliseconds = loadMilliseconds
  }

  private struct Measure: Sendable {
    let name: String
    let key: String
    let digits: Int
    /// Larger is better: the gain is pruned over unpruned; otherwise unpruned over pruned.
    var largerIsBetter = false
    let value: @Sendable (GenerationMetrics) -> Double
  }

  private static let measures = [
    Measure(name: "image encode, ms", key: "image_encode_ms", digits: 1) { $0.timings.imageEncode },
    Measure(name: "prefill of image and text, ms", key: "prefill_ms", digits: 1) { $0.timings.prefill },
    Measure(name: "time to first token, ms", key: "ttft_ms", digits: 1) { $0.timings.timeToFirstToken },
    Measure(name: "decode behind it, tok/s", key: "decode_tokens_per_s", digits: 2, largerIsBetter: true) {
      $0.timings.decodeTokensPerSecond
    },
    Measure(name: "KV cells, MiB", key: "kv_mib", digits: 2) { Double($0.kvBytes) / 1_048_576 },
    Measure(name: "visual tokens behind stage I", key: "visual_tokens_stage1", digits: 0) { metrics in
      metrics.pruning.isEmpty
        ? metrics.meanVisualTokensPerLayer : Double(metrics.pruning.reduce(0) { $0 + $1.stage1 })
    },
    Measure(name: "visual tokens, final", key: "visual_tokens", digits: 0) { metrics in
      metrics.pruning.isEmpty
        ? metrics.meanVisualTokensPerLayer : Double(metrics.pruning.reduce(0) { $0 + $1.kept })
    },
    Measure(name: "visual tokens, mean of layers", key: "visual_tokens_per_layer", digits: 1) {
      $0.meanVisualTokensPerLayer
    },
  ]

  /// One table: rates first, then what an answer costs, pruned beside unpruned (medians).
  func table(_ bench: ShapeBench, _ format: Table.Format) -> Table {
    let isForPeople = format == .md
    let context: [Table.Cell] =
      isForPeople
      ? []
      : [
        .text(bench.shape.name), .text(bench.type.rawValue), .text(bench.shape.isExact ? "exact" : "emulated"),
        .text(kernel), .integer(threads),
      ]
    let columns: [Table.Column] =
      isForPeople
      ? []
      : [
        .init("shape", .left), .init("type", .left), .init("graph", .left), .init("kernel", .left), .init("threads"),
      ]
    var table = Table(
      columns + [
        .init(isForPeople ? "\(kernel), \(threads) threads" : "test", key: "test", .left), .init("unpruned"),
        .init("pruned"), .init("gain, times", key: "gain"),
      ])
    func add(_ name: String, _ key: String, _ before: Double, _ after: Double?, _ digits: Int, gain: Double = .nan) {
      table.add(
        context + [
          .text(isForPeople ? name : key), .number(before, digits: digits),
          after.map { .number($0, digits: digits) } ?? .missing,
          gain.isFinite ? .number(gain, digits: 2) : .missing,
        ])
    }
    add("making and packing weights, ms", "load_ms", loadMilliseconds, nil, 0)
    add("weights, MiB", "weights_mib", Double(weights) / 1_048_576, nil, 1)
    for (test, tokens, seconds) in rates {
      add("\(test), tok/s", "\(test)_tokens_per_s", Double(tokens) / Statistics.median(seconds), nil, 2)
    }
    for measure in ShapeResults.measures {
      let before = Statistics.median(unpruned.map(measure.value))
      let after = Statistics.median(pruned.map(measure.value))
      let gain = measure.largerIsBetter ? after / before : before / after
      add(measure.name, measure.key, before, after, measure.digits, gain: gain)
    }
    add("peak RSS, MiB", "peak_rss_mib", Double(peak) / 1_048_576, nil, 1)
    return table
  }

  /// A JSON object a line with the fields that bench/peers reads.
  func lines(_ bench: ShapeBench) -> String {
    let tokens = bench.shape.visualTokens * bench.tiles
    func seconds(_ value: (GenerationMetrics.Timings) -> Double, _ all: [GenerationMetrics]) -> [Double] {
      all.map { value($0.timings) / 1000 }
    }
    let rows: [(String, Int, [Double])] =
      [
        ("load", 1, [loadMilliseconds / 1000]), ("ttft", tokens, seconds({ $0.timeToFirstToken }, unpruned)),
        ("encode", tokens, seconds({ $0.imageEncode }, unpruned)),
      ] + rates.map { ($0.test, $0.tokens, $0.seconds) } + [
        ("ttft-pruned", tokens, seconds({ $0.timeToFirstToken }, pruned))
      ]
    return rows.map { test, n, seconds in
      let times = seconds.map { Number.text($0, 6) }.joined(separator: ", ")
      return "{\"shape\": \"\(bench.shape.name)\", \"type\": \"\(bench.type.rawValue)\", "
        + "\"emulated\": \(!bench.shape.isExact), \"test\": \"\(test)\", \"n\": \(n), \"seconds\": [\(times)], "
        + "\"rss\": \(peak), \"rss_baseline\": \(baseline)}\n"
    }.joined()
  }
}
