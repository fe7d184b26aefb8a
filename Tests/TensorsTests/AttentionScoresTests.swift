import OccamCore
import OccamTensors
import Testing

/// Score requests that ask for less than whole rows say the same as whole rows.
@Suite struct AttentionScoresTests {
  private let heads = 4
  private let dimension = 24
  private let rows = 150
  private let firstCell = 70

  private func cells(_ ops: TensorOps) -> LayerKVCache {
    let cells = LayerKVCache(kvHeads: 2, headDimension: dimension, formats: KVCacheFormats(.f32))
    let k = Matrix(rows: firstCell + rows, columns: 2 * dimension, seed: 2)
    let v = Matrix(rows: firstCell + rows, columns: 2 * dimension, seed: 3)
    cells.append(keys: k.view, values: v.view, ops: ops)
    return cells
  }

  private func run(_ ops: TensorOps, _ scratch: AttentionScratch, _ request: ScoreRequest) {
    let q = Matrix(rows: rows, columns: heads * dimension, seed: 1)
    let out = Matrix(rows: rows, columns: heads * dimension)
    ops.attend(
      q.view, cache: cells(ops), visibility: .causal(first: firstCell), heads: heads, scale: 0.3, into: out.view,
      scratch: scratch,
      scores: request)
  }

  /// Ranges before, across and behind what a row sees.
  @Test(arguments: VectorSets.names) func someKeysOnly(set: String) throws {
    let wanted = [0, 1, 63, 64, 149]
    let keys = [3..<9, 60..<135, 140..<140, 200..<220]
    let whole = Matrix(rows: wanted.count, columns: firstCell + rows, seed: 9)
    let part = Matrix(rows: wanted.count, columns: keys.reduce(2) { $0 + $1.count }, seed: 9)
    for threads in 1...2 {
      let ops = try TensorOps(set, threads: threads)
      run(ops, AttentionScratch(), ScoreRequest(rows: wanted, output: whole.view))
      run(ops, AttentionScratch(), ScoreRequest(rows: wanted, keys: keys, output: part.view))
      for row in wanted.indices {
        let expected: [Float] = keys.flatMap { range -> [Float] in range.map { whole.view.row(row)[$0] } } + [0, 0]
        #expect(Array(UnsafeBufferPointer(start: part.view.row(row), count: part.view.columns)) == expected)
      }
    }
  }

  @Test(arguments: VectorSets.names) func meanOfRows(set: String) throws {
    for wanted in [[5], Array(0..<rows), Array(stride(from: 1, to: rows, by: 3))] {
      let keys = [10..<40, 90..<200]
      let columns = keys.reduce(0) { $0 + $1.count }
      let each = Matrix(rows: wanted.count, columns: columns)
      var first: [UInt32]?
      for threads in 1...3 {
        let ops = try TensorOps(set, threads: threads)
        run(ops, AttentionScratch(), ScoreRequest(rows: wanted, keys: keys, output: each.view))
        let mean = Matrix(rows: 1, columns: columns + 1, seed: 4)
        run(ops, AttentionScratch(), ScoreRequest(rows: wanted, keys: keys, reduction: .mean, output: mean.view))
        for column in 0..<columns {
          let sum = wanted.indices.reduce(0.0) { $0 + Double(each.view.row($1)[column]) }
          #expect(abs(Double(mean.view.row(0)[column]) - sum / Double(wanted.count)) < 1e-7)
        }
        #expect(mean.view.row(0)[columns] == 0)
        #expect(bits(mean) == first ?? bits(mean), "\(threads) threads change the result")
        first = first ?? bits(mean)
      }
    }
  }

  /// A mean over many rows takes no more memory than one over few.
  @Test func meansHoldNoMatrix() throws {
    let ops = try TensorOps("portable")
    let sizes = [20, 150].map { count in
      let scratch = AttentionScratch()
      let mean = Matrix(rows: 1, columns: firstCell + rows)
      run(ops, scratch, ScoreRequest(rows: Array(0..<count), reduction: .mean, output: mean.view))
      return scratch.byteCount
    }
    #expect(sizes[0] == sizes[1])
  }
}
