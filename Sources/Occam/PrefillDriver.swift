import OccamCore
import OccamModels
import OccamPruning
import OccamTensors

/// Runs a prompt's rows through the decoder in two layer groups with one compaction between them: layers 1..l over what
/// stage I kept, stage II, then the rest over the survivors. Each group takes the rows in chunks, which bounds the
/// activations; between two chunks another session may run. A driver that pushes each chunk through all layers could
/// not host stage II.
struct PrefillDriver {
  let decoder: any TextDecoder
  let compute: Compute
  let states: SequenceState
  /// Rows of a chunk at most, but for an image's run that must not be cut.
  static let chunk = 1024

  struct Outcome {
    /// The last row after the last layer, [1 x hidden].
    var last: MatrixView<Float>
    /// Per span, which of its S1 tokens stage II kept.
    var keep: [KeepList<StageOneTokens>]
    /// Per span, stage II's scores; empty where no text of the question follows an image.
    var scores: [TokenScores] = []
    /// Rows that each layer processed, text and registers included.
    var rowsPerLayer: [Int]
  }

  /// - Parameter selector: nil runs without stage II.
  func run(
    _ rows: PrefillRows, images: [SessionImage], selector: (any VisualTokenSelector)?
  ) throws(Cancelled) -> Outcome {
    let layers = decoder.shape.layers
    let runs = decoder.shape.imagesAreBidirectional ? rows.imageRuns : []
    guard let selector, selector.actsInsideModel, !rows.spans.isEmpty else {
      let last = try throughAllLayers(rows, runs, images)
      return Outcome(
        last: last, keep: rows.spans.map { .everything($0.visual.count) },
        rowsPerLayer: Array(repeating: rows.count, count: layers))
    }
    let settings = selector.settings
    let split = min(max(settings.layer, 1), layers)
    let x = compute.view(.residual, rows: rows.count, columns: decoder.shape.hidden)
    let filler = RowFiller(rows, images)
    filler.fill(x, 0..<rows.count, decoder)
    let planes = PlaneRows(rows, images, layers: decoder.shape.injectedLayers)
    let scored = states.keyValues(split - 1)
    let request = scoreRequest(rows, scored)
    let whole = Part(hidden: x, positions: rows.positions, tokens: rows.tokenIDs)
    for chunk in PrefillDriver.chunks(rows.count, whole: runs, cut: rows.firstImage?.row) {
      let wanted = request?.slice(chunk, entries: scored.count + chunk.count)
      try run(
        0..<split, whole, runs, planes, chunk, rows.firstImage, scores: wanted, lastRowOnly: false, scored: split - 1)
    }
    let choice = stageTwo(rows, request?.output)
    let compactor = TokenCompactor(rows, keep: choice.keep)
    let survivors = compactor.compact(x)
    let positions = compactor.compact(rows.positions)
    if settings.kvPolicy == .compact { states.keep(compactor.kept, ofLast: rows.count, in: 0..<split) }
    if split < layers {
      let left = compactor.compact(runs: runs)
      let planes = planes.compacted(to: compactor.kept)
      var part = Part(hidden: survivors, positions: positions, tokens: compactor.compact(whole.tokens))
      if decoder.shape.readsInputs {
        let inputs = compute.view(.inputs, rows: rows.count, columns: decoder.shape.hidden)
        filler.fill(inputs, 0..<rows.count, decoder)
        part.inputs = compactor.compact(inputs)
      }
      // No row before the first image was dropped.
      for chunk in PrefillDriver.chunks(survivors.rows, whole: left, cut: rows.firstImage?.row) {
        try run(
          split..<layers, part, left, planes, chunk, rows.firstImage, scores: nil, lastRowOnly: true)
      }
    }
    return Outcome(
      last: survivors.slice(rows: (survivors.rows - 1)..<survivors.rows), keep: choice.keep, scores: choice.scores,
      rowsPerLayer: (0..<layers).map { $0 < split ? rows.count : survivors.rows })

    /// An image that no text of the question follows cannot be asked about: all its tokens stay.
    func stageTwo(_ rows: PrefillRows, _ scores: MatrixView<Float>?) -> LayerChoice {
      let everything = rows.spans.map { KeepList<StageOneTokens>.everything($0.visual.count) }
      guard let scores else { return LayerChoice(keep: everything) }
      let spans = rows.visualSpans()
      var choice = selector.insideModel(rows: scores, spans: spans)
      for index in spans.indices where spans[index].firstRow >= rows.questionRows.count {
        choice.keep[index] = everything[index]
      }
      return choice
    }
  }

  /// All layers over one chunk after another; only the chunk in hand has its rows in memory.
  /// - Returns: the last row.
  private func throughAllLayers(
    _ rows: PrefillRows, _ runs: [Range<Int>], _ images: [SessionImage]
  ) throws(Cancelled) -> MatrixView<Float> {
    let filler = RowFiller(rows, images)
    let planes = PlaneRows(rows, images, layers: decoder.shape.injectedLayers)
    let tokens = rows.tokenIDs
    var last = compute.view(.residual, rows: 0, columns: decoder.shape.hidden)
    for chunk in PrefillDriver.chunks(rows.count, whole: runs, cut: rows.firstImage?.row) {
      let x = compute.view(.residual, rows: chunk.count, columns: decoder.shape.hidden)
      filler.fill(x, chunk, decoder)
      let image = rows.firstImage.map { (row: $0.row - chunk.lowerBound, position: $0.position) }
      try run(
        0..<decoder.shape.layers,
        Part(hidden: x, positions: Array(rows.positions[chunk]), tokens: Array(tokens[chunk])),
        runs.inside(chunk), planes.inside(chunk), 0..<chunk.count, image, scores: nil, lastRowOnly: true)
      last = x.slice(rows: (x.rows - 1)..<x.rows)
    }
    return last
  }

  /// Rows that go through a group of layers, and where they come from.
  private struct Part {
    var hidden: MatrixView<Float>
    var positions: [Position]
    var tokens: [Int32]
    /// As `PassInput.inputs`.
    var inputs: MatrixView<Float>?
  }

  /// One chunk of rows through a group of layers, a turn of its own on the model's threads.
  /// - Parameters:
  ///   - image: the row and the position where the first image begins: what its layers remember before it is kept.
  ///   - scored: a layer whose entries keep their numbers, for the attention weights asked of it.
  private func run(
    _ layers: Range<Int>, _ part: Part, _ runs: [Range<Int>], _ planes: PlaneRows, _ chunk: Range<Int>,
    _ image: (row: Int, position: Int32)?, scores: ScoreRequest?, lastRowOnly: Bool, scored: Int? = nil
  ) throws(Cancelled) {
    if let image, image.row == chunk.lowerBound { states.snapshot(layers, at: image.position) }
    let result = part.positions.withUnsafeBufferPointer { positions in
      part.tokens.withUnsafeBufferPointer { tokens -> Result<Void, Cancelled> in
        let input = PassInput(
          hidden: part.hidden.slice(rows: chunk), positions: UnsafeBufferPointer(rebasing: positions[chunk]),
          tokens: UnsafeBufferPointer(rebasing: tokens[chunk]), inputs: part.inputs?.slice(rows: chunk),
          bidirectional: runs.inside(chunk), scores: scores, injections: planes.inside(chunk).injections(layers),
          lastRowOnly: lastRowOnly)
        return compute.team.pass {
          do throws(Cancelled) {
            return .success(try decoder.forward(layers: layers, input, states: .one(states), compute: compute))
          } catch { return .failure(error) }
        }
      }
    }
    try result.get()
    let reached = part.positions[chunk.upperBound - 1].t
    guard let scored else { return states.dropUnreachable(from: reached, in: layers) }
    states.dropUnreachable(from: reached, in: layers.lowerBound..<scored)
    states.dropUnreachable(from: reached, in: scored + 1..<layers.upperBound)
  }

  /// Runs of at most `chunk` rows; a run of `whole`, ascending and disjoint, is never cut.
  /// - Parameter cut: a row that begins a chunk, in no run's middle.
  static func chunks(_ rows: Int, whole: [Range<Int>], cut: Int? = nil) -> [Range<Int>] {
    var chunks: [Range<Int>] = []
    var start = 0
    while start < rows {
      var end = min(start + chunk, rows)
      if let cut, cut > start { end = min(end, cut) }
      if let run = whole.first(where: { $0.lowerBound < end && $0.upperBound > end }) {
        end = run.lowerBound > start ? run.lowerBound : run.upperBound
      }
      chunks.append(start..<end)
      start = end
    }
    return chunks
  }

  private func scoreRequest(_ rows: PrefillRows, _ cache: LayerKVCache) -> ScoreRequest? {
    guard !rows.questionRows.isEmpty else { return nil }
    // Visual tokens and registers only: the whole rows of a long question would outgrow every activation.
    let keys = rows.visualKeys(firstEntry: cache.count)
    let output = compute.view(.scores, rows: rows.questionRows.count, columns: keys.reduce(0) { $0 + $1.count })
    return ScoreRequest(rows: rows.questionRows, keys: keys, output: output)
  }
}

extension [Range<Int>] {
  /// The runs that lie in `part`, counted from its beginning.
  fileprivate func inside(_ part: Range<Int>) -> [Range<Int>] {
    filter { $0.lowerBound >= part.lowerBound && $0.upperBound <= part.upperBound }
      .map { $0.lowerBound - part.lowerBound..<$0.upperBound - part.lowerBound }
  }
}

extension ScoreRequest {
  /// What is asked of the rows in `chunk`, when the cache holds `entries` entries.
  fileprivate func slice(_ chunk: Range<Int>, entries: Int) -> ScoreRequest? {
    let inside = rows.indices.filter { chunk.contains(rows[$0]) }
    guard let first = inside.first, let last = inside.last else { return nil }
    return ScoreRequest(
      rows: rows[first...last].map { $0 - chunk.lowerBound },
      // Later images are not stored yet; their columns, at the end, become zeros.
      keys: keys?.map { $0.clamped(to: 0..<entries) }.filter { !$0.isEmpty },
      output: output.slice(rows: first..<last + 1))
  }
}
