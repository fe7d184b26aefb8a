import OccamCore
import OccamModels
import OccamPruning
import OccamTensors

/// Runs a prompt's rows through the decoder in two layer groups with one compaction between them: layers 1..l over what
/// stage I kept, stage II, then the rest over the survivors. A driver that pushes chunks through all layers could not
/// host stage II.
struct PrefillDriver {
  let decoder: any TextDecoder
  let compute: Compute
  let cells: [LayerCells]
  /// Rows a chunk of an unpruned prompt has at most, which bounds the activations' memory.
  static let chunk = 1024

  struct Outcome {
    /// The last row after the last layer, [1 x hidden].
    var last: MatrixView<Float>
    /// Per span, which of its S1 tokens stage II kept.
    var keep: [KeepList]
    /// Per span, stage II's scores; empty where no text of the question follows an image.
    var scores: [TokenScores] = []
  }

  /// - Parameter settings: nil runs without stage II.
  func run(_ rows: PrefillRows, images: [SessionImage], settings: PruningSettings?) throws(Cancelled) -> Outcome {
    let firstCell = cells.first?.count ?? 0
    let x = compute.view(.residual, rows: rows.count, columns: decoder.shape.hidden)
    fill(x, rows, images)
    guard let settings, !rows.spans.isEmpty else {
      try throughAllLayers(x, rows.positions)
      let keep = rows.spans.map { KeepList.everything($0.visual.count) }
      return Outcome(last: x.slice(rows: (x.rows - 1)..<x.rows), keep: keep)
    }
    let split = min(max(settings.layer, 1), decoder.shape.layers)
    let request = scoreRequest(rows, firstCell)
    try decoder.forward(
      layers: 0..<split, hidden: x, positions: rows.positions, cells: cells, compute: compute, scores: request,
      lastRowOnly: false)
    let (keep, scores) = stageTwo(rows, request, settings)
    let compactor = TokenCompactor(rows, keep: keep)
    let survivors = compactor.compact(x)
    if settings.kvPolicy == .compact {
      let stay = compactor.cells(firstCell: firstCell)
      for layer in cells[..<split] { layer.keep(stay) }
    }
    if split < decoder.shape.layers {
      try decoder.forward(
        layers: split..<decoder.shape.layers, hidden: survivors, positions: compactor.compact(rows.positions),
        cells: cells, compute: compute, scores: nil, lastRowOnly: true)
    }
    return Outcome(last: survivors.slice(rows: (survivors.rows - 1)..<survivors.rows), keep: keep, scores: scores)
  }

  /// Text rows take token embeddings, image rows the projected features of stage I's survivors.
  private func fill(_ x: MatrixView<Float>, _ rows: PrefillRows, _ images: [SessionImage]) {
    for (row, id) in rows.tokens { decoder.embed(id, into: x.row(row)) }
    for span in rows.spans {
      let embeddings = images[span.image].embeddings
      let count = span.visual.count + (span.register == nil ? 0 : 1)
      x.row(span.visual.lowerBound).update(from: embeddings.pointer, count: count * x.columns)
    }
  }

  private func throughAllLayers(_ x: MatrixView<Float>, _ positions: [Int32]) throws(Cancelled) {
    for start in stride(from: 0, to: x.rows, by: PrefillDriver.chunk) {
      let part = start..<min(start + PrefillDriver.chunk, x.rows)
      try decoder.forward(
        layers: 0..<decoder.shape.layers, hidden: x.slice(rows: part), positions: Array(positions[part]), cells: cells,
        compute: compute, scores: nil, lastRowOnly: true)
    }
  }

  private func scoreRequest(_ rows: PrefillRows, _ firstCell: Int) -> ScoreRequest? {
    guard !rows.questionRows.isEmpty else { return nil }
    // Visual tokens and registers only: the whole rows of a long question would outgrow every activation.
    let keys = rows.visualKeys(firstCell: firstCell)
    let output = compute.view(.scores, rows: rows.questionRows.count, columns: keys.reduce(0) { $0 + $1.count })
    return ScoreRequest(rows: rows.questionRows, keys: keys, output: output)
  }

  /// An image that no text of the question follows cannot be asked about: all its tokens stay.
  private func stageTwo(
    _ rows: PrefillRows, _ request: ScoreRequest?, _ settings: PruningSettings
  ) -> (keep: [KeepList], scores: [TokenScores]) {
    let everything = rows.spans.map { KeepList.everything($0.visual.count) }
    guard let request else { return (everything, []) }
    let spans = rows.visualSpans()
    let scores = StageTwo.scores(rows: request.output, spans: spans)
    let lists = StageTwo.keep(scores, images: spans.map(\.image), lambda: settings.lambda2, cap: settings.cap)
    let keep = spans.indices.map { spans[$0].firstRow < rows.questionRows.count ? lists[$0] : everything[$0] }
    return (keep, scores)
  }
}
