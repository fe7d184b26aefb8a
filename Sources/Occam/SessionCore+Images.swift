import OccamImages
import OccamModels
import OccamPruning

// What a session shows its model, and what pruning left of it.

extension SessionCore {
  /// OccamToken with the settings asked for; nil when pruning is off.
  func selector(_ options: GenerationOptions.Pruning) throws(OccamError) -> (any VisualTokenSelector)? {
    try settings(options).map(OccamTokenSelector.init)
  }

  /// The user's wishes, the calibration and the defaults, made concrete.
  func settings(_ options: GenerationOptions.Pruning) throws(OccamError) -> PruningSettings? {
    try translating("pruning") {
      try model.decoder.shape.settings(options.options, model.sidecar)
    }
  }

  var pipeline: ImagePipeline {
    get throws(OccamError) {
      guard let vision = model.parts.vision else { throw OccamError.cannotSee(model.path) }
      return ImagePipeline(
        facts: vision.facts, weights: vision.use(), tokenizer: model.tokenizer, compute: compute, reading: imageReading,
        cache: imageCache.map { ($0, model.number) })
    }
  }

  func addImages(
    _ shown: [Shown], _ selector: (any VisualTokenSelector)?, _ onEvent: (GenerationEvent) -> Void,
    _ metrics: inout GenerationMetrics
  ) throws(OccamError) {
    guard !shown.isEmpty || !images.isEmpty else { return }
    let pipeline = try pipeline
    for note in selector?.settings.notes ?? [] { model.notesSaid.warnOnce(note) }
    let stageOne = StageOneSettings(selector)
    var timings = ImagePipeline.Timings()
    let total = images.filter { $0.settings != stageOne }.count + shown.count
    var done = 0
    func encode(_ name: String, _ bytes: [UInt8]) throws(OccamError) -> SessionImage {
      try withProgress({ onEvent(.encoding(image: done, of: total, fraction: $0)) }) {
        () throws(OccamError) in
        try pipeline.encode(name: name, bytes: bytes, selector: selector, timings: &timings)
      }
    }
    for index in images.indices where images[index].settings != stageOne {
      images[index] = try encode(images[index].name, images[index].bytes)
      done += 1
      dropCache()
    }
    for image in shown {
      switch image {
      case .source(let source): images.append(try encode(source.name, try ImagePipeline.read(source)))
      case .encoded(let photo): images.append(try pipeline.project(photo, selector: selector, timings: &timings))
      }
      done += 1
    }
    metrics.timings.imageDecode = timings.decode
    metrics.timings.imageEncode = timings.encode
    metrics.encodedImages = total - timings.cached
    metrics.reusedImages = images.count - metrics.encodedImages
  }

  /// With its bytes at hand: what comes from a pipe can be read once only.
  func readable(_ image: Shown) throws(OccamError) -> Shown {
    guard case .source(let source) = image else { return image }
    guard model.vision != nil else { throw OccamError.cannotSee(model.path) }
    return .source(.bytes(try ImagePipeline.read(source), name: source.name))
  }

  /// Refuses, before anything is encoded, a prompt that the context cannot hold.
  func checkLength(_ prompt: Prompt, _ shown: [Shown]) throws(OccamError) {
    let scheme = model.decoder.shape.positions
    var extents = images.map { $0.extent(scheme) }
    for image in shown { extents.append(try pipeline.extent(of: image, scheme)) }
    try checkLength(
      prompt.items.reduce(0) { sum, item in
        if case .image(let index) = item { sum + extents[index].tokens } else { sum + 1 }
      })
  }

  /// Positions are never more than tokens.
  func checkLength(_ tokens: Int) throws(OccamError) {
    guard tokens < contextLength else {
      throw OccamError(
        .promptTooLong, "prompt", "needs \(tokens) tokens and one to answer; the context holds \(contextLength)")
    }
  }

  /// Hands the share done between layers to `report` while `body` runs.
  func withProgress<R>(
    _ report: (Double) -> Void, _ body: () throws(OccamError) -> R
  ) throws(OccamError) -> R {
    let result: Result<R, OccamError> = withoutActuallyEscaping(report) { report in
      compute.progress = report
      defer { compute.progress = { _ in } }
      do throws(OccamError) { return .success(try body()) } catch { return .failure(error) }
    }
    return try result.get()
  }

  func keepMap(_ index: Int, longestSide: Int?) throws(OccamError) -> [UInt8] {
    guard images.indices.contains(index) else {
      throw OccamError(.invalidOption, "keep map", "the conversation has no image \(index + 1)")
    }
    let image = images[index]
    guard let vision = model.vision else { throw OccamError.cannotSee(model.path) }
    let photo = try ImagePipeline.decode(image.name, image.bytes, imageReading, for: vision.plan.processor).image
    let stageOne = KeepList<TileTokens>.joined(image.tiles.map(\.stageOne))
    let stage1 = Set(stageOne.kept)
    let kept = Set(image.report?.keptIndices ?? stageOne.kept)
    let fates = (0..<stageOne.total).map { token -> PatchFate in
      kept.contains(token) ? .kept : stage1.contains(token) ? .droppedStageII : .droppedStageI
    }
    var first = 0
    let tiles = image.tiles.map { tile in
      defer { first += tile.grid.count }
      return KeepMapTile(grid: tile.grid, fates: Array(fates[first..<first + tile.grid.count]))
    }
    var map = drawKeepMap(photo, tiles: tiles)
    let side = max(map.width, map.height)
    if let longestSide, side > max(longestSide, 1) {
      func scaled(_ length: Int) -> Int { max(1, length * max(longestSide, 1) / side) }
      map = resize(map, width: scaled(map.width), height: scaled(map.height), filter: .bilinear)
    }
    return encodePNG(map)
  }
}
