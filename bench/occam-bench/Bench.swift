import Occam
import OccamCommandLine

/// Rows as llama-bench prints them: pp N (prefill) and tg N (generation), mean and spread of tokens per second.
struct Bench {
  let arguments: Arguments
  let model: VisionLanguageModel
  let photo: ImageSource?
  let progress = ProgressReporter()
  /// Peak resident bytes before the model was loaded.
  let baseline: Int

  init(_ arguments: Arguments, _ photo: ImageSource?) throws {
    self.arguments = arguments
    self.photo = photo
    if photo == nil, arguments[Flags.prefill] == 0, arguments[Flags.decode] == 0 {
      throw UsageError.invalid("nothing to measure: -p 0, -n 0 and no --image")
    }
    if arguments[Flags.draftLookup], photo == nil || arguments[Flags.format] == .jsonl {
      throw UsageError.invalid("--draft-lookup needs an --image, and a table to stand in: -o md, csv or json")
    }
    baseline = OccamProcess.peakResidentBytes
    let progress = progress
    model = try VisionLanguageModel(
      path: try arguments.require(Flags.model), projector: arguments[Flags.projector], options: arguments.modelOptions
    ) { progress.update("loading", Int($0 * 1000), of: 1000) }
    progress.finish()
    for note in model.notes { Terminal.error("occam-bench: \(note)\n") }
    if photo != nil, model.projectorPath == nil {
      throw UsageError.invalid("--image needs a projector: none was given with --mmproj or found beside the model")
    }
  }

  var repetitions: Int { arguments[Flags.repetitions] ?? 5 }
  var format: Table.Format { Table.Format(rawValue: (arguments[Flags.format] ?? .md).rawValue) ?? .md }

  func makeSession() throws -> Session {
    try model.makeSession(arguments.session)
  }

  private func counts(_ flag: Flag<Int>) -> [Int] {
    let given = arguments.all(flag)
    return (given.isEmpty ? [flag.fallback ?? 0] : given).filter { $0 > 0 }
  }

  func table() throws -> Table {
    var table = Table([
      .init("model", .left), .init("weights MiB", key: "weights_mib"), .init("kernel", .left), .init("threads"),
      .init("test", .left), .init("tok/s", key: "tokens_per_s"), .init("best tok/s", key: "best_tokens_per_s"),
      .init("peak RSS MiB", key: "peak_rss_mib"),
    ])
    try forEachRate { test, count, seconds in table.add(row(test, seconds.map { Double(count) / $0 })) }
    return table
  }

  /// Hands every pp and tg test's name, tokens and seconds to `body`, each when it is done.
  func forEachRate(_ body: (String, Int, [Double]) throws -> Void) throws {
    let session = try makeSession()
    for count in counts(Flags.prefill) {
      try body("pp\(count)", count, try samples("pp\(count)") { try session.secondsToPrefill(tokens: count) })
    }
    for count in counts(Flags.decode) {
      try body("tg\(count)", count, try samples("tg\(count)") { try session.secondsToDecode(tokens: count) })
    }
  }

  /// The user's wishes for the pruned runs.
  var pruning: GenerationOptions.Pruning {
    var options = GenerationOptions.Pruning()
    options.visualBudget = arguments[Flags.visualBudget]
    options.lambda1 = arguments[Flags.lambda1]
    options.lambda2 = arguments[Flags.lambda2]
    options.layer = arguments[Flags.pruneLayer]
    options.maxVisualTokens = arguments[Flags.maxVisualTokens]
    options.maxStageOneTokens = arguments[Flags.stageOneTokens]
    return options
  }

  var fileName: String { model.path.split(separator: "/").last.map(String.init) ?? model.path }

  /// One warm-up, then the repetitions.
  func samples(_ name: String, _ body: () throws -> Double) throws -> [Double] {
    var result: [Double] = []
    for run in 0...repetitions {
      progress.update(name, run, of: repetitions)
      let value = try body()
      if run > 0 { result.append(value) }
    }
    progress.finish()
    return result
  }

  private func row(_ test: String, _ rates: [Double]) -> [Table.Cell] {
    [
      .text(fileName), .number(Double(model.weightsBytes) / 1_048_576, digits: 1), .text(model.kernel),
      .integer(model.threads), .text(test), .spread(Statistics.mean(rates), Statistics.deviation(rates), digits: 2),
      .number(rates.max() ?? 0, digits: 2), .number(Double(OccamProcess.peakResidentBytes) / 1_048_576, digits: 1),
    ]
  }
}

extension Arguments {
  var modelOptions: ModelOptions {
    var options = ModelOptions(threads: self[Flags.threads])
    options.encoderType = self[Flags.encoderType] ?? .auto
    options.imageMaxTokens = self[Flags.imageMaxTokens]
    options.packCache = self[LoadingFlags.packCache]
    options.packCacheBytes = value(LoadingFlags.packCacheSize) << 20
    options.lowMemory = self[LoadingFlags.lowMemory]
    return options
  }
}

enum Statistics {
  static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }

  /// Sample standard deviation; 0 for a single value.
  static func deviation(_ values: [Double]) -> Double {
    guard values.count > 1 else { return 0 }
    let mean = mean(values)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
