import OccamCore
import OccamKernelContract

/// Keys and values of one decoder layer, cell by cell, in blocks of 64 cells: growing copies nothing, and attention
/// streams one block after the other.
///
/// Inside a block each KV head has its own run of memory: keys transposed (dimension x 64), values row by row
/// (64 x dimension, padded to a multiple of 32 with zeros), with q8_0 the binary16 scales behind each. One owner at a
/// time; `TensorOps` only reads it, and writes it in `append`.
package final class LayerCells {
  package enum CellFormat: Sendable, CaseIterable {
    case f32
    case f16
    /// 8-bit integers, one binary16 scale for each 32 along the head dimension.
    case q8_0
  }

  package let kvHeads: Int
  package let headDimension: Int
  package let format: CellFormat
  package private(set) var count = 0
  private(set) var blocks: [AlignedBuffer<UInt8>] = []
  let layout: CellLayout

  package init(kvHeads: Int, headDimension: Int, format: CellFormat) {
    precondition(kvHeads > 0, "LayerCells: no heads")
    precondition(
      headDimension > 0 && headDimension <= CellLayout.maximumDimension, "LayerCells: head dimension out of range")
    self.kvHeads = kvHeads
    self.headDimension = headDimension
    self.format = format
    layout = CellLayout(dimension: headDimension, format: format)
  }

  /// Allocated, whether filled or not.
  package var byteCount: Int { blocks.count * kvHeads * layout.headBytes }

  /// What `cells` cells would take.
  package func byteCount(forCells cells: Int) -> Int {
    (cells + CellLayout.cells - 1) / CellLayout.cells * kvHeads * layout.headBytes
  }

  /// The memory of one head in one block; `CellLayout` knows what is where.
  func head(_ head: Int, block: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(blocks[block].pointer) + head * layout.headBytes
  }

  /// Appends rows x (kvHeads * headDimension) keys and values, converted to the cells' format.
  package func append(keys: MatrixView<Float>, values: MatrixView<Float>, ops: TensorOps) {
    let columns = kvHeads * headDimension
    precondition(keys.rows == values.rows, "LayerCells: as many keys as values")
    precondition(keys.columns == columns && values.columns == columns, "LayerCells: rows of another width")
    guard keys.rows > 0 else { return }
    let first = count
    reserve(first + keys.rows)
    count = first + keys.rows
    // A block and head belong to one thread: neighbouring cells of a transposed key share cache lines.
    let firstBlock = first / CellLayout.cells
    let touched = (count - 1) / CellLayout.cells - firstBlock + 1
    let cellsPerStep = max(1, TensorOps.elementsPerStep / headDimension)
    let grain = keys.rows >= cellsPerStep ? 1 : (cellsPerStep + keys.rows - 1) / keys.rows
    ops.team.parallel(
      touched * kvHeads, grain: grain,
      AppendStep(cells: self, keys: keys, values: values, first: first, kernels: ops.vector))
  }

  /// Item by item one head of one block.
  private struct AppendStep: TeamStep {
    let cells: LayerCells
    let keys: MatrixView<Float>
    let values: MatrixView<Float>
    /// The cell of row 0.
    let first: Int
    let kernels: VectorKernels

    func run(_ range: Range<Int>, worker: Int) {
      let dimension = cells.headDimension
      for item in range {
        let head = item % cells.kvHeads
        let block = first / CellLayout.cells + item / cells.kvHeads
        let start = max(first, block * CellLayout.cells)
        let end = min(cells.count, (block + 1) * CellLayout.cells)
        let columns = head * dimension..<(head + 1) * dimension
        cells.layout.write(
          keys.slice(rows: start - first..<end - first).slice(columns: columns),
          values.slice(rows: start - first..<end - first).slice(columns: columns),
          to: cells.head(head, block: block), slot: start % CellLayout.cells, kernels: kernels)
      }
    }
  }

  /// Keeps only these cells, in ascending order: they move together to 0..., and blocks left empty are freed.
  package func keep(_ cells: [Int]) {
    precondition(zip(cells, cells.dropFirst()).allSatisfy { $0 < $1 }, "LayerCells: cells must ascend")
    precondition((cells.first ?? 0) >= 0 && (cells.last ?? -1) < count, "LayerCells: no such cell")
    for (to, from) in cells.enumerated() where to != from {
      for index in 0..<kvHeads {
        layout.move(
          from: head(index, block: from / CellLayout.cells), slot: from % CellLayout.cells,
          to: head(index, block: to / CellLayout.cells), slot: to % CellLayout.cells)
      }
    }
    truncate(to: cells.count)
  }

  /// Forgets the cells from `count` on and frees the blocks behind them.
  package func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count, "LayerCells: cannot truncate to more cells")
    self.count = count
    let needed = CellLayout.blocks(count)
    if needed < blocks.count { blocks.removeLast(blocks.count - needed) }
  }

  /// Allocates memory for `cells` cells in all.
  package func reserve(_ cells: Int) {
    while blocks.count < CellLayout.blocks(cells) {
      // Zeros: the padding of values is read and must add nothing.
      blocks.append(AlignedBuffer(count: kvHeads * layout.headBytes))
    }
  }

  package func removeAll() { truncate(to: 0) }

  /// Forgets all cells but keeps the memory.
  func reset() { count = 0 }

  /// A second store with the same cells, sharing nothing.
  package func copy() -> LayerCells {
    let other = LayerCells(kvHeads: kvHeads, headDimension: headDimension, format: format)
    other.blocks = blocks.prefix(CellLayout.blocks(count)).map { AlignedBuffer(copying: $0.buffer) }
    other.count = count
    return other
  }
}
