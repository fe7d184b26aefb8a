import Occam
import OccamCommandLine
import OccamEvalKit

/// Asks a model a set of questions under one or many ways of pruning, and says what each costs and saves.
@main enum Main {
  static func main() {
    Tool.run(Flags.spec) { arguments in try Evaluation(arguments).start() }
  }
}

/// One invocation.
struct Evaluation {
  let arguments: Arguments
  /// A bar on a terminal, silence in a log.
  let progress: ProgressReporter?

  init(_ arguments: Arguments) {
    self.arguments = arguments
    progress = arguments[Flags.quiet] || !Terminal.errorIsTerminal ? nil : ProgressReporter()
  }

  /// Everything that can be wrong with flags and question files is said before the model is loaded.
  func start() throws -> ExitCode {
    let path = try arguments.require(Flags.model)
    let request = try arguments.request()
    let types = try arguments.types()
    var questions = try QuestionSet(path: try arguments.require(Flags.questions))
    let validation = try calibrationQuestions(questions)
    questions.restrict(types: types, limit: arguments[Flags.limit])
    guard !questions.questions.isEmpty else {
      throw EvalError(.setting, questions.path, "holds no question of the types asked for")
    }
    let model = try VisionLanguageModel(
      path: path, projector: arguments[Flags.projector], options: arguments.modelOptions
    ) { progress?.update("loading", Int($0 * 1000), of: 1000) }
    progress?.finish()
    if !arguments[Flags.quiet] { for note in model.notes { Terminal.error("occam-eval: \(note)\n") } }
    let tokens = try questions.meanTokens(model)
    let results = try openResults(model)
    Interrupt.install()
    defer { Interrupt.endProcess(as: Flags.spec.tool) }
    let evaluator = try Evaluator(
      model: model, session: arguments.sessionOptions, answerTokens: arguments[Flags.answerTokens] ?? 64)
    do {
      let settings = try request.settings(
        total: tokens, attending: model.textShape.attendingLayers,
        calibration: validation.map { calibration(evaluator, $0) }, plan: model.calibration?.plan,
        resolve: evaluator.settings)
      let records = try evaluator.run(questions, settings, results: results) { report("asking", $0, $1) }
      progress?.finish()
      try Terminal.output(text(EvalSummary.table(EvalSummary.all(settings, records))))
    } catch is EvaluationStopped {
      progress?.finish()
      throw Interrupted()
    }
    OccamEnvironment.printTimings()
    return .success
  }

  private func report(_ step: String, _ done: Int, _ total: Int) -> Bool {
    progress?.update(step, done, of: total)
    return !Interrupt.isRequested
  }

  private func calibration(_ evaluator: Evaluator, _ questions: QuestionSet) -> BudgetCalibration {
    BudgetCalibration(evaluator: evaluator, questions: questions) { report($0, $1, $2) }
  }

  /// Questions about images that are evaluated must not choose the thresholds.
  private func calibrationQuestions(_ questions: QuestionSet) throws -> QuestionSet? {
    guard let path = arguments[Flags.calibrate] else { return nil }
    var set = try QuestionSet(path: path)
    let images = Set(questions.questions.map(\.image))
    if let shared = set.questions.first(where: { images.contains($0.image) }) {
      throw EvalError(
        .setting, path, "thresholds cannot be chosen on what is evaluated: both sets ask about '\(shared.image)'")
    }
    set.sample(arguments[Flags.calibrateLimit] ?? 400)
    return set
  }

  private func openResults(_ model: VisionLanguageModel) throws -> ResultsFile? {
    guard let path = arguments[Flags.results] else { return nil }
    let options = [
      "encoder=\((arguments[Flags.encoderType] ?? .auto).rawValue)",
      "layout=\((arguments[Flags.visionLayout] ?? .reference).rawValue)",
      "keys=\(arguments.value(Flags.cache.keys).rawValue)", "values=\(arguments.value(Flags.cache.values).rawValue)",
      "tokens=\(arguments[Flags.answerTokens] ?? 64)",
    ]
    return try ResultsFile(path: path, run: try RunIdentity.line(model: model, options: options))
  }

  private func text(_ table: Table) throws -> String {
    switch arguments[Flags.format] ?? .md {
    case .md: return table.text(.md)
    case .csv: return table.text(.csv)
    case .json: return table.text(.json)
    case .jsonl: return try RunIdentity.lines(table)
    }
  }
}
