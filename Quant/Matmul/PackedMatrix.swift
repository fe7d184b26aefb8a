import OccamCore
import OccamKernelContract
import OccamQuantFormats

/// A weight matrix in the kernels' own order (`PanelLayout`): `rows` outputs by `columns` inputs.
///
/// As large as the file's bytes within 3 percent, Q3_K and MXFP4 within 6; the source is not kept.
package final class PackedMatrix: Sendable {
  package let rows: Int
  package let columns: Int
  /// `columns` up to a whole block, zeros behind them: of floats that are encoded on their way.
  let paddedColumns: Int
  package let format: QuantFormat
  /// Q8_0 with limited sums.
  let isLimited: Bool
  /// What it multiplies with.
  let activations: ActivationKind
  let panelBytes: Int
  let storage: AlignedBuffer<UInt8>

  /// - Parameters:
  ///   - rows: 1 or more; padded with zeros to whole panels inside.
  ///   - columns: 1 or more, a multiple of the stored format's block.
  ///   - source: the rows as a GGUF file holds them, any alignment.
  ///   - stored: the format of `source` if it is another than `format`, a float one: rows are then encoded in `format`
  ///     on their way, to the same bytes as by `QuantFormat.encode`; zeros fill a last block.
  ///   - limitsSums: encodes Q8_0 as `BlockQ8_0.encodeSumLimited` does, if the kernels are faster then.
  ///   - team: packs in parallel.
  ///   - arena: where the packed matrix shall lie; without one it takes memory of its own.
  package init(
    rows: Int, columns: Int, format: QuantFormat, source: UnsafeRawBufferPointer, stored: QuantFormat? = nil,
    limitsSums: Bool = false, kernels: KernelSet, team: WorkerTeam, arena: MemoryArena? = nil
  ) throws(MatmulError) {
    let stored = stored ?? format
    precondition(stored == format || !stored.isQuantized, "PackedMatrix: only float formats are encoded anew")
    guard rows > 0, columns > 0, columns % stored.blockSize == 0 else {
      throw .shape(rows: rows, columns: columns, format: stored)
    }
    let panels = (rows - 1) / PanelLayout.rows + 1
    guard let padded = format.wholeBlocks(columns), let rowBytes = format.byteCount(elements: padded),
      let storedBytes = stored.byteCount(elements: columns),
      let panelBytes = PanelLayout.bytes(format, columns: padded),
      case let (expected, false) = storedBytes.multipliedReportingOverflow(by: rows),
      case let (total, false) = panelBytes.multipliedReportingOverflow(by: panels)
    else { throw .tooLarge(rows: rows, columns: columns, format: format) }
    guard source.count == expected, let base = source.baseAddress else {
      throw .sourceSize(expected: expected, found: source.count)
    }
    self.rows = rows
    self.columns = columns
    paddedColumns = padded
    self.format = format
    let isLimited = limitsSums && stored != format && format == .q8_0 && kernels.matmul.limited != nil
    self.isLimited = isLimited
    activations = isLimited ? .limited32 : PanelFormat(format).activations
    self.panelBytes = panelBytes
    let storage = arena?.allocate(total) ?? AlignedBuffer<UInt8>(count: total, zeroed: false)
    self.storage = storage
    let encoder = RowEncoder(
      from: stored, to: format, columns: columns, limitsSums: isLimited, kernels: kernels.vector)
    // Sixteen rows for each worker: those to be encoded, and the last ones of a matrix that end inside a panel.
    let staged = PanelLayout.rows * rowBytes
    let staging = AlignedBuffer<UInt8>(
      count: stored != format ? team.threads * staged : rows % PanelLayout.rows != 0 ? staged : 0, zeroed: false)
    nonisolated(unsafe) let source = base
    team.parallel(panels, grain: max(1, (1 << 16) / panelBytes)) { range, worker in
      for panel in range {
        let first = panel * PanelLayout.rows
        let count = min(PanelLayout.rows, rows - first)
        var place = source + first * storedBytes
        if stored != format || count < PanelLayout.rows {
          let copy = UnsafeMutableRawPointer(staging.pointer) + (stored != format ? worker * staged : 0)
          if stored != format {
            for row in 0..<count { encoder.encode(place + row * storedBytes, into: copy + row * rowBytes) }
          } else {
            copy.copyMemory(from: place, byteCount: count * rowBytes)
          }
          (copy + count * rowBytes).initializeMemory(
            as: UInt8.self, repeating: 0, count: (PanelLayout.rows - count) * rowBytes)
          place = UnsafeRawPointer(copy)
        }
        packPanel(
          format, place, rowBytes: rowBytes, columns: padded,
          into: UnsafeMutableRawPointer(storage.pointer) + panel * panelBytes)
      }
    }
  }

  package var byteCount: Int { storage.byteCount }

  var panels: Int { (rows - 1) / PanelLayout.rows + 1 }

  func panel(_ index: Int) -> UnsafeRawPointer { UnsafeRawPointer(storage.pointer) + index * panelBytes }
}

/// Rows of one float format -> rows of another format, by the kernels where they know the pair.
private struct RowEncoder {
  let from: QuantFormat
  let to: QuantFormat
  /// Of a stored row; what lacks of the last block are zeros.
  let columns: Int
  let limitsSums: Bool
  let kernels: VectorKernels

  func encode(_ row: UnsafeRawPointer, into target: UnsafeMutableRawPointer) {
    let whole = columns / to.blockSize * to.blockSize
    encode(row, whole, into: target)
    guard whole < columns, let done = to.byteCount(elements: whole), let skipped = from.byteCount(elements: whole),
      let rest = from.byteCount(elements: columns - whole), let block = from.byteCount(elements: to.blockSize)
    else { return }
    // All bits zero are 0 in every float format.
    withUnsafeTemporaryAllocation(byteCount: block, alignment: 64) { last in
      guard let base = last.initializeMemory(as: UInt8.self, repeating: 0).baseAddress else { return }
      let start = UnsafeMutableRawPointer(base)
      start.copyMemory(from: row + skipped, byteCount: rest)
      encode(start, to.blockSize, into: target + done)
    }
  }

  /// Whole blocks.
  private func encode(_ row: UnsafeRawPointer, _ count: Int, into target: UnsafeMutableRawPointer) {
    switch (from, to) {
    case (.f16, .q8_0):
      kernels.requantizeHalves(row.assumingMemoryBound(to: UInt16.self), target, count, limitsSums)
    case (.f32, .q8_0):
      kernels.requantizeFloats(row.assumingMemoryBound(to: Float.self), target, count, limitsSums)
    default:
      withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { floats in
        guard let values = floats.baseAddress else { return }
        from.decode(row, count: count, into: values)
        if to == .q8_0 {
          kernels.requantizeFloats(values, target, count, limitsSums)
        } else {
          to.encode(values, count: count, into: target)
        }
      }
    }
  }
}
