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

  /// Everything that can be wrong with the command line, the question and the photos' files is said before the model,
  /// which may take a while, is loaded.
  func start() throws -> ExitCode {
    let path = try arguments.require(Flags.model)
    let options = arguments.generationOptions()
    let sessionOptions = try arguments.sessionOptions()
    try checkCombinations()
    let prompt = try readPrompt()
    if let path = arguments[Flags.keepMap] { try TextFile.checkWritable(path) }
    let photos = try arguments.all(Flags.image).map { try PhotoFile.read($0) }
    if !photos.isEmpty { try checkVision(path) }
    let model = try VisionLanguageModel(
      path: path, projector: arguments[Flags.projector], options: try arguments.loadingOptions()
    ) { share in update("loading", share) }
    finishProgress()
    if !isQuiet { for note in model.notes { Terminal.error("occam-run: \(note)\n") } }
    if arguments[Flags.verbose] { Terminal.error(Report.model(model)) }
    let session = try model.makeSession(sessionOptions)
    session.setSystemPrompt(arguments[Flags.system])
    defer { OccamEnvironment.printTimings() }
    guard let prompt else { return try Chat(run: self, session: session, options: options, photos: photos).start() }
    return try answer(session, prompt, photos, options)
  }

  private var isChat: Bool { !arguments.isGiven(Flags.prompt) && !arguments.isGiven(Flags.promptFile) }

  private func checkCombinations() throws(UsageError) {
    let images = arguments.all(Flags.image)
    if arguments.isGiven(Flags.prompt), arguments.isGiven(Flags.promptFile) {
      throw .invalid("-p and -f exclude each other")
    }
    if isChat, !(Terminal.inputIsTerminal && Terminal.outputIsTerminal) {
      throw .invalid("-p is required (-p - reads standard input): there is no terminal to chat on")
    }
    if images.filter({ $0 == "-" }).count > 1 { throw .invalid("only one --image can come from standard input") }
    if images.contains("-") {
      if isChat { throw .invalid("--image - needs -p: a chat reads standard input itself") }
      if arguments[Flags.prompt] == "-" || arguments[Flags.promptFile] == "-" {
        throw .invalid("prompt and image cannot both come from standard input")
      }
    }
    if arguments.isGiven(Flags.logprobs), !arguments[Flags.json] { throw .invalid("--logprobs needs --json") }
    if arguments.isGiven(Flags.keepMap) {
      if arguments[Flags.prune] == .off { throw .invalid("--keep-map shows what pruning kept; --prune is off") }
      if images.isEmpty, !isChat { throw .invalid("--keep-map needs an --image") }
    }
  }

  /// The files' headers tell whether the model can see.
  private func checkVision(_ path: String) throws {
    if try MemoryPlan(path: path, projector: arguments[Flags.projector]).visualTokens == 0 {
      throw OccamError.cannotSee(path)
    }
  }

  /// -p, -f, or nil; `-` reads standard input.
  private func readPrompt() throws -> String? {
    if let file = arguments[Flags.promptFile] { return try TextFile.read(file) }
    let text = arguments[Flags.prompt]
    return text == "-" ? try TextFile.read("-") : text.map(arguments.escaped)
  }

  /// Streams one reply. Ctrl-C ends it between two layers; what was said until then stands.
  func answer(
    _ session: Session, _ prompt: String, _ images: [ImageSource], _ options: GenerationOptions
  ) throws -> ExitCode {
    let isJSON = arguments[Flags.json]
    var hasText = false
    var failure: (any Error)?
    let metrics: GenerationMetrics
    Interrupt.install()
    defer { Interrupt.endProcess(as: Flags.spec.tool) }
    do throws(OccamError) {
      metrics = try session.respond(to: prompt, images: images, options: options) { event in
        if Interrupt.isRequested { session.cancel() }
        switch event {
        case .encoding(let image, let count, let fraction):
          update(count > 1 ? "encoding image \(image + 1)/\(count)" : "encoding image", fraction)
        case .prefill(let tokens, _, let fraction):
          update("prefill of \(tokens) token\(tokens == 1 ? "" : "s")", fraction)
        case .token(let token):
          finishProgress()
          guard failure == nil else { return }
          do {
            try Terminal.output(isJSON ? token.jsonLine + "\n" : token.text)
            hasText = true
          } catch {
            failure = error
            session.cancel()
          }
        }
      }
    } catch {
      finishProgress()
      if let failure { throw failure }
      // The message starts on a line of its own.
      if hasText, !isJSON { try Terminal.output("\n") }
      if error.code == .cancelled { throw Interrupted() }
      throw error
    }
    finishProgress()
    if let failure { throw failure }
    if isJSON { try Terminal.output(metrics.jsonLine + "\n") } else if hasText { try Terminal.output("\n") }
    if !isQuiet { Terminal.error(Report.footer(metrics)) }
    if metrics.stop == .cancelled { throw Interrupted() }
    try writeKeepMaps(session, metrics)
    return .success
  }

  private func writeKeepMaps(_ session: Session, _ metrics: GenerationMetrics) throws {
    guard let path = arguments[Flags.keepMap] else { return }
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
