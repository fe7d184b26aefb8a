import OccamCore
import OccamKernelContract

/// What one layer of a decoder stores: widths, and how far back its rows look.
package struct KVCacheShape: Sendable, Hashable {
  package var kvHeads: Int
  package var headDimension: Int
  /// A row at position p sees entries of positions above p - window; nil: all.
  package var window: Int?

  package init(kvHeads: Int, headDimension: Int, window: Int? = nil) {
    self.kvHeads = kvHeads
    self.headDimension = headDimension
    self.window = window
  }

  /// Bytes of a cache that holds `entries` entries, as it allocates them: whole blocks.
  package func byteCount(entries: Int, formats: KVCacheFormats) -> Int {
    KVBlockLayout.blocks(entries) * kvHeads * KVBlockLayout(dimension: headDimension, formats: formats).headBytes
  }

  /// The most entries that stay of a sequence of `tokens`: a window keeps whole blocks, and what it lost in front is
  /// freed block by block; of the block that it begins in, it sees one entry at least.
  package func entries(tokens: Int) -> Int {
    guard let window else { return tokens }
    return min(tokens, window + KVBlockLayout.entries - 1)
  }
}

/// Keys and values of one decoder layer, entry by entry, in blocks of 64: growing copies nothing, and attention
/// streams one block after the other. Beside each entry stands the position of its token: behind pruning, and in a
/// sliding window, the number of an entry does not tell it.
///
/// Inside a block each KV head has its own run of memory (`KVBlockLayout`): keys transposed, values row by row. One owner
/// at a time; `TensorOps` only reads it, and writes it in `append`.
package final class LayerKVCache {
  /// The widest head that is stored and attended.
  package static let maximumHeadDimension = KVBlockLayout.maximumDimension

  package let shape: KVCacheShape
  package let formats: KVCacheFormats
  /// Entries held.
  package private(set) var count = 0
  /// `t` of each entry's position, ascending; empty where entries are stored without.
  private(set) var positions: [Int32] = []
  /// The largest position that was freed because no row of a sliding window sees it any more; -1: none.
  private(set) var lostPosition: Int32 = -1
  private(set) var blocks: [AlignedBuffer<UInt8>] = []
  let layout: KVBlockLayout

  package init(_ shape: KVCacheShape, formats: KVCacheFormats) {
    precondition(shape.kvHeads > 0, "LayerKVCache: no heads")
    precondition(
      shape.headDimension > 0 && shape.headDimension <= KVBlockLayout.maximumDimension,
      "LayerKVCache: head dimension out of range")
    self.shape = shape
    self.formats = formats
    layout = KVBlockLayout(dimension: shape.headDimension, formats: formats)
  }

  package convenience init(kvHeads: Int, headDimension: Int, formats: KVCacheFormats) {
    self.init(KVCacheShape(kvHeads: kvHeads, headDimension: headDimension), formats: formats)
  }

  package var kvHeads: Int { shape.kvHeads }
  package var headDimension: Int { shape.headDimension }

  /// Allocated, whether filled or not.
  package var byteCount: Int { blocks.count * kvHeads * layout.headBytes }

  /// What the layer would hold of a sequence of `tokens`, in bytes.
  package func byteCount(forTokens tokens: Int) -> Int {
    shape.byteCount(entries: shape.entries(tokens: tokens), formats: formats)
  }

  /// The memory of one head in one block; `KVBlockLayout` knows what is where.
  func head(_ head: Int, block: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(blocks[block].pointer) + head * layout.headBytes
  }

  /// Appends rows x (kvHeads * headDimension) keys and values, converted to the cache's formats.
  /// - Parameter positions: one a row, not below those stored; nil: none are stored.
  package func append(
    keys: MatrixView<Float>, values: MatrixView<Float>, positions: UnsafePointer<Position>? = nil, ops: TensorOps
  ) {
    let columns = kvHeads * headDimension
    precondition(keys.rows == values.rows, "LayerKVCache: as many keys as values")
    precondition(keys.columns == columns && values.columns == columns, "LayerKVCache: rows of another width")
    guard keys.rows > 0 else { return }
    let first = count
    reserve(first + keys.rows)
    count = first + keys.rows
    if let positions {
      for row in 0..<keys.rows { self.positions.append(positions[row].t) }
    }
    // A block and head belong to one thread: neighbouring cells of a transposed key share cache lines.
    let firstBlock = first / KVBlockLayout.entries
    let touched = (count - 1) / KVBlockLayout.entries - firstBlock + 1
    let cellsPerStep = max(1, TensorOps.elementsPerStep / headDimension)
    let grain = keys.rows >= cellsPerStep ? 1 : (cellsPerStep + keys.rows - 1) / keys.rows
    ops.team.parallel(
      touched * kvHeads, grain: grain,
      AppendStep(cells: self, keys: keys, values: values, first: first, kernels: ops.vector))
  }

  /// Item by item one head of one block.
  private struct AppendStep: TeamStep {
    let cells: LayerKVCache
    let keys: MatrixView<Float>
    let values: MatrixView<Float>
    /// The cell of row 0.
    let first: Int
    let kernels: VectorKernels

    func run(_ range: Range<Int>, worker: Int) {
      let dimension = cells.headDimension
      for item in range {
        let head = item % cells.kvHeads
        let block = first / KVBlockLayout.entries + item / cells.kvHeads
        let start = max(first, block * KVBlockLayout.entries)
        let end = min(cells.count, (block + 1) * KVBlockLayout.entries)
        let columns = head * dimension..<(head + 1) * dimension
        cells.layout.write(
          keys.slice(rows: start - first..<end - first).slice(columns: columns),
          values.slice(rows: start - first..<end - first).slice(columns: columns),
          to: cells.head(head, block: block), slot: start % KVBlockLayout.entries, kernels: kernels)
      }
    }
  }

  /// Of the newest `last` entries keeps only these, in ascending order and counted from the first of them; all entries
  /// before stay. What stays moves together, and blocks left empty are freed.
  package func keep(_ kept: [Int], ofLast last: Int) {
    precondition(last >= 0, "LayerKVCache: a negative number of entries")
    // In a sliding window the first of them may be gone already.
    let first = count - last
    keep(Array(0..<max(first, 0)) + kept.map { first + $0 }.filter { $0 >= 0 })
  }

  /// Keeps only these entries, in ascending order: they move together to 0..., and blocks left empty are freed.
  package func keep(_ entries: [Int]) {
    precondition(zip(entries, entries.dropFirst()).allSatisfy { $0 < $1 }, "LayerKVCache: entries must ascend")
    precondition((entries.first ?? 0) >= 0 && (entries.last ?? -1) < count, "LayerKVCache: no such entry")
    for (to, from) in entries.enumerated() where to != from {
      for index in 0..<kvHeads {
        layout.move(
          from: head(index, block: from / KVBlockLayout.entries), slot: from % KVBlockLayout.entries,
          to: head(index, block: to / KVBlockLayout.entries), slot: to % KVBlockLayout.entries)
      }
      if !positions.isEmpty { positions[to] = positions[from] }
    }
    truncate(to: entries.count)
  }

  /// Forgets the entries from number `count` on and frees the blocks behind them.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count, "LayerKVCache: cannot truncate to more entries")
    self.count = count
    if positions.count > count { positions.removeLast(positions.count - count) }
    if count == 0 { lostPosition = -1 }
    let needed = KVBlockLayout.blocks(count)
    if needed < blocks.count { blocks.removeLast(blocks.count - needed) }
  }

  /// The first entry whose position is `position` or more; `count` if there is none.
  package func firstEntry(at position: Int32) -> Int {
    var (low, high) = (0, positions.count)
    while low < high {
      let middle = (low + high) / 2
      if positions[middle] < position { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The first entry whose position is above `position`; `count` if there is none.
  package func firstEntry(after position: Int32) -> Int {
    position == .max ? count : firstEntry(at: position + 1)
  }

  /// Frees the leading blocks that no row at `position` or behind it sees.
  package func dropUnreachable(from position: Int32) {
    guard let window = shape.window else { return }
    let unreachable = firstEntry(at: Int32(clamping: Int(position) - window + 1)) / KVBlockLayout.entries
    guard unreachable > 0 else { return }
    let entries = unreachable * KVBlockLayout.entries
    lostPosition = positions[entries - 1]
    positions.removeFirst(entries)
    blocks.removeFirst(unreachable)
    count -= entries
  }

  /// Allocates memory for `entries` entries in all.
  package func reserve(_ entries: Int) {
    while blocks.count < KVBlockLayout.blocks(entries) {
      // Zeros: the padding of values is read and must add nothing.
      blocks.append(AlignedBuffer(count: kvHeads * layout.headBytes))
    }
    positions.reserveCapacity(blocks.count * KVBlockLayout.entries)
  }

  package func removeAll() { truncate(to: 0) }

  /// Forgets all entries but keeps the memory.
  func reset() {
    count = 0
    positions.removeAll(keepingCapacity: true)
  }

  /// A second store with the same cells, sharing nothing.
  package func copy() -> LayerKVCache {
    let other = LayerKVCache(shape, formats: formats)
    other.blocks = blocks.prefix(KVBlockLayout.blocks(count)).map { AlignedBuffer(copying: $0.buffer) }
    other.count = count
    other.positions = positions
    other.lostPosition = lostPosition
    return other
  }
}
