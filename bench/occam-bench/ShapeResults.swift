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
  /// Unpruned first; empty for a model that reads text only.
  var answers: [Answers] = []

  /// The runs of one kind of answer.
  struct Answers {
    /// Visual tokens at the end; nil unpruned.
    let budget: Int?
    /// From headers and the photo's size.
    let plannedKVBytes: Int
    var runs: [GenerationMetrics] = []
  }

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
    Measure(name: "image preparation, ms", key: "image_prepare_ms", digits: 1) { $0.timings.imageDecode },
    Measure(name: "image encode, ms", key: "image_encode_ms", digits: 1) { $0.timings.imageEncode },
    Measure(name: "prefill of image and text, ms", key: "prefill_ms", digits: 1) { $0.timings.prefill },
    Measure(name: "time to first token, ms", key: "ttft_ms", digits: 1) { $0.timings.timeToFirstToken },
    Measure(name: "decode behind it, tok/s", key: "decode_tokens_per_s", digits: 2, largerIsBetter: true) {
      $0.timings.decodeTokensPerSecond
    },
    Measure(name: "KV cache, MiB", key: "kv_mib", digits: 2) { Double($0.kvBytes) / 1_048_576 },
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

  /// One table: rates first, then what an answer costs, unpruned beside each budget (medians). A kind of answer is a
  /// column for people and a row for programs.
  func table(_ bench: ShapeBench, _ format: Table.Format) -> Table {
    format == .md ? wideTable() : longTable(bench)
  }

  /// A line of the table: one value, or one a kind of answer.
  private struct Line {
    let name: String
    let key: String
    let digits: Int
    let values: [Double]
    /// How often as good as unpruned, where that means something.
    var gains: [Double] = []
  }

  private var lines: [Line] {
    let mebibyte = 1_048_576.0
    var lines = [
      Line(name: "making and packing weights, ms", key: "load_ms", digits: 0, values: [loadMilliseconds]),
      Line(name: "weights, MiB", key: "weights_mib", digits: 1, values: [Double(weights) / mebibyte]),
    ]
    for (test, tokens, seconds) in rates {
      lines.append(
        Line(
          name: "\(test), tok/s", key: "\(test)_tokens_per_s", digits: 2,
          values: [Double(tokens) / Statistics.median(seconds)]))
    }
    if !answers.isEmpty {
      for measure in ShapeResults.measures {
        let values = answers.map { Statistics.median($0.runs.map(measure.value)) }
        let gains = values.map { measure.largerIsBetter ? $0 / values[0] : values[0] / $0 }
        lines.append(
          Line(name: measure.name, key: measure.key, digits: measure.digits, values: values, gains: gains))
      }
      lines.append(
        Line(
          name: "KV cache planned, MiB", key: "kv_planned_mib", digits: 2,
          values: answers.map { Double($0.plannedKVBytes) / mebibyte }))
    }
    lines.append(Line(name: "peak RSS, MiB", key: "peak_rss_mib", digits: 1, values: [Double(peak) / mebibyte]))
    return lines
  }

  private func wideTable() -> Table {
    let kinds = answers.map { $0.budget.map { "to \($0)" } ?? "unpruned" }
    var table = Table(
      [.init("\(kernel), \(threads) threads", .left)] + (kinds.isEmpty ? ["value"] : kinds).map { .init($0) })
    let columns = max(kinds.count, 1)
    func add(_ name: String, _ values: [Double], _ digits: Int) {
      let cells = values.map { Table.Cell.number($0, digits: digits) }
      table.add([.text(name)] + cells + Array(repeating: .missing, count: columns - cells.count))
    }
    for line in lines {
      add(line.name, line.values, line.digits)
      if line.key == ShapeResults.firstToken { add("gain in it, times", line.gains, 2) }
    }
    return table
  }

  private static let firstToken = "ttft_ms"

  private func longTable(_ bench: ShapeBench) -> Table {
    var table = Table([
      .init("shape", .left), .init("type", .left), .init("photo", .left), .init("kernel", .left), .init("threads"),
      .init("test", .left), .init("visual_budget"), .init("value"), .init("gain"),
    ])
    let photo = bench.photo.map { Table.Cell.text("\($0.width)x\($0.height)") } ?? .missing
    for line in lines {
      for (index, value) in line.values.enumerated() {
        let budget = answers.indices.contains(index) ? answers[index].budget : nil
        let gain = index > 0 && line.gains.indices.contains(index) && line.gains[index].isFinite
        table.add([
          .text(bench.shape.name), .text(bench.type.rawValue), photo, .text(kernel), .integer(threads),
          .text(line.key), budget.map { .integer($0) } ?? .missing, .number(value, digits: line.digits),
          gain ? .number(line.gains[index], digits: 2) : .missing,
        ])
      }
    }
    return table
  }

  /// A JSON object a line with the fields that bench/peers reads.
  func lines(_ bench: ShapeBench) -> String {
    let tokens = bench.photo?.imageTokens ?? 0
    var rows: [(test: String, n: Int, seconds: [Double], budget: Int?)] = [("load", 1, [loadMilliseconds / 1000], nil)]
    for answer in answers where answer.budget == nil {
      rows.append(("ttft", tokens, answer.runs.map { $0.timings.timeToFirstToken / 1000 }, nil))
      rows.append(("encode", tokens, answer.runs.map { $0.timings.imageEncode / 1000 }, nil))
    }
    rows += rates.map { ($0.test, $0.tokens, $0.seconds, nil) }
    for answer in answers where answer.budget != nil {
      rows.append(("ttft-pruned", tokens, answer.runs.map { $0.timings.timeToFirstToken / 1000 }, answer.budget))
    }
    return rows.map { test, n, seconds, budget in
      let times = seconds.map { Number.text($0, 6) }.joined(separator: ", ")
      return "{\"shape\": \"\(bench.shape.name)\", \"type\": \"\(bench.type.rawValue)\", "
        + "\"test\": \"\(test)\", \"n\": \(n), \"seconds\": [\(times)], "
        + (budget.map { "\"visual_budget\": \($0), " } ?? "")
        + "\"rss\": \(peak), \"rss_baseline\": \(baseline), \"kernel\": \"\(kernel)\"}\n"
    }.joined()
  }
}
