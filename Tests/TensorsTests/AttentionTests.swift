import Glibc
import OccamCore
import OccamTensors
import Testing

/// One shape of attention: odd sizes, block and tile edges, groups of query heads, offsets.
struct AttentionCase: Sendable, CustomTestStringConvertible {
  let rows: Int
  let heads: Int
  let kvHeads: Int
  let dimension: Int
  /// Cells before the first query row.
  var firstCell = 0

  var testDescription: String { "\(rows) rows, \(heads)/\(kvHeads) heads of \(dimension) from cell \(firstCell)" }
}

@Suite struct AttentionTests {
  /// Rounding of a score is about 1e-7 times the norms of query and key, and enters the result through exp; values are
  /// compared with what the cells hold, so that no format needs more.
  static let tolerance = 3e-6

  static let causalShapes = [
    AttentionCase(rows: 1, heads: 1, kvHeads: 1, dimension: 8),
    AttentionCase(rows: 1, heads: 8, kvHeads: 1, dimension: 64, firstCell: 63),
    AttentionCase(rows: 1, heads: 4, kvHeads: 4, dimension: 64, firstCell: 700),
    AttentionCase(rows: 1, heads: 12, kvHeads: 2, dimension: 128, firstCell: 1100),
    AttentionCase(rows: 3, heads: 6, kvHeads: 2, dimension: 72, firstCell: 1030),
    AttentionCase(rows: 65, heads: 3, kvHeads: 3, dimension: 20, firstCell: 30),
    AttentionCase(rows: 130, heads: 8, kvHeads: 2, dimension: 64),
    AttentionCase(rows: 97, heads: 2, kvHeads: 1, dimension: 96, firstCell: 5),
    AttentionCase(rows: 9, heads: 7, kvHeads: 1, dimension: 256, firstCell: 61),
    AttentionCase(rows: 2, heads: 71, kvHeads: 1, dimension: 64, firstCell: 70),
    // Wider than 256: rows of queries and outputs lie further apart.
    AttentionCase(rows: 1, heads: 8, kvHeads: 1, dimension: 512, firstCell: 1200),
    AttentionCase(rows: 70, heads: 8, kvHeads: 2, dimension: 512, firstCell: 3),
    AttentionCase(rows: 7, heads: 2, kvHeads: 2, dimension: 258, firstCell: 90),
  ]

  @Test(arguments: VectorSets.names, causalShapes) func causal(set: String, shape: AttentionCase) throws {
    for formats in KVCacheFormats.tested {
      let count = shape.firstCell + shape.rows
      let q = Matrix(rows: shape.rows, columns: shape.heads * shape.dimension, gap: 3, seed: 21)
      let k = Matrix(rows: count, columns: shape.kvHeads * shape.dimension, seed: 22)
      let v = Matrix(rows: count, columns: shape.kvHeads * shape.dimension, gap: 8, seed: 23)
      let scale = 2 / Float(shape.dimension).squareRoot()
      let wanted = Array(Set([0, shape.rows / 2, shape.rows - 1])).sorted()
      let reference = AttentionReference(
        heads: shape.heads, kvHeads: shape.kvHeads, dimension: shape.dimension, scale: scale,
        firstCell: shape.firstCell, keys: stored(k.doubles, formats.keys, dimension: shape.dimension),
        values: stored(v.doubles, formats.values, dimension: shape.dimension)
      ).run(q.doubles)

      var first: [UInt32]?
      for threads in 1...3 {
        let ops = try TensorOps(set, threads: threads)
        let cells = LayerKVCache(kvHeads: shape.kvHeads, headDimension: shape.dimension, formats: formats)
        // Chunks that end inside a block.
        for start in stride(from: 0, to: count, by: 37) {
          let part = start..<min(start + 37, count)
          cells.append(keys: k.view.slice(rows: part), values: v.view.slice(rows: part), ops: ops)
        }
        let out = Matrix(rows: shape.rows, columns: shape.heads * shape.dimension)
        let scores = Matrix(rows: wanted.count, columns: count + 2, seed: 24)
        ops.attend(
          q.view, cache: cells, visibility: .causal(first: shape.firstCell), heads: shape.heads, scale: scale,
          into: out.view,
          scratch: AttentionScratch(), scores: ScoreRequest(rows: wanted, output: scores.view))
        if threads == 1 {
          #expect(relativeError(out.values, reference.outputs) < AttentionTests.tolerance, "\(formats)")
          let means: [Double] = wanted.flatMap { row -> [Double] in reference.means[row] + [0, 0] }
          #expect(relativeError(scores.values, means) < AttentionTests.tolerance, "\(formats)")
        }
        let result = bits(out) + bits(scores)
        #expect(result == first ?? result, "\(threads) threads change the result")
        first = first ?? result
      }
    }
  }

  static let bidirectionalShapes = [
    AttentionCase(rows: 1, heads: 2, kvHeads: 2, dimension: 16),
    AttentionCase(rows: 50, heads: 4, kvHeads: 4, dimension: 64),
    AttentionCase(rows: 197, heads: 3, kvHeads: 3, dimension: 72),
    AttentionCase(rows: 577, heads: 2, kvHeads: 2, dimension: 64),
  ]

  @Test(arguments: VectorSets.names, bidirectionalShapes) func bidirectional(set: String, shape: AttentionCase) throws {
    let columns = shape.heads * shape.dimension
    let q = Matrix(rows: shape.rows, columns: columns, seed: 31)
    let k = Matrix(rows: shape.rows, columns: columns, gap: 4, seed: 32)
    let v = Matrix(rows: shape.rows, columns: columns, seed: 33)
    let scale = 1 / Float(shape.dimension).squareRoot()
    let reference = AttentionReference(
      heads: shape.heads, kvHeads: shape.heads, dimension: shape.dimension, scale: scale, firstCell: nil,
      keys: k.doubles, values: v.doubles
    ).run(q.doubles)
    let wanted = Array(0..<shape.rows)
    var first: [UInt32]?
    for threads in 1...3 {
      let ops = try TensorOps(set, threads: threads)
      let scratch = AttentionScratch()
      let scores = Matrix(rows: shape.rows, columns: shape.rows)
      let out = Matrix(rows: shape.rows, columns: columns)
      // Twice with the same scratch memory, first with more rows: nothing of an earlier call may show.
      let more = Matrix(rows: shape.rows + 70, columns: columns, seed: 34, deviation: 100)
      ops.attend(
        more.view, more.view, more.view, heads: shape.heads, scale: 1, into: more.view, scratch: scratch, scores: nil)
      ops.attend(
        q.view, k.view, v.view, heads: shape.heads, scale: scale, into: out.view, scratch: scratch,
        scores: ScoreRequest(rows: wanted, output: scores.view))
      if threads == 1 {
        #expect(relativeError(out.values, reference.outputs) < AttentionTests.tolerance)
        #expect(relativeError(scores.values, reference.means.flatMap { $0 }) < AttentionTests.tolerance)
        for row in 0..<shape.rows {
          let total = (0..<shape.rows).reduce(0.0) { $0 + Double(scores.view.row(row)[$1]) }
          #expect(abs(total - 1) < 1e-5)
        }
      }
      let result = bits(out) + bits(scores)
      #expect(result == first ?? result, "\(threads) threads change the result")
      first = first ?? result
    }
  }

  /// Logits of 1e10: the row's largest wins with probability 1, and nothing becomes NaN.
  @Test(arguments: VectorSets.names) func hugeLogits(set: String) throws {
    let ops = try TensorOps(set)
    let (rows, heads, dimension) = (70, 2, 32)
    let q = Matrix(rows: rows, columns: heads * dimension, seed: 41, deviation: 1e5)
    let k = Matrix(rows: rows, columns: heads * dimension, seed: 42, deviation: 1e4)
    let v = Matrix(rows: rows, columns: heads * dimension, seed: 43)
    let reference = AttentionReference(
      heads: heads, kvHeads: heads, dimension: dimension, scale: 1, firstCell: 0, keys: k.doubles, values: v.doubles
    ).run(q.doubles)
    let cells = LayerKVCache(kvHeads: heads, headDimension: dimension, formats: KVCacheFormats(.f32))
    cells.append(keys: k.view, values: v.view, ops: ops)
    let out = Matrix(rows: rows, columns: heads * dimension)
    ops.attend(
      q.view, cache: cells, visibility: .causal(first: 0), heads: heads, scale: 1, into: out.view,
      scratch: AttentionScratch(),
      scores: nil)
    #expect(relativeError(out.values, reference.outputs) < 1e-6)
  }

  /// The output may be the queries' own memory, also where rows are split by ranges of cells.
  @Test(arguments: VectorSets.names, [1, 200]) func inPlace(set: String, rows: Int) throws {
    let ops = try TensorOps(set)
    let cells = LayerKVCache(kvHeads: 2, headDimension: 40, formats: KVCacheFormats(.f16))
    let k = Matrix(rows: 1100, columns: 80, seed: 51)
    cells.append(keys: k.view, values: k.view, ops: ops)
    let q = Matrix(rows: rows, columns: 160, seed: 52)
    let out = Matrix(rows: rows, columns: 160)
    let scratch = AttentionScratch()
    let separate = Matrix(rows: 1, columns: 1100)
    let shared = Matrix(rows: 1, columns: 1100)
    ops.attend(
      q.view, cache: cells, visibility: .causal(first: 1100 - rows), heads: 4, scale: 0.2, into: out.view,
      scratch: scratch,
      scores: ScoreRequest(rows: [0], output: separate.view))
    ops.attend(
      q.view, cache: cells, visibility: .causal(first: 1100 - rows), heads: 4, scale: 0.2, into: q.view,
      scratch: scratch,
      scores: ScoreRequest(rows: [0], output: shared.view))
    #expect(bits(q) == bits(out))
    #expect(bits(separate) == bits(shared))
  }
}
