import OccamCore
import OccamGGUF
import OccamImages
import OccamModels
import OccamPruning

/// What `occam-bench --shape` measures: models without files, and answers without photo and text.
extension VisionLanguageModel {
  /// A model whose weights are made while it is loaded.
  package convenience init(
    text: GGUFFile, projector: GGUFFile, options: ModelOptions, progress: @escaping (Double) -> Void
  ) throws(OccamError) {
    try self.init(ModelFiles(text: text, projector: projector), options, Clock.nanoseconds(), progress)
  }
}

extension MemoryPlan {
  package init(
    text: GGUFFile, projector: GGUFFile, session: SessionOptions, encoderType: ModelOptions.EncoderType,
    visualTokens: Int
  ) throws(OccamError) {
    try self.init(
      ModelFiles(text: text, projector: projector), session, encoderType, visualTokens: visualTokens)
  }
}

/// One answer about a picture of noise.
package struct ShapeAnswer: Sendable {
  /// Encoder passes; the tiles are images of their own in the prompt.
  package var tiles = 1
  /// Sides of the square of patches that become one visual token.
  package var merge = 1
  package var textTokens = 40
  package var answerTokens = 32
  package var pruning = GenerationOptions.Pruning.off
  /// The share of the visual tokens that stage I keeps where no lambda1 is given: random weights have no threshold of
  /// their own.
  package var stageOneShare = 250.0 / 576

  package init() {}
}

extension Session {
  /// The figures of one answer, from pixels in the encoder's size to the last token. Nothing is cached before or after.
  package func measure(_ answer: ShapeAnswer) throws(OccamError) -> GenerationMetrics {
    try measured { core throws(OccamError) in try core.measure(answer) }
  }
}

extension SessionCore {
  fileprivate func measure(_ answer: ShapeAnswer) throws(OccamError) -> GenerationMetrics {
    guard let vision = model.vision else {
      throw OccamError(.mismatch, model.path, "has no vision encoder")
    }
    let plan = vision.plan
    guard answer.tiles >= 1, answer.merge >= 1, answer.textTokens >= 1, plan.shape.patchesPerSide % answer.merge == 0
    else {
      throw OccamError(.invalidOption, "shape", "\(answer.tiles) tiles, \(answer.textTokens) text tokens: 1 or more")
    }
    clear()
    let pictures = (0..<answer.tiles).map {
      SessionCore.tile(SessionCore.noise(seed: UInt64($0), side: plan.shape.imageSize), plan.shape, answer.merge)
    }
    let settings = try translating("pruning") {
      try answer.pruning.options.settings(layers: model.decoder.shape.layers, sidecar: nil)
    }
    // Averages stand for the family's own way of merging: the same rows behind it.
    let merging =
      answer.merge > 1
      ? VisionPlan(
        shape: plan.shape, merge: .average(side: answer.merge), processor: plan.processor, outputs: plan.outputs) : plan
    let pipeline = ImagePipeline(
      vision: VisionModel(
        plan: merging, encoder: vision.encoder, projector: vision.projector, learned: vision.learned, chat: vision.chat),
      tokenizer: model.tokenizer, compute: compute)
    var metrics = GenerationMetrics()
    let start = Clock.nanoseconds()
    for picture in pictures {
      show(try translating("encoder") { try image(picture, answer, settings, pipeline) })
    }
    metrics.timings.imageEncode = Clock.milliseconds(since: start)
    var prompt = Prompt()
    var generator = SeededGenerator(seed: 2)
    let vocabulary = UInt64(model.decoder.shape.vocabulary)
    let ids = (0..<answer.textTokens + answer.answerTokens).map { _ in Int32(generator.next() % vocabulary) }
    prompt.items = pictures.indices.map { .image($0) } + ids.prefix(answer.textTokens).map { .token($0) }
    _ = try prefill(prompt, settings.map(OccamTokenSelector.init), { _ in }, &metrics)
    metrics.timings.timeToFirstToken = Clock.milliseconds(since: start)
    let decodeStart = Clock.nanoseconds()
    for id in ids.dropFirst(answer.textTokens) { _ = try decode(id) }
    metrics.timings.decode = Clock.milliseconds(since: decodeStart)
    metrics.generatedTokens = answer.answerTokens
    metrics.timings.decodeTokensPerSecond = Double(answer.answerTokens) / max(metrics.timings.decode, 1e-6) * 1000
    finish(&metrics, isPruned: settings != nil, GenerationOptions())
    clear()
    return metrics
  }

  private static func noise(seed: UInt64, side: Int) -> Image {
    var generator = SeededGenerator(seed: seed)
    return Image(
      width: side, height: side, pixels: (0..<3 * side * side).map { _ in UInt8(truncatingIfNeeded: generator.next()) })
  }

  /// One tile as it is, whatever the family's processor would cut: tiles are counted by the caller.
  private static func tile(_ image: Image, _ shape: VisionShape, _ merge: Int) -> PreparedPicture {
    PreparedPicture(layout: .single(side: shape.patchesPerSide / merge)) { _ in
      PreparedImage(
        normalizing: image, mean: shape.mean, deviation: shape.deviation,
        placement: ImagePlacement(
          originalWidth: image.width, originalHeight: image.height, x: 0, y: 0, width: image.width,
          height: image.height))
    }
  }

  /// Encoder, merging, stage I, and the projector over what stage I kept.
  private func image(
    _ picture: PreparedPicture, _ answer: ShapeAnswer, _ settings: PruningSettings?, _ pipeline: ImagePipeline
  ) throws(Cancelled) -> SessionImage {
    let tiles = try pipeline.encode(picture, EncoderRequest(wantsScores: settings != nil))
    var settings = settings
    let scores = tiles.flatMap { $0.scores?.scores ?? [] }
    if answer.pruning.lambda1 == nil, !scores.isEmpty {
      settings?.lambda1 = SessionCore.lambda(keeping: answer.stageOneShare, TokenScores(scores: scores))
    }
    let frame = tiles.indices.map { FrameItem.tokens(tile: $0, 0..<tiles[$0].tokens) }
    let photo = EncodedPhoto(name: "noise", bytes: [], frame: frame, tiles: tiles, decodeTime: 0, encodeTime: 0)
    return pipeline.project(photo, selector: settings.map(OccamTokenSelector.init))
  }

  /// The lambda1 at which stage I keeps that share of the tokens.
  static func lambda(keeping share: Double, _ scores: TokenScores) -> Float {
    let sorted = scores.scores.sorted(by: >)
    let count = min(max(Int((share * Double(sorted.count)).rounded()), 1), sorted.count)
    guard count > 0, scores.reference > 0 else { return 0 }
    // A little below, so that rounding loses nobody.
    return sorted[count - 1] / scores.reference * (1 - 1e-6)
  }
}
