import OccamCore
import OccamKernelContract

extension TensorOps {
  /// Bidirectional attention: softmax(scale * q kᵀ) v, each head for itself.
  /// - Parameters:
  ///   - q, k, v: rows x (heads * head dimension); q may have other rows than k and v. `out` has q's shape, may be q.
  ///   - visibility: which rows of k and v each row of q sees.
  ///   - scores: rows whose probabilities are wanted too; costs about half as much as attention over these rows.
  package func attend(
    _ q: MatrixView<Float>, _ k: MatrixView<Float>, _ v: MatrixView<Float>, heads: Int, scale: Float,
    visibility: Visibility = .everything, into out: MatrixView<Float>, scratch: AttentionScratch, scores: ScoreRequest?
  ) {
    precondition(heads > 0 && q.columns % heads == 0, "attend: columns must divide into heads")
    let cells = scratch.cells(heads: heads, headDimension: q.columns / heads)
    cells.append(keys: k, values: v, ops: self)
    Attention(ops: self, q: q, cells: cells, heads: heads, scale: scale, visibility: visibility, scratch: scratch)
      .run(into: out, scores)
  }

  /// Attention over the entries of a KV cache, which must hold what the rows see already. heads / cache.kvHeads query
  /// heads in a row share one KV head.
  /// - Parameters:
  ///   - q: rows x (heads * cache.headDimension). `out` has the same shape, may be q.
  ///   - visibility: counted among the entries that the cache holds.
  ///   - scores: rows whose probabilities are wanted too.
  package func attend(
    _ q: MatrixView<Float>, cache: LayerKVCache, visibility: Visibility, heads: Int, scale: Float,
    into out: MatrixView<Float>, scratch: AttentionScratch, scores: ScoreRequest?
  ) {
    let seen = visibility.hull(0..<q.rows, of: cache.count)
    precondition(seen.lowerBound >= 0 && seen.upperBound <= cache.count, "attend: entries missing")
    Attention(ops: self, q: q, cells: cache, heads: heads, scale: scale, visibility: visibility, scratch: scratch)
      .run(into: out, scores)
  }
}

/// One call of attention: tiles of query rows against blocks of 64 cells with an online softmax (Milakov and
/// Gimelshein 2018; Dao et al. 2022), so that no rows x keys matrix exists.
///
/// A tile holds some positions times the query heads of one KV head: a block of keys and values is converted to floats
/// once for all of them. Blocks, splits and the order of sums follow from the shapes alone, never from the threads.
struct Attention {
  let ops: TensorOps
  let q: MatrixView<Float>
  let cells: LayerKVCache
  let heads: Int
  let scale: Float
  let visibility: Visibility
  let scratch: AttentionScratch

  /// Query rows in a tile, where positions and group allow: a multiple of the micro-kernel's six, and small enough
  /// that queries, scores and outputs of the tile stay in the second-level cache beside one block.
  static let rowsPerTile = 60
  /// Below this many tiles (decoding) rows are split by ranges of cells too, and merged afterwards.
  static let fewTiles = 16
  /// Multiplies one thread should get at least, a few microseconds.
  static let multipliesPerStep = 1 << 16
  /// Blocks in one such range.
  static let splitBlocks = 8
  /// Up to this many rows cells in binary16 are converted in the products themselves, where the processor can; more
  /// rows share a conversion.
  static let directRows = 12

  var layout: KVBlockLayout { cells.layout }
  var dimension: Int { cells.headDimension }
  /// Floats between two rows of queries or outputs.
  var rowStride: Int { AttentionTile.rowStride(dimension) }
  var group: Int { heads / cells.kvHeads }

  /// The cells that query row `row` sees.
  func visible(_ row: Int) -> Range<Int> { visibility(row, of: cells.count) }

  /// The blocks that hold these cells.
  private static func blocks(of cells: Range<Int>) -> Range<Int> {
    cells.lowerBound / KVBlockLayout.entries..<KVBlockLayout.blocks(cells.upperBound)
  }

  func run(into out: MatrixView<Float>, _ request: ScoreRequest?) {
    precondition(heads > 0 && heads % cells.kvHeads == 0, "attention: heads must be a multiple of the KV heads")
    precondition(q.columns == heads * dimension, "attention: queries of another width")
    precondition(out.rows == q.rows && out.columns == q.columns, "attention: output of another shape")
    guard q.rows > 0, cells.count > 0 else { return }
    // The scores first: the output may be written over the queries.
    if let request { scoreRows(request) }
    let most = max(1, Attention.rowsPerTile / group)
    let tiles = (q.rows + most - 1) / most
    let positions = (q.rows + tiles - 1) / tiles
    let blocks = Attention.blocks(of: visibility.hull(0..<q.rows, of: cells.count))
    let splits =
      tiles * cells.kvHeads < Attention.fewTiles
      ? (blocks.count + Attention.splitBlocks - 1) / Attention.splitBlocks : 1
    if splits > 1 {
      runSplit(into: out, positions: positions, tiles: tiles, splits: splits, firstBlock: blocks.lowerBound)
    } else {
      let size = AttentionTileSize(
        rows: positions * group, dimension: dimension, paddedDimension: layout.paddedDimension)
      let memory = scratch.tiles(size, workers: ops.team.threads)
      // Multiplies of one item at most; together they are to be worth another thread's while.
      let work = size.rows * min(blocks.count * KVBlockLayout.entries, cells.count) * dimension
      ops.team.parallel(
        tiles * cells.kvHeads, grain: max(1, Attention.multipliesPerStep / max(work, 1)),
        TileStep(attention: self, positions: positions, tiles: tiles, blocks: blocks, memory: memory, out: out))
    }
  }

  /// Item by item one tile of one KV head.
  private struct TileStep: TeamStep {
    let attention: Attention
    let positions: Int
    let tiles: Int
    let blocks: Range<Int>
    let memory: AttentionTiles
    let out: MatrixView<Float>

    /// All tiles of a head follow each other: its keys and values stay in the second-level cache.
    func run(_ range: Range<Int>, worker: Int) {
      let memory = memory[worker]
      for item in range {
        // Late tiles see the most cells: started first, they leave no long end.
        let rows = attention.tileRows(tiles - 1 - item % tiles, positions)
        attention.compute(rows, head: item / tiles, blocks: blocks, memory)
        attention.store(rows, head: item / tiles, memory, into: out)
      }
    }
  }

  /// The query rows of tile `tile`.
  private func tileRows(_ tile: Int, _ positions: Int) -> Range<Int> {
    min(tile * positions, q.rows)..<min((tile + 1) * positions, q.rows)
  }

  // MARK: One tile

  /// Leaves maxima, sums and outputs (not yet divided) of these rows over these blocks in `memory`.
  private func compute(_ rows: Range<Int>, head: Int, blocks: Range<Int>, _ memory: AttentionTileMemory) {
    guard !rows.isEmpty else { return }
    let vector = ops.vector
    let count = rows.count * group
    load(rows, head: head, memory)
    memory.maxima.update(repeating: -.infinity, count: count)
    memory.sums.update(repeating: 0, count: count)
    for row in 0..<count {
      (memory.outputs + row * rowStride).update(repeating: 0, count: layout.paddedDimension)
    }
    let hull = visibility.hull(rows, of: cells.count)
    let seen = Attention.blocks(of: hull).clamped(to: blocks)
    for block in seen {
      let first = block * KVBlockLayout.entries
      for row in rows {
        let visible = visible(row)
        let limit = max(0, min(visible.upperBound - first, KVBlockLayout.entries))
        let start = max(0, visible.lowerBound - first)
        let place = (row - rows.lowerBound) * group
        (memory.starts + place).update(repeating: start < limit ? Int32(start) : 0, count: group)
        (memory.limits + place).update(repeating: start < limit ? Int32(limit) : 0, count: group)
      }
      let seen = min(hull.upperBound - first, KVBlockLayout.entries)
      multiplyKeys(head, block, rows: count, cells: seen, memory)
      vector.softmaxStep(
        memory.scores, memory.starts, memory.limits, memory.maxima, memory.sums, memory.outputs, count,
        layout.paddedDimension)
      multiplyValues(head, block, rows: count, cells: seen, memory)
    }
  }

  /// Query rows of this KV head, scaled, position by position and inside a position head by head.
  private func load(_ rows: Range<Int>, head: Int, _ memory: AttentionTileMemory) {
    for row in rows {
      for member in 0..<group {
        ops.vector.scale(
          q.row(row) + (head * group + member) * dimension, scale,
          memory.queries + ((row - rows.lowerBound) * group + member) * rowStride, dimension)
      }
    }
  }

  private func store(_ rows: Range<Int>, head: Int, _ memory: AttentionTileMemory, into out: MatrixView<Float>) {
    for row in rows {
      for member in 0..<group {
        let index = (row - rows.lowerBound) * group + member
        ops.vector.scale(
          memory.outputs + index * rowStride, 1 / memory.sums[index],
          out.row(row) + (head * group + member) * dimension, dimension)
      }
    }
  }

  func multiplyKeys(_ head: Int, _ block: Int, rows: Int, cells count: Int, _ memory: AttentionTileMemory) {
    let memoryOfHead = cells.head(head, block: block)
    let base = memoryOfHead + layout.keys.data
    let scales = (memoryOfHead + layout.keys.scales).assumingMemoryBound(to: UInt16.self)
    let vector = ops.vector
    switch layout.keys.format {
    case .f32:
      vector.scores(memory.queries, base.assumingMemoryBound(to: Float.self), memory.scores, rows, count, dimension)
    case .f16:
      let halves = base.assumingMemoryBound(to: UInt16.self)
      if rows <= Attention.directRows, vector.convertsHalves {
        vector.scoresHalf(memory.queries, halves, memory.scores, rows, count, dimension)
      } else {
        vector.widen(halves, memory.keys, dimension * KVBlockLayout.entries)
        vector.scores(memory.queries, memory.keys, memory.scores, rows, count, dimension)
      }
    case .q8_0:
      vector.dequantizeKeys(base.assumingMemoryBound(to: Int8.self), scales, memory.keys, dimension)
      vector.scores(memory.queries, memory.keys, memory.scores, rows, count, dimension)
    case .q4_0:
      vector.dequantizeKeyNibbles(base.assumingMemoryBound(to: UInt8.self), scales, memory.keys, dimension)
      vector.scores(memory.queries, memory.keys, memory.scores, rows, count, dimension)
    }
  }

  private func multiplyValues(_ head: Int, _ block: Int, rows: Int, cells count: Int, _ memory: AttentionTileMemory) {
    let memoryOfHead = cells.head(head, block: block)
    let base = memoryOfHead + layout.values.data
    let scales = (memoryOfHead + layout.values.scales).assumingMemoryBound(to: UInt16.self)
    let width = layout.paddedDimension
    let vector = ops.vector
    switch layout.values.format {
    case .f32:
      vector.weightedValues(
        memory.scores, base.assumingMemoryBound(to: Float.self), memory.outputs, rows, count, width)
    case .f16:
      let halves = base.assumingMemoryBound(to: UInt16.self)
      if rows <= Attention.directRows, vector.convertsHalves {
        vector.weightedValuesHalf(memory.scores, halves, memory.outputs, rows, count, width)
      } else {
        vector.widen(halves, memory.values, count * width)
        vector.weightedValues(memory.scores, memory.values, memory.outputs, rows, count, width)
      }
    case .q8_0:
      vector.dequantizeValues(base.assumingMemoryBound(to: Int8.self), scales, memory.values, count, width)
      vector.weightedValues(memory.scores, memory.values, memory.outputs, rows, count, width)
    case .q4_0:
      vector.dequantizeValueNibbles(base.assumingMemoryBound(to: UInt8.self), scales, memory.values, count, width)
      vector.weightedValues(memory.scores, memory.values, memory.outputs, rows, count, width)
    }
  }

  // MARK: Rows split by ranges of cells

  /// Each range leaves maximum, sum and outputs of every row; the ranges are then weighted by exp(maximum - largest)
  /// and added in order.
  private func runSplit(into out: MatrixView<Float>, positions: Int, tiles: Int, splits: Int, firstBlock: Int) {
    let size = AttentionTileSize(rows: positions * group, dimension: dimension, paddedDimension: layout.paddedDimension)
    let memory = scratch.tiles(size, workers: ops.team.threads)
    let rowFloats = layout.paddedDimension + 2
    let partials = AttentionPartials(
      first: scratch.partials(splits * q.rows * heads * rowFloats), splits: splits, rowFloats: rowFloats,
      splitFloats: q.rows * heads * rowFloats)
    ops.team.parallel(
      tiles * cells.kvHeads * splits,
      SplitStep(
        attention: self, positions: positions, tiles: tiles, firstBlock: firstBlock, memory: memory, partials: partials)
    )
    let grain = max(1, TensorOps.elementsPerStep / (splits * dimension))
    ops.team.parallel(q.rows * heads, grain: grain, MergeStep(attention: self, partials: partials, out: out))
  }

  /// What each range of cells leaves of each row and head: maximum, sum, outputs.
  private struct AttentionPartials {
    let first: UnsafeMutablePointer<Float>
    let splits: Int
    /// Floats of one row and head, and of all of them for one range.
    let rowFloats: Int
    let splitFloats: Int
  }

  /// Item by item one range of cells, one tile, one KV head.
  private struct SplitStep: TeamStep {
    let attention: Attention
    let positions: Int
    let tiles: Int
    /// The first block that any row sees.
    let firstBlock: Int
    let memory: AttentionTiles
    let partials: AttentionPartials

    func run(_ range: Range<Int>, worker: Int) {
      let memory = memory[worker]
      let (kvHeads, group) = (attention.cells.kvHeads, attention.group)
      for item in range {
        let split = item / (tiles * kvHeads)
        let head = item % kvHeads
        let rows = attention.tileRows(item / kvHeads % tiles, positions)
        let firstBlock = firstBlock + split * Attention.splitBlocks
        attention.compute(rows, head: head, blocks: firstBlock..<firstBlock + Attention.splitBlocks, memory)
        for row in rows {
          for member in 0..<group {
            let index = (row - rows.lowerBound) * group + member
            let partial =
              partials.first + split * partials.splitFloats
              + (row * attention.heads + head * group + member) * partials.rowFloats
            partial[0] = memory.maxima[index]
            partial[1] = memory.sums[index]
            (partial + 2).update(
              from: memory.outputs + index * attention.rowStride, count: attention.layout.paddedDimension)
          }
        }
      }
    }
  }

  /// Item by item one row and head.
  private struct MergeStep: TeamStep {
    let attention: Attention
    let partials: AttentionPartials
    let out: MatrixView<Float>

    func run(_ range: Range<Int>, worker: Int) {
      for item in range {
        attention.merge(
          partials.first + item * partials.rowFloats, stride: partials.splitFloats, splits: partials.splits,
          into: out.row(item / attention.heads) + item % attention.heads * attention.dimension)
      }
    }
  }

  private func merge(
    _ first: UnsafePointer<Float>, stride: Int, splits: Int, into out: UnsafeMutablePointer<Float>
  ) {
    var largest = first[0]
    for split in 1..<splits { largest = max(largest, first[split * stride]) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: splits) { weights in
      guard let factors = weights.baseAddress else { return }
      // A range that the row sees nothing of has maximum -infinity; its sum and outputs are 0.
      for split in 0..<splits { factors[split] = first[split * stride] - largest }
      ops.vector.exponential(factors, splits)
      var sum: Float = 0
      for split in 0..<splits { sum += factors[split] * first[split * stride + 1] }
      ops.vector.scale(first + 2, factors[0] / sum, out, dimension)
      for split in 1..<splits {
        ops.vector.addScaled(first + split * stride + 2, factors[split] / sum, out, dimension)
      }
    }
  }
}
