import OccamCore
import OccamKernelContract

/// Working memory of attention: one tile for each worker, partial results of split rows, and the float cells of
/// bidirectional attention. Grows to the largest call and is then reused. One call at a time.
package final class AttentionScratch {
  private var tiles = AlignedBuffer<Float>(count: 0)
  private var partial = AlignedBuffer<Float>(count: 0)
  private var floatCells: LayerKVCache?

  package init() {}

  /// What is allocated, bytes.
  package var byteCount: Int {
    tiles.byteCount + partial.byteCount + (floatCells?.byteCount ?? 0)
  }

  /// One tile for each worker, all of this size.
  func tiles(_ size: AttentionTileSize, workers: Int) -> AttentionTiles {
    let floats = workers * size.floats
    if tiles.count < floats { tiles = AlignedBuffer(count: floats) }
    return AttentionTiles(memory: tiles.pointer, size: size)
  }

  /// Room for this many floats. Grows by doubling: while a reply grows, so does what its tokens need.
  func partials(_ floats: Int) -> UnsafeMutablePointer<Float> {
    if partial.count < floats { partial = AlignedBuffer(count: max(floats, 2 * partial.count), zeroed: false) }
    return partial.pointer
  }

  /// Empty float cells of this shape.
  func cells(heads: Int, headDimension: Int) -> LayerKVCache {
    if let cells = floatCells, cells.kvHeads == heads, cells.headDimension == headDimension {
      cells.reset()
      return cells
    }
    let cells = LayerKVCache(kvHeads: heads, headDimension: headDimension, formats: KVCacheFormats(.f32))
    floatCells = cells
    return cells
  }
}

/// How much memory one tile takes.
struct AttentionTileSize {
  /// Query rows: positions times the query heads that share a KV head.
  let rows: Int
  let dimension: Int
  let paddedDimension: Int
  /// Whole rows of probabilities, for score requests: rows x keys.
  var probabilities = 0

  /// Rows are rounded up so that every part starts at a multiple of 64 bytes.
  fileprivate var roundedRows: Int { (rows + 15) & ~15 }

  /// Floats between two rows of queries or outputs.
  fileprivate var rowStride: Int { AttentionTile.rowStride(dimension) }

  fileprivate var floats: Int {
    let sum =
      roundedRows * (2 * rowStride + AttentionTile.scoreStride + 4)
      + AttentionTile.cells * (dimension + paddedDimension) + probabilities
    // The next worker's tile starts on a cache line of its own.
    return (sum + 15) & ~15
  }
}

/// The tiles of all workers.
struct AttentionTiles {
  fileprivate let memory: UnsafeMutablePointer<Float>
  fileprivate let size: AttentionTileSize

  subscript(worker: Int) -> AttentionTileMemory { AttentionTileMemory(memory + worker * size.floats, size) }
}

/// The parts of one worker's tile; `AttentionTile` says how they are laid out.
struct AttentionTileMemory {
  let queries: UnsafeMutablePointer<Float>
  let outputs: UnsafeMutablePointer<Float>
  let scores: UnsafeMutablePointer<Float>
  let maxima: UnsafeMutablePointer<Float>
  let sums: UnsafeMutablePointer<Float>
  /// The scores of the current block that each row sees: from its start on, before its limit.
  let starts: UnsafeMutablePointer<Int32>
  let limits: UnsafeMutablePointer<Int32>
  /// One block of cells as floats: keys dimension x 64, values 64 x padded dimension.
  let keys: UnsafeMutablePointer<Float>
  let values: UnsafeMutablePointer<Float>
  let probabilities: UnsafeMutablePointer<Float>

  fileprivate init(_ memory: UnsafeMutablePointer<Float>, _ size: AttentionTileSize) {
    let rows = size.roundedRows
    queries = memory
    outputs = queries + rows * size.rowStride
    scores = outputs + rows * size.rowStride
    maxima = scores + rows * AttentionTile.scoreStride
    sums = maxima + rows
    // The same memory holds integers here and nothing else.
    limits = UnsafeMutableRawPointer(sums + rows).bindMemory(to: Int32.self, capacity: rows)
    starts = UnsafeMutableRawPointer(sums + 2 * rows).bindMemory(to: Int32.self, capacity: rows)
    keys = sums + 3 * rows
    values = keys + AttentionTile.cells * size.dimension
    probabilities = values + AttentionTile.cells * size.paddedDimension
  }
}
