import OccamCore
import OccamModels
import OccamPruning
import OccamTensors

/// The rows a prefill processes: one a text token or marker, one a visual token that survived stage I, one a register, one
/// a learned embedding.
struct PrefillRows {
  /// The rows of one tile.
  struct Span {
    let image: Int
    let tile: Int
    /// Rows of the visual tokens, in the order of S1; other rows may stand between them.
    var visual: [Int] = []
    /// Stands behind the last of them.
    var register: Int?
    /// Behind the last row of the whole image.
    var imageEnd = 0
  }

  private(set) var tokens: [(row: Int, id: Int32)] = []
  private(set) var learned: [(row: Int, embedding: AlignedBuffer<Float>)] = []
  private(set) var positions: [Position] = []
  private(set) var spans: [Span] = []
  /// Rows of the question's text behind an image: those whose attention stage II reads.
  private(set) var questionRows: [Int] = []
  /// Runs of rows that hold one tile's tokens without a gap.
  private(set) var imageRuns: [Range<Int>] = []
  /// Position behind the last item: where decoding goes on.
  private(set) var nextPosition: Int32
  /// The first row of the first image and its position.
  private(set) var firstImage: (row: Int, position: Int32)?
  private let scheme: PositionScheme

  var count: Int { positions.count }

  /// One a row; `PassInput.noToken` for rows of images and learned embeddings.
  var tokenIDs: [Int32] {
    var ids = [Int32](repeating: PassInput.noToken, count: count)
    for (row, id) in tokens { ids[row] = id }
    return ids
  }

  /// - Parameters:
  ///   - items: of the prompt from item `first` on.
  ///   - position: of the first item.
  ///   - images: the session's images, with stage I done.
  ///   - scheme: how the model numbers rows.
  init(
    _ items: ArraySlice<PromptItem>, questionStart: Int, position: Int32, images: [SessionImage],
    scheme: PositionScheme
  ) {
    nextPosition = position
    self.scheme = scheme
    for (index, item) in zip(items.indices, items) {
      switch item {
      case .token(let id):
        if !spans.isEmpty, index >= questionStart { questionRows.append(count) }
        append(token: id)
      case .image(let image): append(image, images[image])
      }
    }
  }

  private mutating func append(token id: Int32) {
    tokens.append((count, id))
    appendPosition()
  }

  private mutating func appendPosition() {
    positions.append(Position(nextPosition))
    nextPosition += 1
  }

  private mutating func append(_ index: Int, _ image: SessionImage) {
    if firstImage == nil { firstImage = (count, nextPosition) }
    var spans = image.tiles.indices.map { Span(image: index, tile: $0) }
    for piece in image.frame {
      switch piece {
      case .marker(let ids): for id in ids { append(token: id) }
      case .learned(let embedding):
        learned.append((count, embedding))
        appendPosition()
      case .tokens(let tile, let range): append(range, image.tiles[tile], &spans[tile])
      }
    }
    for tile in spans.indices { spans[tile].imageEnd = count }
    self.spans += spans
  }

  /// Kept tokens take the positions they would have unpruned; the register takes its tile's last one, so that what stands
  /// behind it stands where it would without pruning.
  private mutating func append(_ range: Range<Int>, _ tile: SessionTile, _ span: inout Span) {
    let start = count
    let columns = tile.grid.columns
    func position(_ token: Int) -> Position {
      scheme.position(of: token, in: range, columns: columns, first: nextPosition)
    }
    for token in tile.stageOne.kept where range.contains(token) {
      span.visual.append(count)
      positions.append(position(token))
    }
    if tile.hasRegister, range.upperBound == tile.stageOne.total, let last = range.last {
      span.register = count
      positions.append(position(last))
    }
    nextPosition += Int32(scheme.extent(of: range, columns: columns))
    if count > start { imageRuns.append(start..<count) }
  }

  /// The rows stage II looks at, ascending: visual tokens and registers.
  private var visualRows: [Int] { spans.flatMap { $0.visual + ($0.register.map { [$0] } ?? []) }.sorted() }

  /// The cache entries stage II looks at, as runs.
  /// - Parameter firstEntry: of row 0.
  func visualKeys(firstEntry: Int) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for row in visualRows {
      let entry = firstEntry + row
      if let last = runs.last, last.upperBound == entry {
        runs[runs.count - 1] = last.lowerBound..<entry + 1
      } else {
        runs.append(entry..<entry + 1)
      }
    }
    return runs
  }

  /// Spans as stage II sees them: columns of score rows that hold `visualKeys` one behind the other.
  func visualSpans() -> [VisualSpan] {
    var columns: [Int: Int] = [:]
    for (column, row) in visualRows.enumerated() { columns[row] = column }
    return spans.map { span in
      VisualSpan(
        image: span.image, columns: span.visual.compactMap { columns[$0] },
        register: span.register.flatMap { columns[$0] },
        firstRow: questionRows.firstIndex { $0 >= span.imageEnd } ?? questionRows.count)
    }
  }
}

/// Removes rows everywhere they live: hidden states, positions and KV cache entries move together, order kept.
struct TokenCompactor {
  /// Rows that stay, ascending.
  let kept: [Int]

  /// Text rows and registers always stay; of each span the tokens its list keeps.
  init(_ rows: PrefillRows, keep: [KeepList<StageOneTokens>]) {
    var dropped = Set<Int>()
    for (span, list) in zip(rows.spans, keep) {
      dropped.formUnion(span.visual)
      dropped.subtract(list.kept.map { span.visual[$0] })
    }
    kept = (0..<rows.count).filter { !dropped.contains($0) }
  }

  /// Moves kept rows to the front. - Returns: the view of them.
  func compact(_ hidden: MatrixView<Float>) -> MatrixView<Float> {
    for (target, source) in kept.enumerated() where target != source {
      hidden.row(target).update(from: hidden.row(source), count: hidden.columns)
    }
    return hidden.slice(rows: 0..<kept.count)
  }

  /// What stands beside rows: positions, tokens.
  func compact<Element>(_ values: [Element]) -> [Element] { kept.map { values[$0] } }

  /// Runs of rows as they lie among the survivors; what is left of none is gone.
  func compact(runs: [Range<Int>]) -> [Range<Int>] {
    runs.compactMap { run in
      let first = kept.partitioningIndex { $0 >= run.lowerBound }
      let end = kept.partitioningIndex { $0 >= run.upperBound }
      return first < end ? first..<end : nil
    }
  }
}

extension Array {
  /// The first index whose element satisfies `belongsBehind`, in an array where all those stand at the end.
  fileprivate func partitioningIndex(_ belongsBehind: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if belongsBehind(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
