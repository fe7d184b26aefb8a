import OccamModels
import OccamPruning

// For evaluations: other selections than OccamToken's in the same runtime, several of them over one encoding.

extension VisionLanguageModel {
  /// Visual tokens of a photo before anything is dropped, from its header.
  package func visualTokens(of photo: ImageSource) throws(OccamError) -> Int {
    guard let vision else { throw OccamError.cannotSee(path) }
    return try ImagePipeline.layout(of: photo, vision.plan.processor).tiles.reduce(0) { $0 + $1.count }
  }

  /// What a calibration found; nil for a model without one.
  package var calibration: Sidecar? { sidecar }
}

extension Session {
  /// Runs the encoder alone, with stage I's scores.
  /// - Parameter register: neurons of a register token; nil runs without one.
  package func encode(_ source: ImageSource, register: RegisterPlan?) throws(OccamError) -> EncodedPhoto {
    try measured { core throws(OccamError) in
      try core.pipeline.encode(
        name: source.name, bytes: try ImagePipeline.read(source), score: core.model.sidecar?.score ?? .attention,
        register: register)
    }
  }

  /// Pruning options with the calibration and the defaults filled in; nil when pruning is off.
  package func settings(_ options: GenerationOptions.Pruning) throws(OccamError) -> PruningSettings? {
    try measured { core throws(OccamError) in try core.settings(options) }
  }

  /// A conversation of one turn about an image encoded before. The time to the first token leaves its encoding out.
  /// - Parameter selector: decides instead of `options.pruning`; nil prunes nothing. It must have the register that `photo`
  ///   was encoded with.
  package func respond(
    to question: String, photo: EncodedPhoto, selector: (any VisualTokenSelector)?, options: GenerationOptions,
    isCancelled: @escaping () -> Bool = { false }
  ) throws(OccamError) -> GenerationMetrics {
    try measured { core throws(OccamError) in
      try core.checkLayer(of: selector)
      core.clear()
      let request = SessionCore.Request(
        options: options, selector: selector, onEvent: { _ in }, isCancelled: isCancelled)
      return try core.reply(question, [.encoded(photo)], request)
    }
  }

  /// Stage II's scores for one question, with everything of S1 kept; nil where nothing is asked inside the model.
  package func stageTwoScores(
    _ question: String, photo: EncodedPhoto, selector: any VisualTokenSelector
  ) throws(OccamError) -> TokenScores? {
    try measured { core throws(OccamError) in
      try core.checkLayer(of: selector)
      return try core.stageTwoScores(question, .encoded(photo), selector)
    }
  }

  /// Input embeddings of a text's tokens, [tokens x width], without BOS.
  package func textEmbeddings(_ text: String) throws(OccamError) -> [[Float]] {
    try measured { core throws(OccamError) in core.textEmbeddings(text) }
  }
}

extension SessionCore {
  /// Refuses a selector that asks a layer for attention that has none.
  func checkLayer(of selector: (any VisualTokenSelector)?) throws(OccamError) {
    guard let selector, selector.actsInsideModel else { return }
    let (shape, layer) = (model.decoder.shape, selector.settings.layer)
    guard shape.states.indices.contains(layer - 1), shape.attention(layer - 1) != nil else {
      throw OccamError(.invalidOption, "pruning", "pruning layer \(layer) of \(shape.layers) does not attend")
    }
  }

  func textEmbeddings(_ text: String) -> [[Float]] {
    model.tokenizer.encode(text, addSpecial: false, parseSpecial: false).map { token in
      [Float](unsafeUninitializedCapacity: model.decoder.shape.hidden) { buffer, count in
        if let base = buffer.baseAddress { model.decoder.embed(token, into: base) }
        count = model.decoder.shape.hidden
      }
    }
  }
}
