import OccamCore
import OccamGGUF
import OccamImages
import OccamModels
import OccamPruning
import OccamTokenizer

/// What `occam-bench --shape` measures: models without files, and answers about noise.
extension VisionLanguageModel {
  /// A model whose weights are made while it is loaded.
  package convenience init(
    text: GGUFFile, projector: GGUFFile?, options: ModelOptions, progress: @escaping (Double) -> Void
  ) throws(OccamError) {
    try self.init(ModelFiles(text: text, projector: projector), options, Clock.nanoseconds(), progress)
  }
}

extension MemoryPlan {
  /// - Parameter photo: planned for; nil: none.
  package init(
    text: GGUFFile, projector: GGUFFile?, session: SessionOptions, options: ModelOptions, photo: ShapePhoto?
  ) throws(OccamError) {
    try self.init(
      ModelFiles(text: text, projector: projector), session, options, photo.map { [$0.layout] } ?? [])
  }
}

/// What a photo of a size becomes, from a model's headers and its vocabulary alone.
package struct ShapePhoto: Sendable {
  package let width: Int
  package let height: Int
  let layout: PictureLayout
  /// Passes of the encoder.
  package var tiles: Int { layout.tiles.count }
  /// The tiles' tokens, those that pruning chooses from.
  package let visualTokens: Int
  /// Embeddings that the file stores, one token each: ends of rows.
  package let learnedTokens: Int
  /// Text tokens round the tiles.
  package let markerTokens: Int

  /// What memory plans count: without the markers.
  package var imageTokens: Int { visualTokens + learnedTokens }
  /// Rows in the prompt.
  package var tokens: Int { imageTokens + markerTokens }

  /// - Parameters:
  ///   - width: pixels, 1 or more.
  ///   - height: pixels, 1 or more.
  ///   - options: how the model would be loaded.
  package init(
    text: GGUFFile, projector: GGUFFile, width: Int, height: Int, options: ModelOptions = ModelOptions()
  ) throws(OccamError) {
    guard width >= 1, height >= 1 else {
      throw OccamError(.invalidOption, "photo", "\(width) x \(height) pixels: 1 or more")
    }
    let plan = try translating(projector.subject) {
      try ModelRegistry.visionPlan(projector).limited(to: options.imageTokens)
    }
    let tokenizer = try translating(text.subject) { try Tokenizer(metadata: text) }
    let layout = plan.processor.layout(width: width, height: height)
    var (visual, learned, markers) = (0, 0, 0)
    for item in layout.frame {
      switch item {
      case .text(let text): markers += tokenizer.encode(text, addSpecial: false, parseSpecial: true).count
      case .tokens(_, let range): visual += range.count
      case .learned: learned += 1
      }
    }
    self.width = width
    self.height = height
    self.layout = layout
    (visualTokens, learnedTokens, markerTokens) = (visual, learned, markers)
  }
}

/// One answer about a photo of noise.
package struct ShapeAnswer: Sendable {
  /// Pixels.
  package var width: Int
  package var height: Int
  package var textTokens = 40
  package var answerTokens = 32
  package var pruning = GenerationOptions.Pruning.off
  /// Visual tokens of all tiles that stage I keeps where no lambda1 is given: random weights have no threshold of their
  /// own. A tile keeps one at least.
  package var stageOneTokens = 250

  package init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }
}

extension Session {
  /// The figures of one answer, from the photo's pixels to the last token: `imageDecode` is what the family's processor
  /// does before the first tile, there being no file to decode. Nothing is cached before or after.
  package func measure(_ answer: ShapeAnswer) throws(OccamError) -> GenerationMetrics {
    try measured { core throws(OccamError) in try core.measure(answer) }
  }
}

extension SessionCore {
  fileprivate func measure(_ answer: ShapeAnswer) throws(OccamError) -> GenerationMetrics {
    guard answer.width >= 1, answer.height >= 1, answer.textTokens >= 1, answer.answerTokens >= 1 else {
      throw OccamError(
        .invalidOption, "shape",
        "photo \(answer.width) x \(answer.height), \(answer.textTokens) text and \(answer.answerTokens) answer tokens: "
          + "1 or more")
    }
    let pipeline = try pipeline
    var settings = try settings(answer.pruning)
    clear()
    defer { clear() }
    let noise = SessionCore.noise(width: answer.width, height: answer.height)
    var metrics = GenerationMetrics()
    let start = Clock.nanoseconds()
    let picture = pipeline.facts.plan.processor.prepare(noise)
    metrics.timings.imageDecode = Clock.milliseconds(since: start)
    let tiles = try pipeline.encode(picture, name: "noise", EncoderRequest(wantsScores: settings != nil))
    let photo = EncodedPhoto(
      name: "noise", bytes: [], frame: picture.layout.frame, tiles: tiles,
      decodeTime: metrics.timings.imageDecode,
      encodeTime: Clock.milliseconds(since: start) - metrics.timings.imageDecode)
    if answer.pruning.lambda1 == nil, let scores = photo.scores {
      settings?.lambda1 = SessionCore.lambda(keeping: answer.stageOneTokens, scores)
    }
    let selector = settings.map(OccamTokenSelector.init)
    show(try pipeline.project(photo, selector: selector))
    metrics.timings.imageEncode = Clock.milliseconds(since: start) - metrics.timings.imageDecode
    var prompt = Prompt()
    var generator = SeededGenerator(seed: 2)
    let vocabulary = UInt64(model.decoder.shape.vocabulary)
    let ids = (0..<answer.textTokens + answer.answerTokens).map { _ in Int32(generator.next() % vocabulary) }
    prompt.items = [.image(0)] + ids.prefix(answer.textTokens).map { .token($0) }
    _ = try prefill(prompt, selector, { _ in }, &metrics)
    metrics.timings.timeToFirstToken = Clock.milliseconds(since: start)
    let decodeStart = Clock.nanoseconds()
    for id in ids.dropFirst(answer.textTokens) { _ = try decode(id) }
    metrics.timings.decode = Clock.milliseconds(since: decodeStart)
    metrics.generatedTokens = answer.answerTokens
    metrics.timings.decodeTokensPerSecond = Double(answer.answerTokens) / max(metrics.timings.decode, 1e-6) * 1000
    finish(&metrics, isPruned: settings != nil, GenerationOptions())
    return metrics
  }

  private static func noise(width: Int, height: Int) -> Image {
    var generator = SeededGenerator(seed: 3)
    return Image(
      width: width, height: height,
      pixels: (0..<3 * width * height).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
  }

  /// The lambda1 at which stage I keeps that many of the tokens, each held against its own tile's reference.
  private static func lambda(keeping count: Int, _ scores: TokenScores) -> Float {
    let sorted = scores.scores.indices.map { scores.relative($0) }.sorted(by: >)
    guard !sorted.isEmpty else { return 0 }
    // A little below, so that rounding loses nobody.
    return max(sorted[min(max(count, 1), sorted.count) - 1] * (1 - 1e-6), 0)
  }
}
