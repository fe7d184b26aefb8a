import OccamCore
import OccamTensors
import Testing

@Suite struct LayerKVCacheTests {
  static let kvHeads = 2
  static let dimension = 40

  /// What attention reads from cells, bit for bit.
  static func reading(_ cells: LayerKVCache, _ ops: TensorOps) -> [UInt32] {
    let q = Matrix(rows: 2, columns: 4 * dimension, seed: 60)
    let out = Matrix(rows: 2, columns: 4 * dimension)
    let scores = Matrix(rows: 2, columns: cells.count)
    ops.attend(
      q.view, cache: cells, visibility: .causal(first: cells.count - 2), heads: 4, scale: 0.3, into: out.view,
      scratch: AttentionScratch(), scores: ScoreRequest(rows: [0, 1], output: scores.view))
    return bits(out) + bits(scores)
  }

  static func append(_ cells: LayerKVCache, _ source: (k: Matrix, v: Matrix), _ rows: Range<Int>, _ ops: TensorOps) {
    cells.append(keys: source.k.view.slice(rows: rows), values: source.v.view.slice(rows: rows), ops: ops)
  }

  /// After any mix of changes the cells read as if just the survivors had been appended.
  @Test(arguments: VectorSets.names, KVCacheFormats.tested)
  func mixedChangesLeaveTheSurvivors(set: String, formats: KVCacheFormats) throws {
    typealias Tests = LayerKVCacheTests
    let ops = try TensorOps(set)
    let source = (
      k: Matrix(rows: 600, columns: Tests.kvHeads * Tests.dimension, seed: 61),
      v: Matrix(rows: 600, columns: Tests.kvHeads * Tests.dimension, seed: 62)
    )
    let cells = LayerKVCache(kvHeads: Tests.kvHeads, headDimension: Tests.dimension, formats: formats)
    var model: [Int] = []

    func check(_ step: String) {
      let fresh = LayerKVCache(kvHeads: Tests.kvHeads, headDimension: Tests.dimension, formats: formats)
      for row in model { Tests.append(fresh, source, row..<row + 1, ops) }
      #expect(cells.count == model.count, "\(step)")
      #expect(cells.byteCount == fresh.byteCount, "\(step)")
      #expect(Tests.reading(cells, ops) == Tests.reading(fresh, ops), "\(step)")
    }

    Tests.append(cells, source, 0..<300, ops)
    model += 0..<300
    check("append")
    let kept = (0..<300).filter { $0 < 10 || $0 % 3 == 1 || $0 > 290 }
    cells.keep(kept)
    model = kept.map { model[$0] }
    check("keep")
    Tests.append(cells, source, 300..<415, ops)
    model += 300..<415
    check("append after keep")
    cells.truncate(to: 129)
    model.removeLast(model.count - 129)
    check("truncate")
    Tests.append(cells, source, 415..<416, ops)
    Tests.append(cells, source, 416..<600, ops)
    model += 415..<600
    check("append after truncate")
    cells.keep([5, 64, 313])
    model = [5, 64, 313].map { model[$0] }
    check("keep three")
    cells.keep(Array(0..<3))
    check("keep all")

    let copy = cells.copy()
    Tests.append(cells, source, 0..<100, ops)
    #expect(copy.count == 3)
    #expect(Tests.reading(copy, ops) != Tests.reading(cells, ops))
    copy.keep([])
    #expect(copy.count == 0 && copy.byteCount == 0)
    cells.removeAll()
    #expect(cells.count == 0 && cells.byteCount == 0)
  }

  /// 64 entries at a time, and what the formats promise: 4, 2, 34 / 32 and 18 / 32 bytes a number.
  @Test(arguments: KVCacheFormats.tested) func memoryFollowsTheFormat(formats: KVCacheFormats) {
    let bytes: [KVCacheFormat: Int] = [.f32: 4 * 32, .f16: 2 * 32, .q8_0: 34, .q4_0: 18]
    let bytesPer32 = ((bytes[formats.keys] ?? 0) + (bytes[formats.values] ?? 0)) / 2
    let cells = LayerKVCache(kvHeads: 4, headDimension: 64, formats: formats)
    #expect(cells.byteCount == 0)
    cells.reserve(65)
    #expect(cells.count == 0)
    #expect(cells.byteCount == 128 * 2 * 4 * 2 * bytesPer32)
    cells.reserve(1)
    #expect(cells.byteCount == 128 * 2 * 4 * 2 * bytesPer32)
  }
}
