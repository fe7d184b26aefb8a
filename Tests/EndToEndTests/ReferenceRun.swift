import Occam
import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels
import OccamPruning
import OccamQuantFormats
import OccamTensors
import OccamTokenizer
import Testing

/// A prefill with OccamToken and some decoding, written down once more, as plainly as the definition: the modules' own
/// forward passes and the family's own tiles, but merging, scores, thresholds, positions and the removal of tokens are done
/// here by hand. With `prunes` off there is nothing of pruning left at all.
final class ReferenceRun {
  struct Settings {
    var prunes = true
    /// nil: no register token, thresholds are held against the mean.
    var register: RegisterPlan?
    var lambda1: Float = 0
    var lambda2: Float = 0
    /// Text layer behind which stage II acts, from 1.
    var layer = 1
    /// Cells of dropped tokens leave layers 1...layer.
    var evicts = true
    /// Survivors are counted anew, as one must not.
    var renumbers = false
    /// Dropped tokens stay in the first layers' cells and hidden rows: no stage II at all, for comparisons.
    var hasStageTwo = true
  }

  struct Outcome {
    /// After the prompt, and after each token of the continuation.
    var logits: [[Float]] = []
    var stage1: [[Int]] = []
    var kept: [[Int]] = []
    /// s2(v) / s2(r) of every token of S1, an image each; empty without stage II.
    var relative: [[Float]] = []
    var cellCounts: [Int] = []
    /// Positions of the rows that went through the last layer.
    var positions: [Position] = []
  }

  private struct Row {
    var position: Position
    var embedding: [Float]
    var token = PassInput.noToken
    /// What joins it behind the first layers, one after the other.
    var planes: [[Float]] = []
    /// A token of an image's tile, by its number among all tiles' tokens; -1 is the tile's register; nil is text.
    var visual: (image: Int, tile: Int, token: Int)?
    /// Text that asks: not a marker, not a learned embedding.
    var isText = false
  }

  private let decoder: any TextDecoder
  private let vision: VisionModel
  private let tokenizer: Tokenizer
  private let compute: Compute

  init(_ files: (text: String, projector: String), threads: Int = 2) throws {
    let kernels = try KernelSet.named(nil)
    let team = WorkerTeam(threads: threads)
    let text = try GGUFFile(path: files.text)
    decoder = try ModelRegistry.textDecoder(WeightLoader(file: text, kernels: kernels, team: team))
    tokenizer = try Tokenizer(metadata: text)
    let loader = WeightLoader(file: try GGUFFile(path: files.projector), kernels: kernels, team: team)
    // As the library loads it unless told otherwise.
    loader.requantizesFloats = .q8_0
    vision = try ModelRegistry.vision(loader)
    compute = Compute(kernels: kernels, team: team)
  }

  func run(
    _ prompt: String, photos: [String], continuation: [Int32] = [], _ settings: Settings
  ) throws -> Outcome {
    var outcome = Outcome()
    var rows: [Row] = []
    var next: Int32 = 0
    if tokenizer.addBOS, let bos = tokenizer.bos { rows.append(text(bos, &next)) }
    for (index, part) in Self.parts(prompt).enumerated() {
      if index > 0 { rows += try image(index - 1, photos[index - 1], settings, &next, &outcome) }
      if part.isEmpty { continue }
      for id in tokenizer.encode(part, addSpecial: false, parseSpecial: true) { rows.append(text(id, &next)) }
    }
    if settings.renumbers {
      for index in rows.indices { rows[index].position = Position(Int32(index)) }
      next = Int32(rows.count)
    }
    let cells = SequenceState(decoder.shape, formats: KVCacheFormats(.f16))
    var last = try prefill(&rows, cells, settings, &outcome)
    outcome.logits.append(logits(&last))
    outcome.positions = rows.map(\.position)
    for id in continuation {
      let row = text(id, &next)
      let position = settings.renumbers ? Position(Int32(cells.entryCounts.max() ?? 0)) : row.position
      var hidden = row.embedding
      try forward(
        0..<decoder.shape.layers, &hidden, [Row(position: position, embedding: row.embedding, token: id)], cells, nil,
        lastRowOnly: true)
      outcome.logits.append(logits(&hidden))
    }
    outcome.cellCounts = cells.entryCounts
    return outcome
  }

  private static func parts(_ prompt: String) -> [String] {
    var parts: [String] = []
    var rest = prompt[...]
    while let range = rest.firstRange(of: "<__media__>") {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }

  private func text(_ id: Int32, _ next: inout Int32) -> Row {
    var embedding = [Float](repeating: 0, count: decoder.shape.hidden)
    embedding.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      decoder.embed(id, into: base)
    }
    next += 1
    return Row(position: Position(next - 1), embedding: embedding, token: id, isText: true)
  }

  /// A tile's projected tokens and register, and which tokens stage I keeps.
  private struct Tile {
    var rows: [[Float]]
    /// With the register's row, if there is one, as the last.
    var planes: [[[Float]]]
    var register: [Float]?
    var kept: [Int]
  }

  /// The image's rows as its frame lists them.
  private func image(
    _ index: Int, _ path: String, _ settings: Settings, _ next: inout Int32, _ outcome: inout Outcome
  ) throws -> [Row] {
    let photo = try decodeImage(try Files.read(path), subject: path)
    let picture = vision.plan.processor.prepare(photo)
    let tiles = try picture.layout.tiles.enumerated().map { try tile(picture.tile($0), $1, settings) }
    let firsts = tiles.indices.map { tiles[..<$0].reduce(0) { $0 + $1.rows.count } }
    outcome.stage1.append(tiles.indices.flatMap { tile in tiles[tile].kept.map { firsts[tile] + $0 } })
    var rows: [Row] = []
    for item in picture.layout.frame {
      switch item {
      case .text(let marker):
        for id in tokenizer.encode(marker, addSpecial: false, parseSpecial: true) {
          var row = text(id, &next)
          row.isText = false
          rows.append(row)
        }
      case .learned(let name):
        rows.append(Row(position: Position(next), embedding: Array(try #require(vision.learned[name]).buffer)))
        next += 1
      case .tokens(let number, let range):
        let tile = tiles[number]
        let window = picture.layout.tiles[number]
        let isGrid = decoder.shape.positions == .grid
        func position(_ token: Int) -> Position {
          guard isGrid else { return Position(next + Int32(token - range.lowerBound)) }
          let (row, column) = token.quotientAndRemainder(dividingBy: window.columns.count)
          return Position(t: next, y: next + Int32(row), x: next + Int32(column))
        }
        for token in range where tile.kept.contains(token) {
          rows.append(
            Row(
              position: position(token), embedding: tile.rows[token], planes: tile.planes.map { $0[token] },
              visual: (index, number, firsts[number] + token)))
        }
        if let register = tile.register, range.upperBound == tile.rows.count {
          rows.append(
            Row(
              position: position(range.upperBound - 1), embedding: register,
              planes: tile.planes.compactMap(\.last), visual: (index, number, -1)))
        }
        next += isGrid ? Int32(max(window.rows.count, window.columns.count)) : Int32(range.count)
      }
    }
    return rows
  }

  /// Encoder, merging, stage I, projector over everything; dropped rows are left out afterwards.
  private func tile(_ image: PreparedImage, _ window: TokenWindow, _ settings: Settings) throws -> Tile {
    let (shape, side) = (vision.plan.shape, vision.plan.merge.side)
    let encoded = try vision.encoder.encode(
      image, request: EncoderRequest(wantsScores: settings.prunes, register: settings.register), compute: compute,
      observer: nil)
    let perRow = image.width / shape.patchSize
    let patches = perRow * (image.height / shape.patchSize)
    // The patches of each token that counts, row by row.
    var groups: [[Int]] = []
    for row in window.rows {
      for column in window.columns {
        groups.append((0..<side * side).map { (row * side + $0 / side) * perRow + column * side + $0 % side })
      }
    }
    let registers = encoded.hasRegister ? [[Int](repeating: patches, count: side * side)] : []
    func projected(_ buffer: AlignedBuffer<Float>, _ projector: any Projector) -> [[Float]] {
      project((groups + registers).map { tokenFeatures($0, buffer, encoded) }, projector)
    }
    let tokens = projected(encoded.features, vision.projector)
    let planes = zip(encoded.planes, vision.planeProjectors).map { projected($0, $1) }
    var kept = Array(groups.indices)
    if settings.prunes, let scores = encoded.scores {
      let merged = groups.map { Self.mean($0.map { scores[$0] }) }
      let reference = encoded.hasRegister ? scores[patches] : Self.mean(merged)
      kept = kept.filter { merged[$0] >= settings.lambda1 * reference }
      if kept.isEmpty, let best = merged.indices.max(by: { merged[$0] < merged[$1] }) { kept = [best] }
    }
    return Tile(
      rows: Array(tokens.prefix(groups.count)), planes: planes, register: encoded.hasRegister ? tokens.last : nil,
      kept: kept)
  }

  private func tokenFeatures(
    _ patches: [Int], _ buffer: AlignedBuffer<Float>, _ encoded: EncodedPatches
  ) -> [Float] {
    func row(_ patch: Int) -> [Float] {
      Array(UnsafeBufferPointer(start: buffer.pointer + patch * encoded.hidden, count: encoded.hidden))
    }
    if case .average(let side) = vision.plan.merge {
      var sum = [Float](repeating: 0, count: encoded.hidden)
      for patch in patches {
        for (index, value) in row(patch).enumerated() { sum[index] += value * (1 / Float(side * side)) }
      }
      return sum
    }
    return patches.flatMap(row)
  }

  private func project(_ features: [[Float]], _ projector: any Projector) -> [[Float]] {
    let source = AlignedBuffer(copying: features.flatMap { $0 })
    let target = AlignedBuffer<Float>(count: features.count * projector.outputs)
    let view = MatrixView(target, rows: features.count, columns: projector.outputs)
    projector.project(
      MatrixView(source, rows: features.count, columns: projector.inputs), into: view, compute: compute)
    return (0..<view.rows).map { Array(UnsafeBufferPointer(start: view.row($0), count: view.columns)) }
  }

  private static func mean(_ values: some Sequence<Float>) -> Float {
    let values = Array(values)
    return Float(values.reduce(0.0) { $0 + Double($1) } / Double(values.count))
  }

  // MARK: Text model

  /// - Returns: the last row after the last layer.
  private func prefill(
    _ rows: inout [Row], _ cells: SequenceState, _ settings: Settings, _ outcome: inout Outcome
  ) throws -> [Float] {
    let layers = decoder.shape.layers
    var hidden = rows.flatMap(\.embedding)
    guard settings.prunes, settings.hasStageTwo else {
      outcome.kept = outcome.stage1
      try forward(0..<layers, &hidden, rows, cells, nil, lastRowOnly: true)
      return Array(hidden.suffix(decoder.shape.hidden))
    }
    let firstVisual = rows.firstIndex { $0.visual != nil } ?? rows.count
    let asking = rows.indices.filter { $0 > firstVisual && rows[$0].isText }
    let output = AlignedBuffer<Float>(count: asking.count * rows.count)
    let scores = MatrixView(output, rows: asking.count, columns: rows.count)
    try forward(
      0..<settings.layer, &hidden, rows, cells, ScoreRequest(rows: asking, output: scores),
      lastRowOnly: false)
    let stay = stageTwo(rows, asking, scores, settings, &outcome)
    if settings.evicts { cells.keep(stay, ofLast: rows.count, in: 0..<settings.layer) }
    let width = decoder.shape.hidden
    hidden = stay.flatMap { hidden[$0 * width..<($0 + 1) * width] }
    rows = stay.map { rows[$0] }
    if settings.layer < layers {
      try forward(settings.layer..<layers, &hidden, rows, cells, nil, lastRowOnly: true)
    }
    return Array(hidden.suffix(width))
  }

  /// s2(v) = max, s2(r) = mean over the asking rows behind the image. - Returns: the rows that stay.
  private func stageTwo(
    _ rows: [Row], _ asking: [Int], _ scores: MatrixView<Float>, _ settings: Settings, _ outcome: inout Outcome
  ) -> [Int] {
    var dropped = Set<Int>()
    for image in outcome.stage1.indices {
      let last = rows.indices.last { rows[$0].visual?.image == image } ?? 0
      let behind = asking.indices.filter { asking[$0] > last }
      var (kept, relative) = ([Int](), [Float]())
      for tile in Set(rows.compactMap { $0.visual?.image == image ? $0.visual?.tile : nil }).sorted() {
        let mine = rows.indices.filter { rows[$0].visual?.image == image && rows[$0].visual?.tile == tile }
        let visual = mine.filter { rows[$0].visual?.token != -1 }
        let s2 = visual.map { key in behind.map { scores.row($0)[key] }.max() ?? 0 }
        let register = mine.first { rows[$0].visual?.token == -1 }
        let reference = register.map { key in Self.mean(behind.map { scores.row($0)[key] }) } ?? Self.mean(s2)
        relative += s2.map { $0 / reference }
        let survivors = visual.indices.filter { s2[$0] >= settings.lambda2 * reference }
        kept += survivors.compactMap { rows[visual[$0]].visual?.token }
        dropped.formUnion(visual)
        dropped.subtract(survivors.map { visual[$0] })
      }
      outcome.relative.append(relative)
      outcome.kept.append(kept)
    }
    return rows.indices.filter { !dropped.contains($0) }
  }

  /// Rows of a tile that stand together, where the model lets them see each other.
  private func runs(_ rows: [Row]) -> [Range<Int>] {
    guard decoder.shape.imagesAreBidirectional else { return [] }
    var runs: [Range<Int>] = []
    for (index, row) in rows.enumerated() {
      guard let visual = row.visual else { continue }
      let before = index > 0 ? rows[index - 1].visual : nil
      if before?.image == visual.image, before?.tile == visual.tile {
        runs[runs.count - 1] = runs[runs.count - 1].lowerBound..<index + 1
      } else {
        runs.append(index..<index + 1)
      }
    }
    return runs
  }

  private func forward(
    _ layers: Range<Int>, _ hidden: inout [Float], _ rows: [Row], _ cells: SequenceState,
    _ scores: ScoreRequest?,
    lastRowOnly: Bool
  ) throws {
    // A recurrent layer rounds by the pass; the library ends one where the first image begins.
    let cut = rows.firstIndex { !$0.isText && !$0.embedding.isEmpty } ?? 0
    if cut > 0, rows.count > 1, layers.contains(where: { decoder.shape.attention($0) == nil }) {
      var (first, second) = (Array(hidden.prefix(cut * decoder.shape.hidden)), hidden)
      second.removeFirst(first.count)
      let later = scores.map { ScoreRequest(rows: $0.rows.map { $0 - cut }, output: $0.output) }
      try forward(layers, &first, Array(rows[..<cut]), cells, nil, lastRowOnly: false)
      try forward(layers, &second, Array(rows[cut...]), cells, later, lastRowOnly: lastRowOnly)
      hidden = first + second
      return
    }
    let buffer = AlignedBuffer(copying: hidden)
    let planes = rows.map { row in row.planes.map { AlignedBuffer(copying: $0) } }
    defer { withExtendedLifetime(planes) {} }
    let injections = layers.clamped(to: 0..<decoder.shape.injectedLayers).map { layer in
      let taking = rows.indices.filter { layer < planes[$0].count }
      return Injection(layer: layer, rows: taking, values: taking.map { UnsafePointer(planes[$0][layer].pointer) })
    }
    let inputs = AlignedBuffer(copying: rows.flatMap(\.embedding))
    try rows.map(\.position).withUnsafeBufferPointer { positions in
      try rows.map(\.token).withUnsafeBufferPointer { tokens in
        let input = PassInput(
          hidden: MatrixView(buffer, rows: positions.count, columns: decoder.shape.hidden), positions: positions,
          tokens: tokens, inputs: MatrixView(inputs, rows: positions.count, columns: decoder.shape.hidden),
          bidirectional: runs(rows), scores: scores, injections: injections, lastRowOnly: lastRowOnly)
        try decoder.forward(layers: layers, input, states: .one(cells), compute: compute)
      }
    }
    hidden = Array(buffer.buffer)
  }

  private func logits(_ row: inout [Float]) -> [Float] {
    let buffer = AlignedBuffer(copying: row)
    let target = AlignedBuffer<Float>(count: decoder.shape.vocabulary)
    decoder.logits(
      MatrixView(buffer, rows: 1, columns: row.count),
      into: MatrixView(target, rows: 1, columns: decoder.shape.vocabulary), compute: compute)
    return Array(target.buffer)
  }
}
