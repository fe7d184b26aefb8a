import OccamTensors

/// How the rows of a prompt are numbered for rotary embeddings. Text always advances one by one.
package enum PositionScheme: Sendable, Equatable {
  /// An image's tokens one by one, like text.
  case sequence
  /// An image at position p stands at one time: its token in row r and column c has the position (p, p + r, p + c), and
  /// what follows stands behind the largest of them (M-RoPE: Qwen2-VL, arXiv 2409.12191, section 2.1).
  case grid

  /// Position of a tile's token. Tokens of a run are numbered from `first`, where the run begins.
  /// - Parameters:
  ///   - token: of the tile, row by row; range: the run that holds it.
  ///   - columns: of the tile's grid.
  package func position(of token: Int, in range: Range<Int>, columns: Int, first: Int32) -> Position {
    switch self {
    case .sequence: return Position(first + Int32(token - range.lowerBound))
    case .grid:
      let top = range.lowerBound / max(columns, 1)
      return Position(
        t: first, y: first + Int32(token / max(columns, 1) - top), x: first + Int32(token % max(columns, 1)))
    }
  }

  /// Positions that a run of a tile's tokens takes.
  package func extent(of range: Range<Int>, columns: Int) -> Int {
    switch self {
    case .sequence: return range.count
    case .grid:
      guard !range.isEmpty, columns > 0 else { return 0 }
      let rows = (range.upperBound - 1) / columns - range.lowerBound / columns + 1
      return max(rows, min(columns, range.count))
    }
  }
}
