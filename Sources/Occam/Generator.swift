import OccamCore
import OccamGrammar
import OccamTokenizer

/// The decode loop: sample, stream, run the token, until the model ends, a stop string appears, a limit is reached, or
/// somebody cancels.
struct Generator {
  let core: SessionCore
  let options: GenerationOptions
  /// When the reply was asked for (`Clock.nanoseconds`).
  let start: UInt64

  func run(
    logits first: MatrixView<Float>, history: [PromptItem], onEvent: (GenerationEvent) -> Void,
    metrics: inout GenerationMetrics
  ) throws(OccamError) {
    let tokenizer = core.model.tokenizer
    var sampler = Sampler(samplingOptions)
    sampler.recordsDraws = options.logprobs != nil && options.logprobsBehindSampling
    var matcher = try core.model.parts.grammars.grammar(for: options.format).map { GrammarMatcher($0) }
    let tokens = history.compactMap { if case .token(let id) = $0 { id } else { nil } }
    for id in tokens { sampler.accept(id) }
    let speculator = Speculator(core, options, history: tokens)
    defer { core.dropGuesses() }
    let shown = Set(options.shownTokens.compactMap { tokenizer.id(ofControl: $0) })
    var decoder = StreamingDecoder()
    var stops = StopStrings(options.stop + (options.raw ? [] : core.model.chatStops))
    var logits = first
    metrics.stop = .length
    let limit = options.maxTokens ?? Int.max
    core.model.batcher.enter()
    defer { core.model.batcher.leave() }
    var decodeStart: UInt64 = 0
    while metrics.generatedTokens < limit {
      let row = UnsafeBufferPointer(start: logits.row(0), count: logits.columns)
      let mask = matcher?.mask()
      if let mask, mask.isEmpty {
        throw OccamError(.invalidOption, "grammar", "no token of the model's vocabulary goes on with it")
      }
      let id = sampler.sample(row, allowing: mask)
      guard matcher?.accept(id) ?? true else {
        throw OccamError(.invalidOption, "grammar", "it does not allow the token \(id), and no other could be drawn")
      }
      if metrics.generatedTokens == 0 {
        metrics.timings.timeToFirstToken = Clock.milliseconds(since: start)
        decodeStart = Clock.nanoseconds()
      }
      metrics.generatedTokens += 1
      if tokenizer.isEndOfGeneration(id), !options.ignoresEndOfText {
        metrics.stop = .eos
        emit(id, rest(&decoder, &stops), probabilities(id, row, sampler), &metrics, onEvent)
        break
      }
      var text = stops.push(decoder.append(tokenizer.bytes(of: id, special: shown.contains(id))))
      // A text that is complete needs no pass to say so.
      let isComplete = matcher?.mustEnd ?? false
      let isLast = metrics.generatedTokens == limit || isComplete
      // What was held back belongs to the last token.
      if isLast, stops.found == nil { text += rest(&decoder, &stops) }
      if let found = stops.found {
        metrics.stop = .stop
        metrics.stopText = found
      }
      if isComplete, stops.found == nil { metrics.stop = .eos }
      emit(id, text, probabilities(id, row, sampler), &metrics, onEvent)
      if isLast || stops.found != nil { break }
      sampler.accept(id)
      do throws(OccamError) {
        if let speculator {
          logits = try speculator.logits(behind: id, remaining: limit - metrics.generatedTokens, &metrics)
        } else {
          logits = try core.decode(id)
          metrics.decodePasses += 1
        }
      } catch {
        // What was said so far stays said; a full context is an error all the same.
        flush(&decoder, &stops, &metrics, onEvent)
        switch error.code {
        case .cancelled: metrics.stop = .cancelled
        case .contextFull where options.endsAtFullContext: metrics.stop = .length
        default: throw error
        }
        break
      }
    }
    if decodeStart > 0 {
      metrics.timings.decode = Clock.milliseconds(since: decodeStart)
      // The first token came out of prefill.
      metrics.timings.decodeTokensPerSecond =
        Double(metrics.generatedTokens - 1) / max(metrics.timings.decode, 1e-6) * 1000
    }
  }

  private var samplingOptions: SamplingOptions {
    var result = SamplingOptions()
    result.temperature = options.temperature
    result.topK = options.topK
    result.topP = options.topP
    result.minP = options.minP
    result.repeatPenalty = options.repeatPenalty
    result.presencePenalty = options.presencePenalty
    result.frequencyPenalty = options.frequencyPenalty
    result.bias = options.logitBias
    result.repeatLastN = options.repeatLastN
    result.seed = options.seed
    return result
  }

  /// nil unless asked for.
  private func probabilities(
    _ id: Int32, _ logits: UnsafeBufferPointer<Float>, _ sampler: Sampler
  ) -> LogProbabilities? {
    guard let count = options.logprobs else { return nil }
    guard options.logprobsBehindSampling else { return LogProbabilities(logits, chosen: id, top: count) }
    return LogProbabilities(drawnFrom: sampler.draws, chosen: id, top: count)
  }

  private func emit(
    _ id: Int32, _ text: String, _ probabilities: LogProbabilities?, _ metrics: inout GenerationMetrics,
    _ onEvent: (GenerationEvent) -> Void
  ) {
    metrics.text += text
    var token = GeneratedToken(id: id, text: text, logprob: nil, top: [])
    if let probabilities {
      token.bytes = core.model.tokenizer.bytes(of: id, special: false)
      token.logprob = probabilities.chosen
      token.top = probabilities.top.map { entry in
        let bytes = core.model.tokenizer.bytes(of: entry.id, special: true)
        return GeneratedToken.Alternative(
          id: entry.id, text: String(decoding: bytes, as: UTF8.self), bytes: bytes, logprob: entry.logProbability)
      }
    }
    onEvent(.token(token))
  }

  /// Bytes of an unfinished character and text held back for a stop string belong to the reply after all.
  private func rest(_ decoder: inout StreamingDecoder, _ stops: inout StopStrings) -> String {
    let last = stops.push(decoder.finish())
    return stops.found == nil ? last + stops.finish() : last
  }

  /// The same as an event of its own, where no token follows any more.
  private func flush(
    _ decoder: inout StreamingDecoder, _ stops: inout StopStrings, _ metrics: inout GenerationMetrics,
    _ onEvent: (GenerationEvent) -> Void
  ) {
    let rest = rest(&decoder, &stops)
    guard !rest.isEmpty else { return }
    metrics.text += rest
    onEvent(.token(GeneratedToken(id: -1, text: rest, logprob: nil, top: [])))
  }
}
