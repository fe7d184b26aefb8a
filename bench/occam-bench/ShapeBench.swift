import Occam
import OccamCommandLine
import OccamFixtures

/// What this machine would do with a published model: its shape, filled with random weights in memory.
struct ShapeBench {
  let shape: ModelShape
  let type: FixtureType
  let projectorType: FixtureType
  let tiles: Int
  let arguments: Arguments
  let progress = ProgressReporter()
  private let model: SyntheticModel
  private let plan: MemoryPlan

  /// Tokens of the question, as in the published comparisons.
  private static let textTokens = 40
  private static let answerTokens = 32

  /// - Parameter request: `NAME` or `NAME:TYPE`.
  init(_ request: String, _ arguments: Arguments) throws {
    let parts = request.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard let shape = ModelShape.named(parts[0]) else { throw ShapeBench.unknown(parts[0], ModelShape.all.map(\.name)) }
    let types = FixtureType.allCases.map(\.rawValue)
    guard let type = FixtureType(name: parts.count > 1 ? parts[1] : "Q4_0") else {
      throw ShapeBench.unknown(parts[1], types)
    }
    self.shape = shape
    self.type = type
    // As mmproj files are published; Occam requantises them while loading.
    projectorType = type == .f32 ? .f32 : .f16
    tiles = arguments[ShapeFlags.tiles] ?? 1
    self.arguments = arguments
    model = try shape.spec.synthesize(type: type, projectorType: projectorType)
    plan = try MemoryPlan(
      text: model.text, projector: model.projector,
      session: SessionOptions(cells: arguments[Flags.cells] ?? .f16),
      encoderType: arguments[Flags.encoderType] ?? .auto, visualTokens: shape.visualTokens * tiles)
  }

  private static func unknown(_ name: String, _ known: [String]) -> UsageError {
    let nearest = NearestName.find(name.lowercased(), among: known).map { "did you mean '\($0)'? " } ?? ""
    return .invalid("--shape: no '\(name)'; \(nearest)known: \(known.joined(separator: ", "))")
  }

  /// One line a shape, for `--list-shapes`.
  static func list() -> String {
    var table = Table([.init("shape", .left), .init("model", .left), .init("runs", .left)])
    for shape in ModelShape.all {
      table.add([.text(shape.name), .text(shape.summary), .text(shape.isExact ? "as it is" : "emulated")])
    }
    return table.text(.md)
  }

  func run() throws {
    let format = arguments[Flags.format] ?? .md
    let isForPeople = format == .md
    if isForPeople { try Terminal.output(heading) }
    if arguments[ShapeFlags.planOnly] { return }
    try refuseWithoutMemory(isPlanShown: isForPeople)
    let results = try measure()
    guard let tableFormat = Table.Format(rawValue: format.rawValue) else {
      return try Terminal.output(results.lines(self))
    }
    try Terminal.output(results.table(self, tableFormat).text(tableFormat))
  }

  private var heading: String {
    let vision = shape.spec.vision
    let picture =
      "\(tiles == 1 ? "one tile" : "\(tiles) tiles") of \(vision.imageSize) x \(vision.imageSize): "
      + "\(vision.patches) patches, \(shape.visualTokens) visual tokens\(tiles == 1 ? "" : " each")"
    return """
      \(shape.name), \(type.rawValue) (encoder \(projectorType.rawValue)): \(shape.summary).
      \(shape.emulation.map { "Emulated. " + $0 } ?? "Runs as it is.")
      Weights are random: speed and memory are real, answers and what pruning keeps are not.
      Picture: \(picture); \(ShapeBench.textTokens) text tokens. Pruned to \(budget) a tile.

      \(plan.lines(visualBudget: budget * tiles).joined(separator: "\n"))


      """
  }

  /// The tokens of a tile that stay at the end of a pruned run: 32, or a quarter of a tile that has few.
  private var budget: Int {
    min(arguments[Flags.visualBudget] ?? min(32, max(shape.visualTokens / 4, 1)), shape.visualTokens)
  }

  private func refuseWithoutMemory(isPlanShown: Bool) throws {
    let needed = plan.totalBytes + model.largestTensorBytes
    guard let available = plan.availableBytes, needed > available else { return }
    let lines = isPlanShown ? "" : plan.lines(visualBudget: budget * tiles).map { "\n  \($0)" }.joined()
    throw OccamError(
      .invalidOption, "\(shape.name):\(type.rawValue)",
      "needs \(ShapeBench.mebibytes(needed)) MiB while loading, \(ShapeBench.mebibytes(available)) MiB are available"
        + lines)
  }

  private func measure() throws -> ShapeResults {
    let baseline = OccamProcess.peakResidentBytes
    var options = ModelOptions(threads: arguments[Flags.threads])
    options.encoderType = arguments[Flags.encoderType] ?? .auto
    let loaded = try VisionLanguageModel(text: model.text, projector: model.projector, options: options) {
      progress.update("making weights", Int($0 * 1000), of: 1000)
    }
    progress.finish()
    var results = ShapeResults(
      kernel: loaded.kernel, threads: loaded.threads, weights: loaded.weightsBytes, baseline: baseline,
      loadMilliseconds: loaded.loadMilliseconds)
    let session = try loaded.makeSession(SessionOptions(cells: arguments[Flags.cells] ?? .f16))
    for count in counts(Flags.prefill) {
      results.rates.append(
        ("pp\(count)", count, try samples("pp\(count)") { try session.secondsToPrefill(tokens: count) }))
    }
    for count in counts(Flags.decode) {
      results.rates.append(
        ("tg\(count)", count, try samples("tg\(count)") { try session.secondsToDecode(tokens: count) }))
    }
    for run in 0...repetitions {
      progress.update("answers", run, of: repetitions)
      let pair = try [false, true].map { try session.measure(answer(pruned: $0)) }
      if run == 0 { continue }
      results.unpruned.append(pair[0])
      results.pruned.append(pair[1])
    }
    progress.finish()
    results.peak = OccamProcess.peakResidentBytes
    return results
  }

  private var repetitions: Int { arguments.isGiven(Flags.repetitions) ? arguments[Flags.repetitions] ?? 3 : 3 }

  private func counts(_ flag: Flag<Int>) -> [Int] {
    let given = arguments.all(flag)
    return (given.isEmpty ? [flag.fallback ?? 0] : given).filter { $0 > 0 }
  }

  private func samples(_ name: String, _ body: () throws -> Double) throws -> [Double] {
    var result: [Double] = []
    for run in 0...repetitions {
      progress.update(name, run, of: repetitions)
      let value = try body()
      if run > 0 { result.append(value) }
    }
    progress.finish()
    return result
  }

  private func answer(pruned: Bool) -> ShapeAnswer {
    var answer = ShapeAnswer()
    answer.tiles = tiles
    answer.merge = shape.merge
    answer.textTokens = ShapeBench.textTokens
    answer.answerTokens = ShapeBench.answerTokens
    guard pruned else { return answer }
    answer.pruning = GenerationOptions.Pruning()
    answer.pruning.lambda1 = arguments[Flags.lambda1]
    // With random weights no threshold means anything: the budget alone decides.
    answer.pruning.lambda2 = arguments[Flags.lambda2] ?? 0
    answer.pruning.layer = arguments[Flags.pruneLayer]
    answer.pruning.maxVisualTokens = arguments[Flags.maxVisualTokens] ?? budget
    return answer
  }

  static func mebibytes(_ bytes: Int) -> String { Number.text(Double(bytes) / 1_048_576, 1) }
}

extension Main {
  /// - Returns: whether a shape, or the list of them, was asked for.
  static func runShape(_ arguments: Arguments) throws -> Bool {
    if arguments[ShapeFlags.list] {
      try Terminal.output(ShapeBench.list())
      return true
    }
    guard let request = arguments[ShapeFlags.shape] else { return false }
    if arguments.isGiven(Flags.model) || arguments.isGiven(Flags.image) {
      throw UsageError.invalid("--shape makes its own model and picture: leave out --model and --image")
    }
    try ShapeBench(request, arguments).run()
    OccamEnvironment.printTimings()
    return true
  }
}

enum ShapeFlags {
  static let shape = Flag<String>.text(
    "--shape", value: "NAME[:TYPE]",
    help: "a published model's shape with random weights in memory, Q4_0 without a type")
  static let list = Flag<Bool>.toggle("--list-shapes", help: "list the shapes")
  static let tiles = Flag<Int>.integer("--tiles", in: 1...64, default: 1, help: "with --shape: tiles of the picture")
  static let planOnly = Flag<Bool>.toggle("--dry-run", help: "with --shape: print the memory plan only")
  static let group = CommandLineSpec.Group("Shapes", [shape.spec, list.spec, tiles.spec, planOnly.spec])
}
