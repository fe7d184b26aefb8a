import OccamCore
import OccamModels

/// Fills rows with what they hold: text and markers token embeddings, image rows the projected features of stage I's
/// survivors, others a learned embedding.
struct RowFiller {
  let rows: PrefillRows
  let images: [SessionImage]

  init(_ rows: PrefillRows, _ images: [SessionImage]) {
    self.rows = rows
    self.images = images
  }

  /// - Parameters: x: [part x hidden]; part: which of the prompt's rows x holds.
  func fill(_ x: MatrixView<Float>, _ part: Range<Int>, _ decoder: any TextDecoder) {
    func copy(_ source: UnsafePointer<Float>, _ row: Int) {
      if part.contains(row) { x.row(row - part.lowerBound).update(from: source, count: x.columns) }
    }
    for (row, id) in rows.tokens where part.contains(row) { decoder.embed(id, into: x.row(row - part.lowerBound)) }
    for (row, embedding) in rows.learned { copy(embedding.pointer, row) }
    for span in rows.spans {
      let embeddings = images[span.image].tiles[span.tile].embeddings.pointer
      for (index, row) in span.visual.enumerated() { copy(embeddings + index * x.columns, row) }
      if let row = span.register { copy(embeddings + span.visual.count * x.columns, row) }
    }
  }
}

/// Which rows of a prefill the planes of its images join (DeepStack).
struct PlaneRows {
  /// Ascending; of each row its address in every plane.
  private var rows: [(row: Int, values: [UnsafePointer<Float>])] = []

  /// - Parameter layers: how many of the first layers take one.
  init(_ prefill: PrefillRows, _ images: [SessionImage], layers: Int) {
    guard layers > 0 else { return }
    for span in prefill.spans {
      let tile = images[span.image].tiles[span.tile]
      let width = tile.embeddings.count / max(span.visual.count + (span.register == nil ? 0 : 1), 1)
      for (index, row) in (span.visual + (span.register.map { [$0] } ?? [])).enumerated() {
        rows.append((row, tile.planes.prefix(layers).map { UnsafePointer($0.pointer + index * width) }))
      }
    }
    rows.sort { $0.row < $1.row }
  }

  private init(_ rows: [(row: Int, values: [UnsafePointer<Float>])]) { self.rows = rows }

  /// Those of `part`, counted from its beginning.
  func inside(_ part: Range<Int>) -> PlaneRows {
    PlaneRows(rows.filter { part.contains($0.row) }.map { ($0.row - part.lowerBound, $0.values) })
  }

  /// Those among `kept`, ascending rows, numbered as they stand there.
  func compacted(to kept: [Int]) -> PlaneRows {
    var places: [Int: Int] = [:]
    for (place, row) in kept.enumerated() { places[row] = place }
    return PlaneRows(rows.compactMap { item in places[item.row].map { ($0, item.values) } })
  }

  /// What joins the hidden states behind each of `layers`.
  func injections(_ layers: Range<Int>) -> [Injection] {
    let planes = rows.first?.values.count ?? 0
    return layers.clamped(to: 0..<planes).map { layer in
      Injection(layer: layer, rows: rows.map(\.row), values: rows.map { $0.values[layer] })
    }
  }
}
