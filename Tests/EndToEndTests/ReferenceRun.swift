import Occam
import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTensors
import OccamTokenizer

/// A prefill with OccamToken and some decoding, written down once more, as plainly as the definition: the rooms' own
/// forward passes, but scores, thresholds, positions and the removal of tokens are done here by hand. With `prunes` off
/// there is nothing of pruning left at all.
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
    /// s2(v) / s2(r) of every patch of S1, an image each; empty without stage II.
    var relative: [[Float]] = []
    var cellCounts: [Int] = []
    /// Positions of the rows that went through the last layer.
    var positions: [Int32] = []
  }

  private struct Row {
    var position: Int32
    var embedding: [Float]
    /// Image and patch; -1 is the register; nil is text.
    var visual: (image: Int, patch: Int)?
  }

  private let decoder: any TextDecoder
  private let vision: VisionModel
  private var encoder: any VisionEncoder { vision.encoder }
  private var projector: any Projector { vision.projector }
  private let tokenizer: Tokenizer
  private let compute: Compute

  init(_ files: (text: String, projector: String), threads: Int = 2) throws {
    let kernels = try KernelSet.named(nil)
    let team = WorkerTeam(threads: threads)
    let text = try GGUFFile(path: files.text)
    decoder = try ModelRegistry.textDecoder(WeightLoader(file: text, kernels: kernels, team: team))
    tokenizer = try Tokenizer(metadata: text)
    vision = try ModelRegistry.vision(
      WeightLoader(file: try GGUFFile(path: files.projector), kernels: kernels, team: team))
    compute = Compute(kernels: kernels, team: team)
  }

  func run(
    _ prompt: String, photos: [String], continuation: [Int32] = [], _ settings: Settings
  ) throws -> Outcome {
    var outcome = Outcome()
    var rows: [Row] = []
    var next: Int32 = 0
    if let bos = tokenizer.bos { rows.append(text(bos, &next)) }
    for (index, part) in Self.parts(prompt).enumerated() {
      if index > 0 { rows += try image(index - 1, photos[index - 1], settings, &next, &outcome) }
      if part.isEmpty { continue }
      for id in tokenizer.encode(part, addSpecial: false, parseSpecial: true) { rows.append(text(id, &next)) }
    }
    if settings.renumbers {
      for index in rows.indices { rows[index].position = Int32(index) }
      next = Int32(rows.count)
    }
    let cells = decoder.makeCaches(.f16)
    var last = try prefill(&rows, cells, settings, &outcome)
    outcome.logits.append(logits(&last))
    outcome.positions = rows.map(\.position)
    for id in continuation {
      var row = text(id, &next)
      row.position = settings.renumbers ? Int32(cells[0].count) : row.position
      try forward(0..<decoder.shape.layers, &row.embedding, [row.position], cells, nil, lastRowOnly: true)
      outcome.logits.append(logits(&row.embedding))
    }
    outcome.cellCounts = cells.map(\.count)
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
    return Row(position: next - 1, embedding: embedding)
  }

  /// Encoder, stage I, projector over everything; dropped rows are left out afterwards.
  private func image(
    _ index: Int, _ path: String, _ settings: Settings, _ next: inout Int32, _ outcome: inout Outcome
  ) throws -> [Row] {
    let photo = try decodeImage(try Files.read(path), subject: path)
    let shape = encoder.shape
    let prepared = preprocessLLaVA15(photo, size: shape.imageSize, mean: shape.mean, deviation: shape.deviation)
    let encoded = try encoder.encode(
      prepared, request: EncoderRequest(wantsScores: settings.prunes, register: settings.register), compute: compute,
      observer: nil)
    let projected = AlignedBuffer<Float>(count: encoded.rows.rows * projector.outputs)
    let target = MatrixView(projected, rows: encoded.rows.rows, columns: projector.outputs)
    projector.project(encoded.rows, into: target, compute: compute)
    var stage1 = Array(0..<shape.patches)
    if settings.prunes, let scores = encoded.scores {
      let reference = encoded.hasRegister ? scores[shape.patches] : Self.mean(scores[..<shape.patches])
      stage1 = stage1.filter { scores[$0] >= settings.lambda1 * reference }
    }
    outcome.stage1.append(stage1)
    let start = next
    next += Int32(shape.patches)
    let kept = stage1 + (encoded.hasRegister ? [shape.patches] : [])
    return kept.map { patch in
      let isRegister = patch == shape.patches
      return Row(
        position: start + Int32(isRegister ? shape.patches - 1 : patch),
        embedding: Array(UnsafeBufferPointer(start: target.row(patch), count: target.columns)),
        visual: (index, isRegister ? -1 : patch))
    }
  }

  private static func mean(_ values: some Sequence<Float>) -> Float {
    let values = Array(values)
    return Float(values.reduce(0.0) { $0 + Double($1) } / Double(values.count))
  }

  // MARK: Text model

  /// - Returns: the last row after the last layer.
  private func prefill(
    _ rows: inout [Row], _ cells: [LayerKVCache], _ settings: Settings, _ outcome: inout Outcome
  ) throws -> [Float] {
    let layers = decoder.shape.layers
    var hidden = rows.flatMap(\.embedding)
    guard settings.prunes, settings.hasStageTwo else {
      outcome.kept = outcome.stage1
      try forward(0..<layers, &hidden, rows.map(\.position), cells, nil, lastRowOnly: true)
      return Array(hidden.suffix(decoder.shape.hidden))
    }
    let firstVisual = rows.firstIndex { $0.visual != nil } ?? rows.count
    let asking = rows.indices.filter { $0 > firstVisual && rows[$0].visual == nil }
    let output = AlignedBuffer<Float>(count: asking.count * rows.count)
    let scores = MatrixView(output, rows: asking.count, columns: rows.count)
    try forward(
      0..<settings.layer, &hidden, rows.map(\.position), cells, ScoreRequest(rows: asking, output: scores),
      lastRowOnly: false)
    let stay = stageTwo(rows, asking, scores, settings, &outcome)
    if settings.evicts { for layer in cells[..<settings.layer] { layer.keep(stay) } }
    let width = decoder.shape.hidden
    hidden = stay.flatMap { hidden[$0 * width..<($0 + 1) * width] }
    rows = stay.map { rows[$0] }
    if settings.layer < layers {
      try forward(settings.layer..<layers, &hidden, rows.map(\.position), cells, nil, lastRowOnly: true)
    }
    return Array(hidden.suffix(width))
  }

  /// s2(v) = max, s2(r) = mean over the asking rows behind the image. - Returns: the rows that stay.
  private func stageTwo(
    _ rows: [Row], _ asking: [Int], _ scores: MatrixView<Float>, _ settings: Settings, _ outcome: inout Outcome
  ) -> [Int] {
    var dropped = Set<Int>()
    for image in outcome.stage1.indices {
      let mine = rows.indices.filter { rows[$0].visual?.image == image }
      let visual = mine.filter { rows[$0].visual?.patch != -1 }
      let behind = asking.indices.filter { asking[$0] > (mine.last ?? 0) }
      let s2 = visual.map { key in behind.map { scores.row($0)[key] }.max() ?? 0 }
      let register = mine.first { rows[$0].visual?.patch == -1 }
      let reference = register.map { key in Self.mean(behind.map { scores.row($0)[key] }) } ?? Self.mean(s2)
      outcome.relative.append(s2.map { $0 / reference })
      let survivors = visual.indices.filter { s2[$0] >= settings.lambda2 * reference }
      outcome.kept.append(survivors.compactMap { rows[visual[$0]].visual?.patch })
      dropped.formUnion(visual)
      dropped.subtract(survivors.map { visual[$0] })
    }
    return rows.indices.filter { !dropped.contains($0) }
  }

  private func forward(
    _ layers: Range<Int>, _ hidden: inout [Float], _ positions: [Int32], _ cells: [LayerKVCache],
    _ scores: ScoreRequest?,
    lastRowOnly: Bool
  ) throws {
    let buffer = AlignedBuffer(copying: hidden)
    try positions.map { Position($0) }.withUnsafeBufferPointer { positions in
      let input = PassInput(
        hidden: MatrixView(buffer, rows: positions.count, columns: decoder.shape.hidden), positions: positions,
        scores: scores, lastRowOnly: lastRowOnly)
      try decoder.forward(layers: layers, input, caches: cells, compute: compute)
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
