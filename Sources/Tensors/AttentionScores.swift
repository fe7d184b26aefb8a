import OccamCore
import OccamKernelContract

extension Attention {
  /// Query rows (positions times group) whose probabilities one worker holds at a time.
  static let scoreTileRows = 24

  /// Fills a request: scores of the wanted rows only, a softmax over each whole row, and the mean over heads, added
  /// head by head in order. Half the work of attending these rows, and nothing for the others.
  func scoreRows(_ request: ScoreRequest) {
    let keys = cells.count
    let wanted = request.rows
    precondition(request.output.rows == wanted.count, "attention: one score row for each wanted row")
    precondition(request.output.columns >= keys, "attention: score rows shorter than the keys")
    precondition(wanted.allSatisfy { $0 >= 0 && $0 < q.rows }, "attention: no such row")
    guard !wanted.isEmpty else { return }
    let positions = max(1, Attention.scoreTileRows / group)
    let stride = CellLayout.blocks(keys) * CellLayout.cells
    let size = AttentionTileSize(
      rows: positions * group, dimension: dimension, paddedDimension: layout.paddedDimension,
      probabilities: positions * group * stride)
    let memory = scratch.tiles(size, workers: ops.team.threads)
    ops.team.parallel((wanted.count + positions - 1) / positions) { range, worker in
      for tile in range {
        let rows = tile * positions..<min((tile + 1) * positions, wanted.count)
        for row in rows { request.output.row(row).update(repeating: 0, count: request.output.columns) }
        for head in 0..<cells.kvHeads {
          scoreTile(wanted[rows], firstRow: rows.lowerBound, head: head, stride, request.output, memory[worker])
        }
      }
    }
  }

  private func scoreTile(
    _ wanted: ArraySlice<Int>, firstRow: Int, head: Int, _ stride: Int, _ output: MatrixView<Float>,
    _ memory: AttentionTileMemory
  ) {
    let vector = ops.vector
    let count = wanted.count * group
    for (place, row) in wanted.enumerated() {
      for member in 0..<group {
        vector.scale(
          q.row(row) + (head * group + member) * dimension, scale,
          memory.queries + (place * group + member) * AttentionTile.rowStride, dimension)
      }
    }
    let most = wanted.reduce(0) { max($0, visible($1)) }
    for block in 0..<CellLayout.blocks(most) {
      multiplyKeys(head, block, rows: count, memory)
      for row in 0..<count {
        (memory.probabilities + row * stride + block * CellLayout.cells).update(
          from: memory.scores + row * AttentionTile.scoreStride, count: CellLayout.cells)
      }
    }
    for (place, row) in wanted.enumerated() {
      let seen = visible(row)
      for member in 0..<group {
        let probabilities = memory.probabilities + (place * group + member) * stride
        vector.softmax(probabilities, seen)
        vector.addScaled(probabilities, 1 / Float(heads), output.row(firstRow + place), seen)
      }
    }
  }
}
