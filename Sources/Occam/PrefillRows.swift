import OccamCore
import OccamPruning

/// The rows a prefill processes: one a text token, one a visual token that survived stage I, one a register.
struct PrefillRows {
  /// An image's rows.
  struct Span {
    let image: Int
    /// Rows of the visual tokens.
    let visual: Range<Int>
    /// Follows the visual tokens.
    let register: Int?
    /// Behind the last row.
    var end: Int { (register ?? (visual.upperBound - 1)) + 1 }
  }

  private(set) var tokens: [(row: Int, id: Int32)] = []
  private(set) var positions: [Int32] = []
  private(set) var spans: [Span] = []
  /// Rows of the question's text behind an image: those whose attention stage II reads.
  private(set) var questionRows: [Int] = []
  /// Position behind the last item: where decoding goes on.
  private(set) var nextPosition: Int32

  var count: Int { positions.count }

  /// - Parameters:
  ///   - items: of the prompt from item `first` on.
  ///   - position: of the first item.
  ///   - images: the session's images, with stage I done.
  init(_ items: ArraySlice<PromptItem>, questionStart: Int, position: Int32, images: [SessionImage]) {
    nextPosition = position
    for (index, item) in zip(items.indices, items) {
      switch item {
      case .token(let id):
        if !spans.isEmpty, index >= questionStart { questionRows.append(count) }
        tokens.append((count, id))
        positions.append(nextPosition)
        nextPosition += 1
      case .image(let image): append(image, images[image])
      }
    }
  }

  /// Kept patches take the positions they would have unpruned; the register takes its image's last one, so that the text
  /// behind it stands where it would stand without pruning.
  private mutating func append(_ index: Int, _ image: SessionImage) {
    let start = count
    positions += image.stageOne.kept.map { nextPosition + Int32($0) }
    let visual = start..<count
    nextPosition += Int32(image.stageOne.total)
    var register: Int?
    if image.hasRegister {
      register = count
      positions.append(nextPosition - 1)
    }
    spans.append(Span(image: index, visual: visual, register: register))
  }

  /// The keys stage II looks at, a range for each image: its visual tokens and its register.
  /// - Parameter firstCell: cells stored before these rows.
  func visualKeys(firstCell: Int) -> [Range<Int>] {
    spans.map { firstCell + $0.visual.lowerBound..<firstCell + $0.end }
  }

  /// Spans as stage II sees them: columns of score rows that hold `visualKeys` one behind the other.
  func visualSpans() -> [VisualSpan] {
    var column = 0
    return spans.map { span in
      defer { column += span.end - span.visual.lowerBound }
      return VisualSpan(
        image: span.image, columns: column..<column + span.visual.count,
        register: span.register.map { column + $0 - span.visual.lowerBound },
        firstRow: questionRows.firstIndex { $0 >= span.end } ?? questionRows.count)
    }
  }
}

/// Removes rows everywhere they live: hidden states, positions and KV cells move together, order kept.
struct TokenCompactor {
  /// Rows that stay, ascending.
  let kept: [Int]

  /// Text rows and registers always stay; of each span the tokens its list keeps.
  init(_ rows: PrefillRows, keep: [KeepList]) {
    var dropped = Set<Int>()
    for (span, list) in zip(rows.spans, keep) {
      dropped.formUnion(span.visual)
      dropped.subtract(list.kept.map { span.visual.lowerBound + $0 })
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

  func compact(_ positions: [Int32]) -> [Int32] { kept.map { positions[$0] } }

  /// Cells that stay in a layer which held `firstCell` cells before these rows.
  func cells(firstCell: Int) -> [Int] { Array(0..<firstCell) + kept.map { firstCell + $0 } }
}
