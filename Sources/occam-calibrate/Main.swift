import Occam
import OccamCommandLine

/// Writes the sidecar that OccamToken prunes by: register neurons, lambda1, and the curve lambda2 -> kept tokens.
@main enum Main {
  static let model = Flag<String>.file("-m", "--model", help: "GGUF text model, or one file with both sets of tensors")
  static let projector = Flag<String>.file("-mm", "--mmproj", help: "GGUF vision projector")
  static let images = Flag<String>.text("--images", value: "FOLDER", help: "folder of photos, 50 to 100")
  static let questions = Flag<String>.file(
    "--questions", help: "one question a line; or .jsonl with image and question, then no --images")
  static let output = Flag<String>.file("-o", "--output", help: "sidecar to write (default: <projector>.occam.json)")
  static let lambda1 = Flag<Float>.number("--lambda1", in: 0...1e6, help: "stage I threshold instead of a measured one")
  static let share = Flag<Float>.number(
    "--stage1-share", in: 0.01...1, default: 0.45, help: "share of the visual tokens stage I shall keep on average")
  static let layer = Flag<Int>.integer("--prune-layer", in: 1...1024, help: "text layer of stage II, from 1")
  static let budget = Flag<Int>.integer(
    "--visual-budget", in: 1...(1 << 20), help: "mean kept tokens of the default lambda2 (default: a ninth)")
  static let reference = Flag<Calibrator.Reference>.choice(
    "--reference", default: .auto,
    help: "what scores are held against; auto: what keeps the unpruned answers the more likely")
  static let score = Flag<Calibrator.Score>.choice(
    "--stage1-score", default: .auto, help: "what stage I reads of the encoder; auto: as for --reference")
  static let limit = Flag<Int>.integer(
    "--limit", in: 1...100_000, default: 100, help: "photos, or pairs of a .jsonl, used at most")
  static let threads = Flag<Int>.integer(
    "-t", "--threads", in: 1...256, help: "compute threads (default: usable cores)")

  static let spec = CommandLineSpec(
    tool: "occam-calibrate",
    summary: "Finds register neurons and pruning thresholds of a model, from photos and questions. Trains nothing.",
    groups: [
      .init("Model", [model.spec, projector.spec]),
      .init("Calibration set", [images.spec, questions.spec, limit.spec]),
      .init("Result", [output.spec, lambda1.spec, share.spec, layer.spec, budget.spec, reference.spec, score.spec]),
      .init("Machine", [threads.spec]),
    ],
    examples: [
      "occam-calibrate -m model.gguf --images photos --questions questions.txt",
      "occam-calibrate -m model.gguf --questions pairs.jsonl",
    ])

  static func main() {
    Tool.run(spec, calibrate)
  }

  private static func calibrate(_ arguments: Arguments) throws -> ExitCode {
    let samples = try samples(arguments)
    if let path = arguments[output] { try TextFile.checkWritable(path) }
    let progress = ProgressReporter()
    let model = try VisionLanguageModel(
      path: try arguments.require(model), projector: arguments[projector],
      options: ModelOptions(threads: arguments[threads])
    ) { progress.update("loading", Int($0 * 1000), of: 1000) }
    progress.finish()
    let calibrator = try Calibrator(model: model)
    let path = arguments[output] ?? calibrator.sidecarPath
    try TextFile.checkWritable(path)
    var options = Calibrator.Options()
    options.lambda1 = arguments[lambda1]
    options.stageOneShare = Double(arguments[share] ?? 0.45)
    options.layer = arguments[layer]
    options.visualBudget = arguments[budget]
    options.reference = arguments[reference] ?? .auto
    options.score = arguments[score] ?? .auto
    let report = try calibrator.run(samples, options: options) { Terminal.error("\($0)\n") }
    try TextFile.write(Array(report.json.utf8), to: path)
    try Terminal.output(text(report, path))
    return .success
  }

  private static func samples(_ arguments: Arguments) throws -> [CalibrationSample] {
    let file = try arguments.require(questions)
    let limit = arguments[limit] ?? 100
    let samples: [CalibrationSample]
    if file.hasSuffix(".jsonl") {
      guard arguments[images] == nil else {
        throw OccamError(.invalidOption, "--images", "'\(file)' names its images itself")
      }
      samples = try CalibrationSample.read(file, limit: limit)
    } else {
      let photos = Array(try PhotoFolder.list(try arguments.require(images)).prefix(limit))
      samples = CalibrationSample.pairing(images: photos, questions: try TextFile.lines(file))
    }
    if samples.isEmpty { throw OccamError(.invalidOption, file, "holds no question") }
    return samples
  }

  private static func text(_ report: Calibrator.Report, _ path: String) -> String {
    func number(_ value: Double) -> String { Number.text(value, 2) }
    func loss(_ value: Double?) -> String { value.map { "\(Number.text($0, 4)) nats a token lost" } ?? "not measured" }
    var text = """
      images                \(report.images), \(report.samples) questions asked
      reference             \(report.reference.rawValue) (register: \(loss(report.registerLoss)); mean: \(loss(report.meanLoss)))
      stage I score         \(report.score.rawValue) (key norm: \(loss(report.keyNormLoss)))
      register neurons      \(report.registerNeurons)
      outlier patches       \(number(report.outliersBefore)) -> \(number(report.outliersAfter)) an image
      effective patches     \(number(report.effectivePatchesBefore)) -> \(number(report.effectivePatchesAfter))
      lambda1, lambda2      \(report.lambda1), \(report.lambda2)
      lambda2 -> kept

      """
    for index in stride(from: 0, to: report.curve.count, by: max(report.curve.count / 12, 1)) {
      text += "  \(Number.text(Double(report.curve[index].lambda2), 4))  \(number(report.curve[index].kept))\n"
    }
    return text + "written to \(path)\n"
  }
}
