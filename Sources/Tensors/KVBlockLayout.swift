import OccamCore
import OccamKernelContract

/// What is where in one head's part of a block of 64 entries, and how entries get there. Offsets in bytes, all
/// multiples of 64; written by one thread at a time.
///
///     keys            transposed: [stored elements of a key][64 entries]
///     key scales      [blocks of 32][64 entries] binary16, where the format has them
///     values          [64 entries][stored elements of a value], padded to whole blocks of 32 numbers
///     value scales    [64 entries][blocks of 32] binary16
///
/// An element is a number, but in Q4_0 two: byte j of a block holds numbers j and j + 16, the first in the low half.
struct KVBlockLayout {
  static let entries = AttentionTile.cells
  static let maximumDimension = AttentionTile.maximumDimension

  let dimension: Int
  /// Numbers in one row of values: `dimension` rounded up to a multiple of 32.
  let paddedDimension: Int
  let keys: Part
  let values: Part
  let headBytes: Int

  /// The keys, or the values.
  struct Part {
    let format: KVCacheFormat
    /// Offsets of elements and scales.
    let data: Int
    let scales: Int
    /// Stored for an entry.
    let elements: Int
    /// Scales of an entry.
    let blocks: Int
    fileprivate let end: Int

    /// - Parameters:
    ///   - numbers: of an entry that are stored, the padding included.
    ///   - offset: where the part begins.
    fileprivate init(_ format: KVCacheFormat, numbers: Int, blocks: Int, offset: Int) {
      self.format = format
      (elements, self.blocks) =
        switch format {
        case .f32, .f16: (numbers, 0)
        case .q8_0: (numbers, blocks)
        case .q4_0: (blocks * 16, blocks)
        }
      let elementBytes =
        switch format {
        case .f32: 4
        case .f16: 2
        case .q8_0, .q4_0: 1
        }
      data = offset
      scales = data + KVBlockLayout.entries * elements * elementBytes
      end = scales + KVBlockLayout.entries * self.blocks * 2
    }
  }

  init(dimension: Int, formats: KVCacheFormats) {
    self.dimension = dimension
    let blocks = (dimension + 31) / 32
    paddedDimension = blocks * 32
    keys = Part(formats.keys, numbers: dimension, blocks: blocks, offset: 0)
    values = Part(formats.values, numbers: paddedDimension, blocks: blocks, offset: keys.end)
    headBytes = values.end
  }

  /// Blocks that hold so many entries.
  static func blocks(_ entries: Int) -> Int { (entries + KVBlockLayout.entries - 1) / KVBlockLayout.entries }

  /// Writes rows of keys and values of this head to the entries from `slot` on.
  func write(
    _ keys: MatrixView<Float>, _ values: MatrixView<Float>, to head: UnsafeMutableRawPointer, slot: Int,
    kernels: VectorKernels
  ) {
    withUnsafeTemporaryAllocation(byteCount: paddedDimension * 4 + self.keys.blocks * 2, alignment: 16) { memory in
      guard let scratch = memory.baseAddress else { return }
      for row in 0..<keys.rows {
        writeKey(keys.row(row), head, slot + row, kernels, scratch)
        writeValue(values.row(row), head, slot + row, kernels)
      }
    }
  }

  /// One key becomes one column.
  /// - Parameter scratch: the elements, and behind `paddedDimension` floats the scales.
  private func writeKey(
    _ key: UnsafePointer<Float>, _ head: UnsafeMutableRawPointer, _ slot: Int, _ kernels: VectorKernels,
    _ scratch: UnsafeMutableRawPointer
  ) {
    let column = head + keys.data
    switch keys.format {
    case .f32: scatter(key, column.assumingMemoryBound(to: Float.self) + slot)
    case .f16:
      let halves = scratch.assumingMemoryBound(to: UInt16.self)
      kernels.narrow(key, halves, dimension)
      scatter(halves, column.assumingMemoryBound(to: UInt16.self) + slot)
    case .q8_0, .q4_0:
      let bytes = scratch.assumingMemoryBound(to: UInt8.self)
      let scales = (scratch + paddedDimension * 4).assumingMemoryBound(to: UInt16.self)
      quantize(key, keys.format, bytes, scales, kernels)
      scatter(bytes, column.assumingMemoryBound(to: UInt8.self) + slot)
      let scaleColumn = (head + keys.scales).assumingMemoryBound(to: UInt16.self) + slot
      for block in 0..<keys.blocks { scaleColumn[block &* KVBlockLayout.entries] = scales[block] }
    }
  }

  private func writeValue(
    _ value: UnsafePointer<Float>, _ head: UnsafeMutableRawPointer, _ slot: Int, _ kernels: VectorKernels
  ) {
    let (place, first) = (head + values.data, slot * values.elements)
    switch values.format {
    case .f32: (place.assumingMemoryBound(to: Float.self) + first).update(from: value, count: dimension)
    case .f16: kernels.narrow(value, place.assumingMemoryBound(to: UInt16.self) + first, dimension)
    case .q8_0, .q4_0:
      let scales = (head + values.scales).assumingMemoryBound(to: UInt16.self) + slot * values.blocks
      quantize(value, values.format, place.assumingMemoryBound(to: UInt8.self) + first, scales, kernels)
    }
  }

  private func quantize(
    _ row: UnsafePointer<Float>, _ format: KVCacheFormat, _ out: UnsafeMutablePointer<UInt8>,
    _ scales: UnsafeMutablePointer<UInt16>, _ kernels: VectorKernels
  ) {
    if format == .q4_0 {
      kernels.quantizeNibbles(row, out, scales, dimension)
    } else {
      kernels.quantize(row, UnsafeMutableRawPointer(out).assumingMemoryBound(to: Int8.self), scales, dimension)
    }
  }

  private func scatter<T>(_ elements: UnsafePointer<T>, _ column: UnsafeMutablePointer<T>) {
    for index in 0..<keys.elements { column[index &* KVBlockLayout.entries] = elements[index] }
  }

  /// Copies one entry.
  func move(
    from source: UnsafeMutableRawPointer, slot from: Int, to target: UnsafeMutableRawPointer, slot to: Int
  ) {
    switch keys.format {
    case .f32: moveColumn(Float.self, keys.data, keys.elements, source, from, target, to)
    case .f16: moveColumn(UInt16.self, keys.data, keys.elements, source, from, target, to)
    case .q8_0, .q4_0: moveColumn(UInt8.self, keys.data, keys.elements, source, from, target, to)
    }
    moveColumn(UInt16.self, keys.scales, keys.blocks, source, from, target, to)
    let valueBytes = (values.scales - values.data) / KVBlockLayout.entries
    moveRow(values.data, valueBytes, source, from, target, to)
    moveRow(values.scales, values.blocks * 2, source, from, target, to)
  }

  private func moveColumn<T: BitwiseCopyable>(
    _: T.Type, _ offset: Int, _ count: Int, _ source: UnsafeMutableRawPointer, _ from: Int,
    _ target: UnsafeMutableRawPointer, _ to: Int
  ) {
    let old = (source + offset).assumingMemoryBound(to: T.self) + from
    let new = (target + offset).assumingMemoryBound(to: T.self) + to
    for index in 0..<count { new[index &* KVBlockLayout.entries] = old[index &* KVBlockLayout.entries] }
  }

  private func moveRow(
    _ offset: Int, _ bytes: Int, _ source: UnsafeMutableRawPointer, _ from: Int, _ target: UnsafeMutableRawPointer,
    _ to: Int
  ) {
    (target + offset + to * bytes).copyMemory(from: source + offset + from * bytes, byteCount: bytes)
  }
}
