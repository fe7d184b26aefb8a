import OccamCore
import OccamGGUF
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTokenizer

/// A loaded model: weights packed for this processor, tokenizer, chat format, calibration. Immutable and shared by any
/// number of sessions; their forward passes take turns on the model's threads.
///
/// Loading blocks the calling thread for as long as reading the file takes; do it outside Swift's cooperative pool.
public final class VisionLanguageModel: Sendable {
  public let path: String
  /// The projector file in use; nil for a text-only model.
  public let projectorPath: String?
  public let kernel: String
  public let threads: Int
  /// Bytes of all packed weights that stay in memory, mapped ones among them.
  public let weightsBytes: Int
  /// Whether the vision model's weights are in memory now (`ModelOptions.lowMemory`).
  package var holdsVisionWeights: Bool { parts.vision?.isLoaded ?? false }
  /// Bytes of weights that each decoded token reads.
  package var bytesPerDecodedToken: Int { parts.decoder.bytesPerToken }
  /// Milliseconds that loading took.
  public let loadMilliseconds: Double
  /// What a user should hear once, e.g. that the projector was found beside the model.
  public let notes: [String]

  /// Behind one reference, so that the size of an instance, which is compiled into every program that makes one, does not
  /// follow the layout of inner types: incremental builds do not see such a change.
  let parts: ModelParts
  /// What was said to the user once.
  let notesSaid = SaidOnce()

  var decoder: any TextDecoder { parts.decoder }
  /// nil for a text-only model.
  var vision: VisionFacts? { parts.vision?.facts }
  var tokenizer: Tokenizer { parts.tokenizer }
  var chat: ChatFormat { parts.chat }
  /// Texts that end a reply of this chat format.
  var chatStops: [String] { parts.chatStops }
  var sidecar: Sidecar? { parts.sidecar }
  var kernels: KernelSet { parts.kernels }
  var team: WorkerTeam { parts.team }
  var number: Int { parts.number }
  var batcher: DecodeBatcher { parts.batcher }

  /// - Parameters:
  ///   - path: a GGUF text model, or one file that holds both sets of tensors.
  ///   - projector: the mmproj file; nil looks for `mmproj*.gguf` beside the model.
  ///   - progress: called with the share loaded, 0...1.
  public convenience init(
    path: String, projector: String? = nil, options: ModelOptions = ModelOptions(),
    progress: @escaping (Double) -> Void = { _ in }
  ) throws(OccamError) {
    let start = Clock.nanoseconds()
    try self.init(ModelFiles(path: path, projector: projector), options, start, progress)
  }

  /// - Parameter start: when loading began (`Clock.nanoseconds`).
  init(
    _ files: ModelFiles, _ options: ModelOptions, _ start: UInt64, _ progress: @escaping (Double) -> Void
  ) throws(OccamError) {
    let path = files.text.subject
    let threads = try VisionLanguageModel.threadCount(options)
    let kernels = try translating(path) { try KernelSet.named(options.kernel) }
    let team = WorkerTeam(threads: threads)
    let weights = WeightSource(options, kernels, team)
    // The shares of one file that holds both add up.
    let (textShare, visionShare) = VisionLanguageModel.shares(files)
    var textDone = 0.0
    let decoder = try weights.decoder(files.text) { share in
      textDone = share * textShare
      progress(textDone)
    }
    let tokenizer = try VisionLanguageModel.tokenizer(files.text, decoder.shape)
    let draft = try options.draftModel.map { draft throws(OccamError) in
      try DraftModel(path: draft, for: path, tokenizer, weights)
    }
    let vision = try files.projector.map { file throws(OccamError) in
      try VisionLanguageModel.vision(file, weights) { progress(min(textDone + $0 * visionShare, 1)) }
    }
    progress(1)
    if let outputs = vision?.facts.outputs, outputs != decoder.shape.hidden {
      throw .projector(files.projector?.subject ?? path, outputs: outputs, text: path, width: decoder.shape.hidden)
    }
    let planes = vision?.facts.planes ?? 0
    guard vision == nil || planes == decoder.shape.injectedLayers else {
      throw OccamError(
        .mismatch, files.projector?.subject ?? path,
        "adds to \(planes) layers, but the text model '\(path)' expects \(decoder.shape.injectedLayers)")
    }
    self.path = path
    projectorPath = files.projector.map { $0 === files.text ? path : $0.subject }
    let sidecar = try VisionLanguageModel.readSidecar(options, files)
    let chat = try VisionLanguageModel.chatFormat(
      files.text, vision?.facts.chat, tokenizer, given: options.chatTemplate)
    let hasTemplate = options.chatTemplate != nil || files.text.metadata["tokenizer.chat_template"] != nil
    notes = files.notes + weights.takeNotes()
    parts = ModelParts(
      decoder: decoder, vision: vision, tokenizer: tokenizer, chat: chat,
      chatStops: hasTemplate ? [] : vision?.facts.chat.stops ?? [], sidecar: sidecar, kernels: kernels, team: team,
      facts: ModelFacts(
        files.text, hasVision: vision != nil, tokenizer, decoder.shape, chatTemplate: options.chatTemplate),
      draft: draft)
    weightsBytes = decoder.weightBytes + (vision?.keptBytes ?? 0) + (draft?.decoder.weightBytes ?? 0)
    kernel = kernels.name
    self.threads = team.threads
    loadMilliseconds = Clock.milliseconds(since: start)
  }

  /// Passes that decoded so far, and the tokens of all sessions in them, guesses not counted: more tokens than passes were
  /// decoded together.
  public var decodeCounts: (passes: Int, tokens: Int) { parts.batcher.counts }

  public var contextLength: Int { decoder.shape.contextLength }
  package var textShape: TextShape { decoder.shape }
  public var isCalibrated: Bool { sidecar != nil }

  public func makeSession(_ options: SessionOptions = SessionOptions()) throws(OccamError) -> Session {
    try Session(model: self, options: options)
  }

  private static func threadCount(_ options: ModelOptions) throws(OccamError) -> Int {
    if let threads = options.threads {
      guard (1...256).contains(threads) else {
        throw OccamError(.invalidOption, "threads", "\(threads) is not in 1...256")
      }
      return threads
    }
    guard let text = Switch.threads.value else { return Machine.usableCores() }
    guard let threads = Int(text), (1...256).contains(threads) else {
      throw OccamError(.invalidOption, Switch.threads.rawValue, "'\(text)' is not a number in 1...256")
    }
    return threads
  }

  /// In low memory nothing but its header is read now.
  private static func vision(
    _ file: GGUFFile, _ weights: WeightSource, _ progress: @escaping (Double) -> Void
  ) throws(OccamError) -> VisionSource {
    guard weights.options.lowMemory else { return VisionSource(try weights.vision(file, progress)) }
    return VisionSource(try weights.visionFacts(file)) { () throws(OccamError) in
      let vision = try weights.vision(file)
      for note in weights.takeNotes() { Log.warning(note) }
      return vision
    }
  }

  /// What a file's share of its own bytes is of all bytes.
  private static func shares(_ files: ModelFiles) -> (text: Double, vision: Double) {
    func size(_ file: GGUFFile) -> Double { Double(file.tensors.reduce(0) { $0 + $1.byteRange.count }) }
    guard let projector = files.projector, projector !== files.text else { return (1, 1) }
    let text = size(files.text) / max(size(files.text) + size(projector), 1)
    return (text, 1 - text)
  }

  static func tokenizer(_ file: GGUFFile, _ shape: TextShape) throws(OccamError) -> Tokenizer {
    let tokenizer = try translating(file.subject) { try Tokenizer(metadata: file) }
    guard tokenizer.vocabularySize <= shape.vocabulary else {
      throw OccamError(
        .invalidModel, file.subject,
        "names \(tokenizer.vocabularySize) tokens, but its weights hold \(shape.vocabulary)")
    }
    return tokenizer
  }

  /// The template given, else the file's own; without one, what the vision model's family was trained with, and bare
  /// text for text-only models.
  static func chatFormat(
    _ file: GGUFFile, _ defaults: ChatDefaults?, _ tokenizer: Tokenizer, given: String? = nil
  ) throws(OccamError) -> ChatFormat {
    let (bos, eos) = (tokenizer.text(of: tokenizer.bos), tokenizer.text(of: tokenizer.eos))
    if let given {
      guard ChatFormat.mayBeTemplate(given) else {
        throw OccamError(.invalidOption, "chat template", "'\(given)' is no template and no format built in")
      }
      return try translating("chat template") {
        try ChatFormat(nameOrTemplate: given, bosToken: bos, eosToken: eos)
      }
    }
    return try translating(file.subject) {
      guard let template = try file.string("tokenizer.chat_template") else {
        return try ChatFormat(builtin: defaults.flatMap { ChatFormat.Builtin(rawValue: $0.format) } ?? .plain)
      }
      return try ChatFormat(template: template, bosToken: bos, eosToken: eos)
    }
  }
}

extension VisionLanguageModel {
  /// The sidecar given, or the one beside the projector if it is there. One of another model is refused.
  static func readSidecar(
    _ options: ModelOptions, _ files: ModelFiles
  ) throws(OccamError) -> Sidecar? {
    guard let file = files.projector else { return nil }
    let path = options.sidecar ?? Sidecar.path(forModel: file.subject)
    guard options.sidecar != nil || Files.exists(path) else { return nil }
    let fingerprint = try fingerprint(file)
    do throws(SidecarError) {
      let sidecar = try Sidecar(path: path)
      try sidecar.check(fingerprint, path: path)
      return sidecar
    } catch {
      if case .mismatch = error { throw OccamError(.mismatch, "", error.description) }
      throw OccamError(.file, "", error.description)
    }
  }

  /// What ties a calibration to its encoder. The same whatever of llama.cpp is reproduced, so that a calibrated model can
  /// be compared with it.
  package static func fingerprint(_ file: GGUFFile) throws(OccamError) -> ModelFingerprint {
    try translating(file.subject) { try ModelRegistry.fingerprint(file) }
  }
}
