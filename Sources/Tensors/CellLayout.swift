import OccamCore
import OccamKernelContract

/// What is where in one head's part of a block of cells, and how cells get there. Offsets in bytes, all multiples of
/// 64; written by one thread at a time.
struct CellLayout {
  static let cells = AttentionTile.cells
  static let maximumDimension = AttentionTile.maximumDimension

  let dimension: Int
  let format: LayerKVCache.CellFormat
  /// Numbers in one row of values: `dimension` rounded up to a multiple of 32, which is also the q8_0 block.
  let paddedDimension: Int
  let keyScales: Int
  let values: Int
  let valueScales: Int
  let headBytes: Int

  init(dimension: Int, format: LayerKVCache.CellFormat) {
    self.dimension = dimension
    self.format = format
    paddedDimension = (dimension + 31) / 32 * 32
    let elementBytes =
      switch format {
      case .f32: 4
      case .f16: 2
      case .q8_0: 1
      }
    let scaleBytes = format == .q8_0 ? paddedDimension / 32 * CellLayout.cells * 2 : 0
    keyScales = CellLayout.cells * dimension * elementBytes
    values = keyScales + scaleBytes
    valueScales = values + CellLayout.cells * paddedDimension * elementBytes
    headBytes = valueScales + scaleBytes
  }

  static func blocks(_ cells: Int) -> Int { (cells + CellLayout.cells - 1) / CellLayout.cells }

  private var scalesPerCell: Int { paddedDimension / 32 }

  /// Writes rows of keys and values of this head to the cells from `slot` on.
  func write(
    _ keys: MatrixView<Float>, _ values: MatrixView<Float>, to head: UnsafeMutableRawPointer, slot: Int,
    kernels: VectorKernels
  ) {
    switch format {
    case .f32: writeFloats(keys, values, head, slot)
    case .f16: writeHalves(keys, values, head, slot, kernels)
    case .q8_0: writeIntegers(keys, values, head, slot, kernels)
    }
  }

  private func writeFloats(
    _ keys: MatrixView<Float>, _ values: MatrixView<Float>, _ head: UnsafeMutableRawPointer, _ slot: Int
  ) {
    let keyCells = head.assumingMemoryBound(to: Float.self) + slot
    let valueCells = (head + self.values).assumingMemoryBound(to: Float.self) + slot * paddedDimension
    for row in 0..<keys.rows {
      scatter(keys.row(row), keyCells + row)
      (valueCells + row * paddedDimension).update(from: values.row(row), count: dimension)
    }
  }

  private func writeHalves(
    _ keys: MatrixView<Float>, _ values: MatrixView<Float>, _ head: UnsafeMutableRawPointer, _ slot: Int,
    _ kernels: VectorKernels
  ) {
    let narrow = kernels.narrow
    let keyCells = head.assumingMemoryBound(to: UInt16.self) + slot
    let valueCells = (head + self.values).assumingMemoryBound(to: UInt16.self) + slot * paddedDimension
    withUnsafeTemporaryAllocation(of: UInt16.self, capacity: dimension) { halves in
      guard let halves = halves.baseAddress else { return }
      for row in 0..<keys.rows {
        narrow(keys.row(row), halves, dimension)
        scatter(halves, keyCells + row)
        narrow(values.row(row), valueCells + row * paddedDimension, dimension)
      }
    }
  }

  private func writeIntegers(
    _ keys: MatrixView<Float>, _ values: MatrixView<Float>, _ head: UnsafeMutableRawPointer, _ slot: Int,
    _ kernels: VectorKernels
  ) {
    let quantize = kernels.quantize
    let keyCells = head.assumingMemoryBound(to: Int8.self) + slot
    let keyScales = (head + self.keyScales).assumingMemoryBound(to: UInt16.self) + slot
    let valueCells = (head + self.values).assumingMemoryBound(to: Int8.self) + slot * paddedDimension
    let valueScales = (head + self.valueScales).assumingMemoryBound(to: UInt16.self) + slot * scalesPerCell
    withUnsafeTemporaryAllocation(byteCount: dimension + scalesPerCell * 2, alignment: 2) { scratch in
      guard let base = scratch.baseAddress else { return }
      let scales = base.assumingMemoryBound(to: UInt16.self)
      let integers = (base + scalesPerCell * 2).assumingMemoryBound(to: Int8.self)
      for row in 0..<keys.rows {
        quantize(keys.row(row), integers, scales, dimension)
        scatter(integers, keyCells + row)
        for block in 0..<scalesPerCell { keyScales[block * CellLayout.cells + row] = scales[block] }
        quantize(
          values.row(row), valueCells + row * paddedDimension, valueScales + row * scalesPerCell, dimension)
      }
    }
  }

  /// One key becomes one column.
  private func scatter<T>(_ key: UnsafePointer<T>, _ column: UnsafeMutablePointer<T>) {
    for index in 0..<dimension { column[index &* CellLayout.cells] = key[index] }
  }

  /// Copies one cell.
  func move(
    from source: UnsafeMutableRawPointer, slot from: Int, to target: UnsafeMutableRawPointer, slot to: Int
  ) {
    switch format {
    case .f32: move(Float.self, source, from, target, to)
    case .f16: move(UInt16.self, source, from, target, to)
    case .q8_0:
      move(Int8.self, source, from, target, to)
      let sourceScales = (source + keyScales).assumingMemoryBound(to: UInt16.self) + from
      let targetScales = (target + keyScales).assumingMemoryBound(to: UInt16.self) + to
      for block in 0..<scalesPerCell {
        targetScales[block * CellLayout.cells] = sourceScales[block * CellLayout.cells]
      }
      (target + valueScales + to * scalesPerCell * 2).copyMemory(
        from: source + valueScales + from * scalesPerCell * 2, byteCount: scalesPerCell * 2)
    }
  }

  private func move<T: BitwiseCopyable>(
    _: T.Type, _ source: UnsafeMutableRawPointer, _ from: Int, _ target: UnsafeMutableRawPointer, _ to: Int
  ) {
    let sourceKeys = source.assumingMemoryBound(to: T.self) + from
    let targetKeys = target.assumingMemoryBound(to: T.self) + to
    for index in 0..<dimension { targetKeys[index &* CellLayout.cells] = sourceKeys[index &* CellLayout.cells] }
    let rowBytes = paddedDimension * MemoryLayout<T>.stride
    (target + values + to * rowBytes).copyMemory(from: source + values + from * rowBytes, byteCount: rowBytes)
  }
}
