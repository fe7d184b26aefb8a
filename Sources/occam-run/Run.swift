import Glibc
import Occam
import OccamCommandLine

/// One invocation: load, then a single answer or a chat.
struct Run {
  let arguments: Arguments
  let progress = ProgressReporter()
  let isQuiet: Bool

  init(_ arguments: Arguments) {
    self.arguments = arguments
    isQuiet = arguments[Flags.quiet]
  }

  func start() throws -> ExitCode {
    let path = try arguments.require(Flags.model)
    let options = arguments.generationOptions()
    let sessionOptions = try arguments.sessionOptions()
    let prompt = try readPrompt()
    if prompt == nil, !(Terminal.inputIsTerminal && Terminal.outputIsTerminal) {
      throw UsageError.invalid("-p is required: there is no terminal to chat on")
    }
    if arguments.isGiven(Flags.logprobs), !arguments[Flags.json] { throw UsageError.invalid("--logprobs needs --json") }
    let model = try VisionLanguageModel(
      path: path, projector: arguments[Flags.projector], options: arguments.modelOptions
    ) { share in
      if Interrupt.isRequested { exit(ExitCode.interrupted.rawValue) }
      update("loading", share)
    }
    finishProgress()
    if !isQuiet { for note in model.notes { Terminal.error("occam-run: \(note)\n") } }
    if arguments[Flags.verbose] { Terminal.error(Report.model(model)) }
    let session = try model.makeSession(sessionOptions)
    session.setSystemPrompt(arguments[Flags.system])
    defer { OccamEnvironment.printTimings() }
    guard let prompt else { return try Chat(run: self, session: session, options: options).start() }
    return try answer(session, prompt, arguments.all(Flags.image).map { .file($0) }, options)
  }

  /// -p, -f, or nil; `-` reads standard input.
  private func readPrompt() throws -> String? {
    if let file = arguments[Flags.promptFile] {
      if arguments.isGiven(Flags.prompt) { throw UsageError.invalid("-p and -f exclude each other") }
      return try TextFile.read(file)
    }
    guard let text = arguments[Flags.prompt] else { return nil }
    guard text == "-" else { return text }
    if arguments.all(Flags.image).contains("-") {
      throw UsageError.invalid("prompt and image cannot both come from standard input")
    }
    return try TextFile.read("-")
  }

  /// Streams one reply. Ctrl-C ends it between two layers.
  func answer(
    _ session: Session, _ prompt: String, _ images: [ImageSource], _ options: GenerationOptions
  ) throws -> ExitCode {
    let isJSON = arguments[Flags.json]
    var failure: (any Error)?
    let metrics: GenerationMetrics
    do throws(OccamError) {
      metrics = try session.respond(to: prompt, images: images, options: options) { event in
        if Interrupt.isRequested { session.cancel() }
        switch event {
        case .encoding(let image, let count, let fraction):
          update(count > 1 ? "encoding image \(image + 1)/\(count)" : "encoding image", fraction)
        case .prefill(let tokens, let fraction): update("prefill of \(tokens) tokens", fraction)
        case .token(let token):
          finishProgress()
          do {
            if isJSON {
              if token.id >= 0 { try Terminal.output(token.jsonLine + "\n") }
            } else {
              try Terminal.output(token.text)
            }
          } catch {
            failure = error
            session.cancel()
          }
        }
      }
    } catch {
      finishProgress()
      if error.code == .cancelled { throw Interrupted() }
      throw error
    }
    finishProgress()
    if let failure { throw failure }
    try Terminal.output(isJSON ? metrics.jsonLine + "\n" : "\n")
    if !isQuiet { Terminal.error(Report.footer(metrics)) }
    try writeKeepMaps(session, metrics)
    return metrics.stop == .cancelled ? .interrupted : .success
  }

  private func writeKeepMaps(_ session: Session, _ metrics: GenerationMetrics) throws {
    guard let path = arguments[Flags.keepMap] else { return }
    if metrics.pruning.isEmpty { throw UsageError.invalid("--keep-map needs an image and --prune auto") }
    for entry in metrics.pruning {
      let stem = path.hasSuffix(".png") ? String(path.dropLast(4)) : path
      let name = entry.image == 0 ? path : "\(stem)-\(entry.image + 1).png"
      try TextFile.write(try session.keepMap(image: entry.image), to: name)
    }
  }

  private func update(_ name: String, _ share: Double) {
    if !isQuiet { progress.update(name, Int(share * 1000), of: 1000) }
  }

  private func finishProgress() { if !isQuiet { progress.finish() } }
}
