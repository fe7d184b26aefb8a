import OccamCore
import OccamImages
import OccamModels
import OccamPruning
import OccamTokenizer

/// Image file -> pixels -> tiles -> encoder -> stage I -> projector.
struct ImagePipeline {
  let facts: VisionFacts
  /// The weights, from their first use until the pipeline goes.
  let weights: VisionSource.Use
  let tokenizer: Tokenizer
  let compute: Compute
  var reading = ImageReading()
  /// And the model whose encoder this is.
  var cache: (ImageCache, model: Int)?

  struct Timings {
    var decode = 0.0
    var encode = 0.0
    /// Images that were not encoded, because a cache had them.
    var cached = 0
  }

  static func read(_ source: ImageSource) throws(OccamError) -> [UInt8] {
    switch source {
    case .bytes(let bytes, _): return bytes
    case .file(let path): return try translating(path) { try Files.read(path) }
    }
  }

  /// How a picture stands in the prompt, from its header.
  static func layout(
    of source: ImageSource, _ processor: any ImageProcessor
  ) throws(OccamError) -> PictureLayout {
    let bytes = try read(source)
    let size = try translating(source.name) { try imageSize(of: bytes, subject: source.name) }
    return processor.layout(width: size.width, height: size.height)
  }

  /// What a picture takes in the prompt, markers included: of a file from its header.
  func extent(of image: SessionCore.Shown, _ scheme: PositionScheme) throws(OccamError) -> PromptExtent {
    switch image {
    case .encoded(let photo):
      return photo.frame.extent(scheme, tokenizer) { photo.tiles[$0].grid.columns }
    case .source(let source):
      let layout = try ImagePipeline.layout(of: source, facts.plan.processor)
      return layout.frame.extent(scheme, tokenizer) { layout.tiles[$0].columns.count }
    }
  }

  /// Above this many pixels a photo is scaled down while it is decoded, where its format can: below, the reference
  /// processors' pixels count for more than memory.
  static let scaledPixels = 32_000_000

  static func decode(
    _ name: String, _ bytes: [UInt8], _ reading: ImageReading, for processor: any ImageProcessor
  ) throws(OccamError) -> DecodedImage {
    try translating(name) {
      var options = reading.options
      let size = try imageSize(of: bytes, limits: options.limits, subject: name)
      if size.width * size.height > scaledPixels {
        options.wantedSize = processor.canvas(width: size.width, height: size.height)
      }
      return try decodeImageWithWarnings(bytes, options: options, subject: name)
    }
  }

  func encode(
    name: String, bytes: [UInt8], selector: (any VisualTokenSelector)?, timings: inout Timings
  ) throws(OccamError) -> SessionImage {
    let (score, register) = (selector?.settings.score, selector?.register)
    let settings = cache.map {
      ImageCache.Settings(model: $0.model, reading: reading, score: score, register: register)
    }
    if let cache, let settings, let photo = cache.0.find(bytes, settings) {
      timings.cached += 1
      return try project(photo, selector: selector, timings: &timings)
    }
    let start = Clock.nanoseconds()
    let decoded = try decode(name, bytes)
    var pixels: ImageCache.PixelHash?
    if let cache, let settings {
      let hash = ImageCache.PixelHash(decoded.image)
      if var photo = cache.0.find(hash, settings) {
        timings.cached += 1
        timings.decode += Clock.milliseconds(since: start)
        photo.name = name
        photo.bytes = bytes
        return try project(photo, selector: selector, timings: &timings)
      }
      pixels = hash
    }
    let photo = try encode(decoded, name: name, bytes: bytes, since: start, score: score, register: register)
    if let cache, let settings, let pixels { cache.0.store(photo, pixels, settings) }
    timings.decode += photo.decodeTime
    timings.encode += photo.encodeTime
    return try project(photo, selector: selector, timings: &timings)
  }

  func project(
    _ photo: EncodedPhoto, selector: (any VisualTokenSelector)?, timings: inout Timings
  ) throws(OccamError) -> SessionImage {
    let start = Clock.nanoseconds()
    defer { timings.encode += Clock.milliseconds(since: start) }
    return try project(photo, selector: selector)
  }

  func encode(
    name: String, bytes: [UInt8], score: StageOneScore?, register: RegisterPlan?
  ) throws(OccamError) -> EncodedPhoto {
    let start = Clock.nanoseconds()
    return try encode(
      try decode(name, bytes), name: name, bytes: bytes, since: start, score: score, register: register)
  }

  private func decode(_ name: String, _ bytes: [UInt8]) throws(OccamError) -> DecodedImage {
    let decoded = try ImagePipeline.decode(name, bytes, reading, for: facts.plan.processor)
    for warning in decoded.warnings { Log.warning(warning) }
    return decoded
  }

  /// - Parameter start: of decoding.
  private func encode(
    _ decoded: DecodedImage, name: String, bytes: [UInt8], since start: UInt64, score: StageOneScore?,
    register: RegisterPlan?
  ) throws(OccamError) -> EncodedPhoto {
    let picture = facts.plan.processor.prepare(decoded.image)
    let decodeTime = Clock.milliseconds(since: start)
    let request = EncoderRequest(
      wantsScores: score != nil, score: score ?? .attention, register: register)
    let tiles = try encode(picture, name: name, request)
    return EncodedPhoto(
      name: name, bytes: bytes, frame: picture.layout.frame, tiles: tiles, decodeTime: decodeTime,
      encodeTime: Clock.milliseconds(since: start) - decodeTime)
  }

  /// Tile by tile, each a turn of its own on the model's threads: a tile has rows enough for the kernels, and only one is
  /// in memory.
  func encode(
    _ picture: PreparedPicture, name: String, _ request: EncoderRequest
  ) throws(OccamError) -> [EncodedTile] {
    let vision = try weights.vision
    return try translating(name) { try encode(picture, request, vision) }
  }

  private func encode(
    _ picture: PreparedPicture, _ request: EncoderRequest, _ vision: VisionModel
  ) throws(Cancelled) -> [EncodedTile] {
    let report = compute.progress
    defer { compute.progress = report }
    var tiles: [EncodedTile] = []
    for (index, window) in picture.layout.tiles.enumerated() {
      let count = Double(picture.layout.tiles.count)
      compute.progress = { report((Double(index) + $0) / count) }
      let tile = picture.tile(index)
      guard window.count > 0 else {
        tiles.append(.nothing(of: tile, width: vision.plan.merge.width(hidden: vision.plan.shape.hidden), request))
        continue
      }
      tiles.append(
        try compute.team.pass { () throws(Cancelled) in
          try vision.encode(tile, window: window, request: request, compute: compute)
        })
    }
    return tiles
  }

  /// Stage I, then only what survives it through the projector.
  func project(
    _ photo: EncodedPhoto, selector: (any VisualTokenSelector)?
  ) throws(OccamError) -> SessionImage {
    let vision = try weights.vision
    let tiles = photo.tiles.map { tile in
      guard tile.tokens > 0 else {
        return SessionTile(
          grid: tile.grid, embeddings: AlignedBuffer(count: 0), stageOne: .everything(0), hasRegister: false)
      }
      return compute.team.pass {
        let keep = stageOne(tile, of: photo.tokens, selector, vision.projector)
        let rows = keep.kept + (tile.hasRegister ? [tile.tokens] : [])
        let planes = zip(tile.planes, vision.planeProjectors).map { project(tile, $0, rows: rows, $1) }
        return SessionTile(
          grid: tile.grid, embeddings: project(tile, tile.features, rows: rows, vision.projector), planes: planes,
          stageOne: keep, hasRegister: tile.hasRegister)
      }
    }
    let frame = photo.frame.compactMap { item -> FramePiece? in
      switch item {
      case .text(let text): .marker(tokenizer.encode(text, addSpecial: false, parseSpecial: true))
      case .tokens(let tile, let range): .tokens(tile: tile, range)
      case .learned(let name): vision.learned[name].map { .learned($0) }
      }
    }
    return SessionImage(
      name: photo.name, bytes: photo.bytes, tiles: tiles, frame: frame, settings: StageOneSettings(selector))
  }

  /// Projected rows of a tile's features or of a plane, [rows x text width].
  private func project(
    _ tile: EncodedTile, _ features: AlignedBuffer<Float>, rows: [Int], _ projector: any Projector
  ) -> AlignedBuffer<Float> {
    let source = tile.view(features)
    let gathered = compute.view(.patches, rows: rows.count, columns: tile.width)
    for (target, row) in rows.enumerated() {
      gathered.row(target).update(from: source.row(row), count: tile.width)
    }
    let outputs = projector.outputs
    let embeddings = AlignedBuffer<Float>(count: rows.count * outputs, zeroed: false)
    projector.project(gathered, into: MatrixView(embeddings, rows: rows.count, columns: outputs), compute: compute)
    return embeddings
  }

  private func stageOne(
    _ tile: EncodedTile, of imageTokens: Int, _ selector: (any VisualTokenSelector)?, _ projector: any Projector
  ) -> KeepList<TileTokens> {
    guard let selector else { return .everything(tile.tokens) }
    // Kept alive until the selector is done with the view of it.
    var projected: AlignedBuffer<Float>?
    defer { withExtendedLifetime(projected) {} }
    return selector.behindEncoder(
      EncodedTokens(count: tile.tokens, of: imageTokens, scores: tile.scores) {
        let buffer = projected ?? project(tile, tile.features, rows: Array(0..<tile.tokens), projector)
        projected = buffer
        return MatrixView(buffer, rows: tile.tokens, columns: projector.outputs)
      })
  }
}

extension [FrameItem] {
  /// - Parameter columns: of a tile's grid of tokens.
  func extent(
    _ scheme: PositionScheme, _ tokenizer: Tokenizer, columns: (Int) -> Int
  ) -> PromptExtent {
    reduce(into: PromptExtent()) { sum, item in
      switch item {
      case .text(let text): sum.add(tokenizer.encode(text, addSpecial: false, parseSpecial: true).count)
      case .tokens(let tile, let range): sum.add(range, columns: columns(tile), scheme)
      case .learned: sum.add(1)
      }
    }
  }
}
