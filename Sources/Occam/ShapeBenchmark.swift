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
    guard let encoder = model.encoder, let projector = model.projector else {
      throw OccamError(.mismatch, model.path, "has no vision encoder")
    }
    guard answer.tiles >= 1, answer.textTokens >= 1, encoder.shape.patchesPerSide % max(answer.merge, 1) == 0 else {
      throw OccamError(.invalidOption, "shape", "\(answer.tiles) tiles, \(answer.textTokens) text tokens: 1 or more")
    }
    clear()
    let pictures = (0..<answer.tiles).map { SessionCore.noise(seed: UInt64($0), encoder.shape) }
    let settings = try translating("pruning") {
      try answer.pruning.options.settings(layers: model.decoder.shape.layers, sidecar: nil)
    }
    var metrics = GenerationMetrics()
    let start = Clock.nanoseconds()
    let pipeline = ImagePipeline(encoder: encoder, projector: projector, compute: compute)
    for picture in pictures {
      show(try translating("encoder") { try compute.team.pass { try image(picture, answer, settings, pipeline) } })
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
    for (index, id) in ids.dropFirst(answer.textTokens).enumerated() {
      _ = try decode(id, position: metrics.promptTokens + index)
    }
    metrics.timings.decode = Clock.milliseconds(since: decodeStart)
    metrics.generatedTokens = answer.answerTokens
    metrics.timings.decodeTokensPerSecond = Double(answer.answerTokens) / max(metrics.timings.decode, 1e-6) * 1000
    finish(&metrics, isPruned: settings != nil, GenerationOptions())
    clear()
    return metrics
  }

  private static func noise(seed: UInt64, _ shape: VisionShape) -> PreparedImage {
    var generator = SeededGenerator(seed: seed)
    let side = shape.imageSize
    let pixels = (0..<3 * side * side).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    let image = Image(width: side, height: side, pixels: pixels)
    let placement = ImagePlacement(
      originalWidth: side, originalHeight: side, x: 0, y: 0, width: side, height: side)
    return PreparedImage(normalizing: image, mean: shape.mean, deviation: shape.deviation, placement: placement)
  }

  /// Encoder, merging, stage I, and the projector over what stage I kept.
  private func image(
    _ picture: PreparedImage, _ answer: ShapeAnswer, _ settings: PruningSettings?, _ pipeline: ImagePipeline
  ) throws(Cancelled) -> SessionImage {
    let encoded = try pipeline.encoder.encode(
      picture, request: EncoderRequest(wantsScores: settings != nil), compute: compute, observer: nil)
    let merged = encoded.merged(answer.merge, patchesPerSide: pipeline.encoder.shape.patchesPerSide)
    var settings = settings
    if answer.pruning.lambda1 == nil, let scores = merged.scores {
      settings?.lambda1 = SessionCore.lambda(keeping: answer.stageOneShare, TokenScores(scores: scores))
    }
    let photo = EncodedPhoto(
      name: "noise", bytes: [], grid: PatchGrid(of: picture, patch: pipeline.encoder.shape.patchSize), encoded: merged,
      decodeTime: 0, encodeTime: 0)
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

extension EncodedImage {
  /// One row for each square of `side` x `side` patches, its first patch's, with their mean score.
  /// - Precondition: without register; `side` divides `patchesPerSide`.
  fileprivate func merged(_ side: Int, patchesPerSide: Int) -> EncodedImage {
    guard side > 1 else { return self }
    let perSide = patchesPerSide / side
    let features = AlignedBuffer<Float>(count: perSide * perSide * hidden, zeroed: false)
    for token in 0..<perSide * perSide {
      let patch = token / perSide * side * patchesPerSide + token % perSide * side
      (features.pointer + token * hidden).update(from: rows.row(patch), count: hidden)
    }
    let scores = scores.map { scores in
      TokenScores(scores: scores).merged(groups: perSide * perSide) { patch in
        patch / patchesPerSide / side * perSide + patch % patchesPerSide / side
      }.scores
    }
    return EncodedImage(
      features: features, patches: perSide * perSide, hidden: hidden, hasRegister: false, scores: scores)
  }
}
