import OccamCore
import OccamTensors
import Testing

/// Attention whose rows see runs of entries: sliding windows, images inside a causal prompt, windows of an encoder.
@Suite struct VisibilityTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let count: Int
    let ranges: [Range<Int>]
    var heads = 4
    var kvHeads = 2
    var dimension = 40
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "a window of 5", count: 200, ranges: (0..<150).map { max(0, 46 + $0)..<51 + $0 }),
    Case(name: "a window of 100 that begins inside a block", count: 400, ranges: (0..<70).map { 231 + $0..<331 + $0 }),
    Case(
      name: "an image inside a causal prompt", count: 130,
      ranges: (0..<130).map { (40..<99).contains($0) ? 0..<99 : 0..<$0 + 1 }),
    Case(
      name: "an image wider than the window", count: 130,
      ranges: (0..<130).map { (40..<99).contains($0) ? min(40, max(0, $0 - 9))..<99 : max(0, $0 - 9)..<$0 + 1 }),
    Case(name: "windows of an encoder", count: 180, ranges: (0..<180).map { $0 / 36 * 36..<($0 / 36 + 1) * 36 }),
    Case(name: "one row, far back", count: 1500, ranges: [321..<1447]),
    Case(name: "one row, its own entry alone", count: 1500, ranges: [1499..<1500]),
    Case(name: "few rows over ranges that others do not see", count: 1300, ranges: [0..<3, 700..<1300, 1290..<1300]),
    Case(
      name: "many heads", count: 140, ranges: (0..<9).map { 60 + $0..<128 + $0 }, heads: 12, kvHeads: 1, dimension: 128),
  ]

  @Test(arguments: VectorSets.names, cases) func ranges(set: String, item: Case) throws {
    for formats in KVCacheFormats.tested {
      let q = Matrix(rows: item.ranges.count, columns: item.heads * item.dimension, seed: 71)
      let k = Matrix(rows: item.count, columns: item.kvHeads * item.dimension, seed: 72)
      let v = Matrix(rows: item.count, columns: item.kvHeads * item.dimension, seed: 73)
      let reference = AttentionReference(
        heads: item.heads, kvHeads: item.kvHeads, dimension: item.dimension, scale: 0.3, ranges: item.ranges,
        keys: stored(k.doubles, formats.keys, dimension: item.dimension),
        values: stored(v.doubles, formats.values, dimension: item.dimension)
      ).run(q.doubles)
      let ranges = item.ranges.map { VisibleRange(from: Int32($0.lowerBound), to: Int32($0.upperBound)) }
      let wanted = Array(Set([0, item.ranges.count / 2, item.ranges.count - 1])).sorted()
      var first: [UInt32]?
      for threads in 1...2 {
        let ops = try TensorOps(set, threads: threads)
        let cache = LayerKVCache(kvHeads: item.kvHeads, headDimension: item.dimension, formats: formats)
        cache.append(keys: k.view, values: v.view, ops: ops)
        let out = Matrix(rows: q.view.rows, columns: q.view.columns)
        let scores = Matrix(rows: wanted.count, columns: item.count, seed: 74)
        ranges.withUnsafeBufferPointer { ranges in
          guard let base = ranges.baseAddress else { return }
          ops.attend(
            q.view, cache: cache, visibility: .ranges(base), heads: item.heads, scale: 0.3, into: out.view,
            scratch: AttentionScratch(), scores: ScoreRequest(rows: wanted, output: scores.view))
        }
        #expect(relativeError(out.values, reference.outputs) < AttentionTests.tolerance, "\(formats)")
        #expect(
          relativeError(scores.values, wanted.flatMap { reference.means[$0] }) < AttentionTests.tolerance, "\(formats)")
        let result = bits(out) + bits(scores)
        #expect(result == first ?? result, "threads change the result")
        first = first ?? result
      }
    }
  }

  /// What a range says is what `causal` says, bit for bit.
  @Test(arguments: VectorSets.names) func causalAsRanges(set: String) throws {
    let ops = try TensorOps(set)
    let (q, k, v) = (
      Matrix(rows: 90, columns: 4 * 48, seed: 75), Matrix(rows: 130, columns: 2 * 48, seed: 76),
      Matrix(rows: 130, columns: 2 * 48, seed: 77)
    )
    let cache = LayerKVCache(kvHeads: 2, headDimension: 48, formats: KVCacheFormats(.f16))
    cache.append(keys: k.view, values: v.view, ops: ops)
    func run(_ visibility: Visibility) -> [UInt32] {
      let out = Matrix(rows: 90, columns: 4 * 48)
      ops.attend(
        q.view, cache: cache, visibility: visibility, heads: 4, scale: 0.2, into: out.view,
        scratch: AttentionScratch(), scores: nil)
      return bits(out)
    }
    let ranges = (0..<90).map { VisibleRange(from: 0, to: Int32(41 + $0)) }
    ranges.withUnsafeBufferPointer { ranges in
      guard let base = ranges.baseAddress else { return }
      #expect(run(.causal(first: 40)) == run(.ranges(base)))
    }
  }

  /// A window frees whole blocks in front, tells what is gone, and reads as if it had never held it.
  @Test func aSlidingWindowFreesItsPast() throws {
    let ops = try TensorOps(VectorSets.names[0])
    let shape = KVCacheShape(kvHeads: 1, headDimension: 8, window: 100)
    let cache = LayerKVCache(shape, formats: KVCacheFormats(.f32))
    let (k, v) = (Matrix(rows: 500, columns: 8, seed: 78), Matrix(rows: 500, columns: 8, seed: 79))
    // Two entries a position, as a register has its image's last one.
    let positions = (0..<500).map { Position(Int32($0 / 2)) }
    func append(_ cache: LayerKVCache, _ rows: Range<Int>) {
      positions.withUnsafeBufferPointer { positions in
        guard let base = positions.baseAddress else { return }
        cache.append(
          keys: k.view.slice(rows: rows), values: v.view.slice(rows: rows), positions: base + rows.lowerBound, ops: ops)
      }
    }
    append(cache, 0..<500)
    #expect(cache.count == 500 && cache.firstEntry(at: 120) == 240)
    // Position 249 sees 150 and later: entries 300...; whole blocks before are 0...255.
    cache.dropUnreachable(from: 249)
    #expect(cache.count == 500 - 256 && cache.firstEntry(at: 150) == 300 - 256)
    #expect(cache.byteCount == shape.byteCount(entries: 244, formats: KVCacheFormats(.f32)))
    // What rows at 226 would see begins at 127, which is gone; at 228 it begins at 129.
    let before = cache.count
    #expect(cache.resumePoint(atMost: 226) == 0 && cache.count == before)
    #expect(cache.resumePoint(atMost: 228) == 228)
    cache.resume(at: 228)
    #expect(cache.count == 456 - 256)
    let fresh = LayerKVCache(shape, formats: KVCacheFormats(.f32))
    append(fresh, 256..<456)
    func reading(_ cache: LayerKVCache) -> [UInt32] {
      let (q, out) = (Matrix(rows: 1, columns: 8, seed: 80), Matrix(rows: 1, columns: 8))
      ops.attend(
        q.view, cache: cache, visibility: .causal(first: cache.count - 1), heads: 1, scale: 1, into: out.view,
        scratch: AttentionScratch(), scores: nil)
      return bits(out)
    }
    #expect(reading(cache) == reading(fresh))
    // Counted from the newest, whatever is gone in front.
    cache.keep([0, 250, 399], ofLast: 400)
    #expect(cache.count == 2 && cache.firstEntry(at: 227) == 1)
    cache.removeAll()
    #expect(cache.resumePoint(atMost: 0) == 0)
    cache.resume(at: 0)
  }

  /// The plan's arithmetic is the allocator's, at head sizes that are no multiple of 32 too.
  @Test(arguments: KVCacheFormats.tested, [16, 48, 72, 128])
  func bytesAsPlanned(formats: KVCacheFormats, dimension: Int) throws {
    let ops = try TensorOps(VectorSets.names[0])
    let shape = KVCacheShape(kvHeads: 3, headDimension: dimension)
    for entries in [1, 64, 65, 200] {
      let cache = LayerKVCache(shape, formats: formats)
      let rows = Matrix(rows: entries, columns: 3 * dimension, seed: 81)
      cache.append(keys: rows.view, values: rows.view, ops: ops)
      #expect(cache.byteCount == shape.byteCount(entries: entries, formats: formats))
    }
  }
}
