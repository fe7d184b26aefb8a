import Occam
import OccamCommandLine
import OccamFixtures

/// What this machine would do with a published model: its shape, filled with random weights in memory.
struct ShapeBench {
  let shape: ModelShape
  let type: FixtureType
  let projectorType: FixtureType
  /// nil for a family that reads text only.
  let photo: ShapePhoto?
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
    self.arguments = arguments
    let wanted = try arguments[ShapeFlags.photo].map(ShapeFlags.size)
    model = try shape.spec.synthesizeModel(type: type, projectorType: projectorType)
    if let projector = model.projector, let size = wanted ?? shape.photo {
      photo = try ShapePhoto(
        text: model.text, projector: projector, width: size.width, height: size.height,
        options: arguments.modelOptions)
    } else if wanted == nil {
      photo = nil
    } else {
      throw UsageError.invalid("--photo: \(shape.name) reads text only")
    }
    plan = try MemoryPlan(
      text: model.text, projector: model.projector,
      session: arguments.session, options: arguments.modelOptions, photo: photo)
    if let photo, photo.tokens + ShapeBench.textTokens + ShapeBench.answerTokens > plan.contextLength {
      throw UsageError.invalid(
        "--photo \(photo.width)x\(photo.height): \(photo.tokens) tokens; \(shape.name) sees \(plan.contextLength)")
    }
  }

  private static func unknown(_ name: String, _ known: [String]) -> UsageError {
    let nearest = NearestName.find(name.lowercased(), among: known).map { "did you mean '\($0)'? " } ?? ""
    return .invalid("--shape: no '\(name)'; \(nearest)known: \(known.joined(separator: ", "))")
  }

  /// One line a shape, for `--list-shapes`.
  static func list() -> String {
    var table = Table([.init("shape", .left), .init("photo"), .init("model", .left)])
    for shape in ModelShape.all {
      let photo = shape.photo.map { Table.Cell.text("\($0.width)x\($0.height)") } ?? .missing
      table.add([.text(shape.name), photo, .text(shape.summary)])
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
    var lines = [
      "\(shape.name), \(type.rawValue)\(photo == nil ? "" : " (encoder \(projectorType.rawValue))"): \(shape.summary).",
      "Weights are random: speed and memory are real, answers and what pruning keeps are not.",
    ]
    if let photo {
      let tiles = photo.tiles == 1 ? "1 tile" : "\(photo.tiles) tiles"
      let others = [(photo.learnedTokens, "learned"), (photo.markerTokens, "marker")].filter { $0.0 > 0 }
      lines.append(
        "Photo of \(photo.width) x \(photo.height): \(tiles), "
          + ([(photo.visualTokens, "visual")] + others).map { "\($0) \($1)" }.joined(separator: " + ") + " tokens; "
          + "\(ShapeBench.textTokens) text tokens, \(ShapeBench.answerTokens) answered. "
          + "Pruned \(stageOneRule) behind stage I, then to \(budgets.map(String.init).joined(separator: ", ")).")
    }
    return (lines + [""] + plan.lines(visualBudget: budgets.first)).joined(separator: "\n") + "\n\n"
  }

  /// The visual tokens that stay at the end of each pruned run: those asked for, or the published setting's.
  private var budgets: [Int] {
    guard let photo else { return [] }
    let given = arguments.all(Flags.visualBudget) + (arguments[Flags.maxVisualTokens].map { [$0] } ?? [])
    return given.isEmpty ? shape.budgets(of: photo.visualTokens) : given.map { min($0, photo.visualTokens) }
  }

  private var stageOneTokens: Int {
    let tokens = photo?.visualTokens ?? 0
    return arguments[Flags.stageOneTokens].map { min($0, tokens) } ?? shape.stageOneTokens(of: tokens)
  }

  private var stageOneRule: String { arguments[Flags.lambda1].map { "by lambda1 \($0)" } ?? "to \(stageOneTokens)" }

  /// What a session's caches should take behind the answer, from the headers alone; at most that where thresholds were
  /// given, which may drop more.
  /// - Parameter budget: visual tokens that may be left; nil unpruned.
  private func plannedKVBytes(_ photo: ShapePhoto, budget: Int?) -> Int {
    var left = budget ?? photo.visualTokens
    if budget != nil, arguments[Flags.lambda1] == nil { left = min(left, stageOneTokens) }
    return plan.kvBytes(
      tokens: photo.tokens - photo.visualTokens + left + ShapeBench.textTokens + ShapeBench.answerTokens)
  }

  private func refuseWithoutMemory(isPlanShown: Bool) throws {
    let needed = plan.totalBytes + model.largestTensorBytes
    guard let available = plan.availableBytes, needed > available else { return }
    let lines = isPlanShown ? "" : plan.lines(visualBudget: budgets.first).map { "\n  \($0)" }.joined()
    throw OccamError(
      .invalidOption, "\(shape.name):\(type.rawValue)",
      "needs \(ShapeBench.mebibytes(needed)) MiB while loading, \(ShapeBench.mebibytes(available)) MiB are available"
        + lines)
  }

  private func measure() throws -> ShapeResults {
    let baseline = OccamProcess.peakResidentBytes
    let loaded = try VisionLanguageModel(
      text: model.text, projector: model.projector, options: arguments.modelOptions
    ) {
      progress.update("making weights", Int($0 * 1000), of: 1000)
    }
    progress.finish()
    var results = ShapeResults(
      kernel: loaded.kernel, threads: loaded.threads, weights: loaded.weightsBytes, baseline: baseline,
      loadMilliseconds: loaded.loadMilliseconds)
    let session = try loaded.makeSession(arguments.session)
    for count in counts(Flags.prefill) {
      results.rates.append(
        ("pp\(count)", count, try samples("pp\(count)") { try session.secondsToPrefill(tokens: count) }))
    }
    for count in counts(Flags.decode) {
      results.rates.append(
        ("tg\(count)", count, try samples("tg\(count)") { try session.secondsToDecode(tokens: count) }))
    }
    if let photo { results.answers = try answers(photo, session) }
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

  /// Unpruned first, then pruned to each budget; the kinds alternate.
  private func answers(_ photo: ShapePhoto, _ session: Session) throws -> [ShapeResults.Answers] {
    var kinds = ([nil] + budgets).map { budget in
      ShapeResults.Answers(budget: budget, plannedKVBytes: plannedKVBytes(photo, budget: budget))
    }
    for run in 0...repetitions {
      progress.update("answers", run, of: repetitions)
      for index in kinds.indices {
        let metrics = try session.measure(answer(photo, budget: kinds[index].budget))
        if run > 0 { kinds[index].runs.append(metrics) }
      }
    }
    progress.finish()
    return kinds
  }

  private func answer(_ photo: ShapePhoto, budget: Int?) -> ShapeAnswer {
    var answer = ShapeAnswer(width: photo.width, height: photo.height)
    answer.textTokens = ShapeBench.textTokens
    answer.answerTokens = ShapeBench.answerTokens
    guard let budget else { return answer }
    answer.stageOneTokens = stageOneTokens
    answer.pruning = GenerationOptions.Pruning()
    answer.pruning.lambda1 = arguments[Flags.lambda1]
    // With random weights no threshold means anything: the budget alone decides.
    answer.pruning.lambda2 = arguments[Flags.lambda2] ?? 0
    answer.pruning.layer = arguments[Flags.pruneLayer]
    answer.pruning.maxVisualTokens = budget
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
  static let photo = Flag<String>.text(
    "--photo", value: "WIDTHxHEIGHT", help: "with --shape: the photo's size in pixels (default: typical of the family)")
  static let planOnly = Flag<Bool>.toggle("--dry-run", help: "with --shape: print the memory plan only")
  static let group = CommandLineSpec.Group("Shapes", [shape.spec, list.spec, photo.spec, planOnly.spec])

  /// The largest side of a photo of noise.
  private static let maximumSide = 8192

  static func size(_ text: String) throws -> ModelShape.PhotoSize {
    let sides = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard sides.count == 2, let width = sides[0], let height = sides[1], (1...maximumSide).contains(width),
      (1...maximumSide).contains(height)
    else { throw UsageError.invalid("--photo: '\(text)' is not WIDTHxHEIGHT, each in 1...\(maximumSide)") }
    return ModelShape.PhotoSize(width: width, height: height)
  }
}
