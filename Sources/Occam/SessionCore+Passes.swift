import OccamCore
import OccamModels
import OccamPruning
import OccamTensors

// The model's passes over a session's KV caches, and what they cost.

extension SessionCore {
  /// Tokens of an answer for which room is made at once.
  private static let answerReserve = 1 << 14

  /// Brings the caches to the prompt's state. What the cache holds of its beginning stays, except that pruned images are
  /// pruned anew for the new question, from S1.
  /// - Returns: logits after the prompt's last token.
  func prefill(
    _ prompt: Prompt, _ selector: (any VisualTokenSelector)?, _ onEvent: (GenerationEvent) -> Void,
    _ metrics: inout GenerationMetrics
  ) throws(OccamError) -> MatrixView<Float> {
    guard !prompt.items.isEmpty else { throw OccamError(.invalidOption, "prompt", "is empty") }
    let reused = resume(reusableItems(prompt, pruned: selector != nil))
    let scheme = model.decoder.shape.positions
    cached = Array(prompt.items[..<reused.items])
    let rows = PrefillRows(
      prompt.items[reused.items...], questionStart: prompt.questionStart, position: Int32(reused.extent.positions),
      images: images, scheme: scheme)
    let total = prompt.items.reduce(PromptExtent()) { $0 + extent($1) }
    try checkLength(total.tokens)
    let start = Clock.nanoseconds()
    let driver = PrefillDriver(decoder: model.decoder, compute: compute, states: states)
    let logits = compute.view(.logits, rows: 1, columns: model.decoder.shape.vocabulary)
    func report(_ fraction: Double) {
      onEvent(.prefill(tokens: rows.count, cached: reused.extent.tokens, fraction: fraction))
    }
    report(0)
    let outcome = try withProgress(report) {
      () throws(OccamError) in
      try translating("prefill") {
        let outcome = try driver.run(rows, images: images, selector: selector)
        compute.team.pass { model.decoder.logits(outcome.last, into: logits, compute: compute) }
        return outcome
      }
    }
    report(1)
    cached = prompt.items
    nextPosition = rows.nextPosition
    length = total.tokens
    states.snapshot(0..<model.decoder.shape.layers, at: nextPosition)
    // So that decoding does not allocate, and a file that names a context of a billion positions costs nothing.
    cached.reserveCapacity(min(contextLength, cached.count + SessionCore.answerReserve))
    cacheIsPruned = selector != nil && !rows.spans.isEmpty
    if let selector { record(rows, outcome.keep, selector.settings) }
    metrics.rowsPerLayer = outcome.rowsPerLayer
    metrics.textRows = rows.tokens.count
    let elapsed = Clock.milliseconds(since: start)
    metrics.promptTokens = total.tokens
    metrics.cachedTokens = reused.extent.tokens
    metrics.timings.prefill = elapsed
    metrics.timings.prefillTokensPerSecond = Double(total.tokens - reused.extent.tokens) / max(elapsed, 1e-6) * 1000
    compute.trim()
    return logits
  }

  /// Takes the states back to the largest point at which all layers can go on. A sliding window may have given up what
  /// lies behind an earlier one, a recurrent layer knows a few: then more of the prompt is computed again.
  /// - Parameter items: of `cached`, that the new prompt shares.
  /// - Returns: how many of them stay, and their extent.
  private func resume(_ items: ArraySlice<PromptItem>) -> (items: Int, extent: PromptExtent) {
    var extents = [PromptExtent()]
    for item in items { extents.append((extents.last ?? PromptExtent()) + extent(item)) }
    var count = items.count
    while count > 0 {
      let wanted = Int32(extents[count].positions)
      let point = states.resumePoint(atMost: wanted)
      if point == wanted { break }
      count = extents.lastIndex { $0.positions <= Int(point) } ?? 0
    }
    if count == 0 { dropCache() } else { states.resume(at: Int32(extents[count].positions)) }
    return (count, extents[count])
  }

  private func reusableItems(_ prompt: Prompt, pruned: Bool) -> ArraySlice<PromptItem> {
    var count = min(Prompt.common(cached, prompt.items), prompt.items.count - 1)
    if pruned || cacheIsPruned {
      let firstImage = prompt.items.firstIndex { if case .image = $0 { true } else { false } }
      count = min(count, firstImage ?? count)
    }
    return prompt.items[..<max(count, 0)]
  }

  /// What an item takes, pruned or not.
  func extent(_ item: PromptItem) -> PromptExtent {
    switch item {
    case .token: PromptExtent(tokens: 1, positions: 1)
    case .image(let index): images[index].extent(model.decoder.shape.positions)
    }
  }

  private func record(_ rows: PrefillRows, _ keep: [KeepList<StageOneTokens>], _ settings: PruningSettings) {
    for image in Set(rows.spans.map(\.image)) {
      let lists = zip(rows.spans, keep).filter { $0.0.image == image }.map(\.1)
      images[image].report = ImagePruningReport(
        stageOne: .joined(images[image].tiles.map(\.stageOne)), stageTwo: .joined(lists), settings: settings)
    }
  }

  func finish(
    _ metrics: inout GenerationMetrics, isPruned: Bool, _ options: GenerationOptions
  ) {
    let reports = images.enumerated().compactMap { index, image in image.report.map { (index, $0) } }
    if isPruned {
      metrics.pruning = reports.map { index, report in
        GenerationMetrics.Image(
          image: index, total: report.total, stage1: report.stage1, kept: report.kept, lambda1: report.lambda1,
          lambda2: report.lambda2, layer: report.layer, reference: report.reference.rawValue,
          keptIndices: report.keptIndices, stage1Indices: report.stage1Indices)
      }
      metrics.meanVisualTokensPerLayer =
        PruningReport(images: reports.map(\.1), layers: model.decoder.shape.layers).meanVisualTokensPerLayer
    } else {
      metrics.meanVisualTokensPerLayer = Double(images.reduce(0) { $0 + $1.total })
    }
    metrics.timings.load = model.loadMilliseconds
    metrics.kvBytes = states.byteCount
    metrics.kvBytesUnpruned = states.byteCount(forTokens: length)
    metrics.weightsBytes = model.weightsBytes
    metrics.peakResidentBytes = ProcessMemory.peakResidentBytes()
    metrics.kernel = model.kernel
    metrics.threads = model.threads
    metrics.seed = options.seed
  }
}
