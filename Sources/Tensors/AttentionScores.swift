import OccamCore
import OccamKernelContract

/// Asks attention for the mean over heads of the softmax probabilities of some rows.
package struct ScoreRequest {
  package enum Reduction: Sendable {
    /// A row of the output for each row wanted.
    case none
    /// One row, the mean of those wanted. They are never held together.
    case mean
  }

  /// Rows of the query matrix.
  package let rows: [Int]
  /// The keys wanted, ascending, one range behind the other in the output's columns; nil: all. A question of many rows
  /// asks for its visual tokens alone.
  package let keys: [Range<Int>]?
  package let reduction: Reduction
  /// (rows.count or 1) x keys wanted, zero where a row may not look; may have more columns (zeros).
  package let output: MatrixView<Float>

  package init(
    rows: [Int], keys: [Range<Int>]? = nil, reduction: Reduction = .none, output: MatrixView<Float>
  ) {
    self.rows = rows
    self.keys = keys
    self.reduction = reduction
    self.output = output
  }
}

extension Attention {
  /// Query rows (positions times group) whose probabilities one worker holds at a time.
  static let scoreTileRows = 24
  /// Runs of rows that are summed up each for itself where the mean is wanted: a constant, so that sums do not depend on
  /// the number of threads.
  static let meanRuns = 16

  /// Fills a request: scores of the wanted rows only, a softmax over each whole row, and the mean over heads, added
  /// head by head in order. Half the work of attending these rows, and nothing for the others.
  func scoreRows(_ request: ScoreRequest) {
    let wanted = request.rows
    let keys = request.keys ?? [0..<cells.count]
    let columns = keys.reduce(0) { $0 + $1.count }
    let isMean = request.reduction == .mean
    precondition(keys.allSatisfy { $0.lowerBound >= 0 && $0.upperBound <= cells.count }, "attention: no such key")
    precondition(
      request.output.rows == (isMean ? 1 : wanted.count), "attention: one score row for each wanted row, or their mean")
    precondition(request.output.columns >= columns, "attention: score rows shorter than the keys")
    precondition(wanted.allSatisfy { $0 >= 0 && $0 < q.rows }, "attention: no such row")
    guard !wanted.isEmpty else { return }
    let positions = max(1, Attention.scoreTileRows / group)
    let stride = KVBlockLayout.blocks(cells.count) * KVBlockLayout.entries
    let size = AttentionTileSize(
      rows: positions * group, dimension: dimension, paddedDimension: layout.paddedDimension,
      probabilities: positions * group * stride)
    let memory = scratch.tiles(size, workers: ops.team.threads)
    if isMean { return meanScores(request, keys, columns, positions, stride, memory) }
    let scale = 1 / Float(heads)
    ops.team.parallel((wanted.count + positions - 1) / positions) { range, worker in
      for tile in range {
        let rows = tile * positions..<min((tile + 1) * positions, wanted.count)
        for row in rows { request.output.row(row).update(repeating: 0, count: request.output.columns) }
        scoreTile(wanted[rows], keys, stride, memory[worker]) { place, probabilities, count, column in
          ops.vector.addScaled(probabilities, scale, request.output.row(rows.lowerBound + place) + column, count)
        }
      }
    }
  }

  /// The mean of the wanted rows: runs of rows in parallel, each into a row of its own, then these in order.
  private func meanScores(
    _ request: ScoreRequest, _ keys: [Range<Int>], _ columns: Int, _ positions: Int, _ stride: Int,
    _ memory: AttentionTiles
  ) {
    let wanted = request.rows
    let runs = min(Attention.meanRuns, wanted.count)
    let sums = MatrixView(scratch.partials(runs * columns), rows: runs, columns: columns)
    let scale = 1 / Float(heads * wanted.count)
    ops.team.parallel(runs) { range, worker in
      for run in range {
        let rows = wanted.count * run / runs..<wanted.count * (run + 1) / runs
        let sum = sums.row(run)
        sum.update(repeating: 0, count: columns)
        for first in Swift.stride(from: rows.lowerBound, to: rows.upperBound, by: positions) {
          let tile = wanted[first..<min(first + positions, rows.upperBound)]
          scoreTile(tile, keys, stride, memory[worker]) { _, probabilities, count, column in
            ops.vector.addScaled(probabilities, scale, sum + column, count)
          }
        }
      }
    }
    let output = request.output.row(0)
    output.update(repeating: 0, count: request.output.columns)
    for run in 0..<runs { ops.vector.add(sums.row(run), output, columns) }
  }

  /// Probabilities of a few rows, head by head: hands `add` the row's place among them, its probabilities of a run of
  /// keys as far as it sees them, their number, and the column of the first.
  private func scoreTile(
    _ wanted: ArraySlice<Int>, _ keys: [Range<Int>], _ stride: Int, _ memory: AttentionTileMemory,
    _ add: (_ place: Int, _ probabilities: UnsafePointer<Float>, _ count: Int, _ column: Int) -> Void
  ) {
    let most = wanted.reduce(0) { max($0, visible($1).upperBound) }
    for head in 0..<cells.kvHeads {
      multiply(wanted, head: head, most: most, stride, memory)
      for (place, row) in wanted.enumerated() {
        let seen = visible(row)
        for member in 0..<group {
          let probabilities = memory.probabilities + (place * group + member) * stride
          ops.vector.softmax(probabilities + seen.lowerBound, seen.count)
          var column = 0
          for range in keys {
            let shown = range.clamped(to: seen)
            if !shown.isEmpty {
              add(place, probabilities + shown.lowerBound, shown.count, column + shown.lowerBound - range.lowerBound)
            }
            column += range.count
          }
        }
      }
    }
  }

  /// Leaves the products of these rows with the first `most` keys of a head in `memory.probabilities`.
  private func multiply(
    _ wanted: ArraySlice<Int>, head: Int, most: Int, _ stride: Int, _ memory: AttentionTileMemory
  ) {
    let count = wanted.count * group
    for (place, row) in wanted.enumerated() {
      for member in 0..<group {
        ops.vector.scale(
          q.row(row) + (head * group + member) * dimension, scale,
          memory.queries + (place * group + member) * rowStride, dimension)
      }
    }
    for block in 0..<KVBlockLayout.blocks(most) {
      multiplyKeys(head, block, rows: count, cells: KVBlockLayout.entries, memory)
      for row in 0..<count {
        (memory.probabilities + row * stride + block * KVBlockLayout.entries).update(
          from: memory.scores + row * AttentionTile.scoreStride, count: KVBlockLayout.entries)
      }
    }
  }
}
