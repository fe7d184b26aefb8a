import OccamCore
import OccamKernelContract
import OccamQuantFormats

/// A weight matrix in the kernels' own order (`PanelLayout`): `rows` outputs by `columns` inputs.
///
/// As large as the file's bytes within 3 percent, Q3_K and MXFP4 within 6; the source is not kept.
package final class PackedMatrix: Sendable {
  private let layout: PackedLayout
  /// nil: only measured.
  private let storage: SharedBytes?

  /// Of what packing makes of weights: to be raised with every change of a panel's bytes, so that nobody reads what an
  /// older version packed (`PackedWeightStore`). A test holds checksums of all formats.
  package static let layoutVersion = 1

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
    let layout = try PackedLayout(
      rows: rows, columns: columns, format: format, stored: stored ?? format, limitsSums: limitsSums, kernels: kernels)
    guard source.count == layout.sourceBytes, let base = source.baseAddress else {
      throw .sourceSize(expected: layout.sourceBytes, found: source.count)
    }
    let storage = arena?.allocate(layout.bytes) ?? AlignedBuffer<UInt8>(count: layout.bytes, zeroed: false)
    layout.pack(base, into: UnsafeMutableRawPointer(storage.pointer), kernels, team)
    self.layout = layout
    self.storage = SharedBytes(storage)
  }

  /// What was packed before, if `kept` has it.
  /// - Parameter kept: asked for the bytes of a matrix by what they depend on besides the stored rows (`variant`) and by
  ///   their count; 64-byte aligned.
  package init?(
    rows: Int, columns: Int, format: QuantFormat, stored: QuantFormat, limitsSums: Bool, kernels: KernelSet,
    kept: (_ variant: String, _ count: Int) -> SharedBytes?
  ) throws(MatmulError) {
    let layout = try PackedLayout(
      rows: rows, columns: columns, format: format, stored: stored, limitsSums: limitsSums, kernels: kernels)
    guard let storage = kept(layout.variant, layout.bytes), storage.count == layout.bytes,
      Int(bitPattern: storage.start) % 64 == 0
    else { return nil }
    self.layout = layout
    self.storage = storage
  }

  /// A matrix that knows what it would take and holds nothing: it must not be multiplied with.
  package init(
    measuring rows: Int, columns: Int, format: QuantFormat, stored: QuantFormat? = nil, kernels: KernelSet
  ) throws(MatmulError) {
    layout = try PackedLayout(
      rows: rows, columns: columns, format: format, stored: stored ?? format, limitsSums: false, kernels: kernels)
    storage = nil
  }

  package var rows: Int { layout.rows }
  package var columns: Int { layout.columns }
  package var format: QuantFormat { layout.format }
  package var byteCount: Int { layout.bytes }
  /// What the packed bytes depend on besides the stored rows: shape and formats.
  package var variant: String { layout.variant }
  /// nil: only measured.
  package var bytes: SharedBytes? { storage }

  /// `columns` up to a whole block.
  var paddedColumns: Int { layout.paddedColumns }
  /// Q8_0 with limited sums.
  var isLimited: Bool { layout.isLimited }
  /// What it multiplies with.
  var activations: ActivationKind { isLimited ? .limited32 : PanelFormat(format).activations }
  var panels: Int { layout.panels }
  var panelBytes: Int { layout.panelBytes }

  func panel(_ index: Int) -> UnsafeRawPointer {
    guard let storage else { preconditionFailure("PackedMatrix: multiplied with one that was only measured") }
    return storage.start + index * layout.panelBytes
  }
}

/// Sizes of a packed matrix and of its source.
private struct PackedLayout {
  let rows: Int
  let columns: Int
  let paddedColumns: Int
  let format: QuantFormat
  let stored: QuantFormat
  let isLimited: Bool
  let panels: Int
  let panelBytes: Int
  /// Of all panels.
  let bytes: Int
  /// Of a row in `format`.
  let rowBytes: Int
  /// Of a row in `stored`.
  let storedBytes: Int
  let sourceBytes: Int

  init(
    rows: Int, columns: Int, format: QuantFormat, stored: QuantFormat, limitsSums: Bool, kernels: KernelSet
  ) throws(MatmulError) {
    precondition(stored == format || !stored.isQuantized, "PackedMatrix: only float formats are encoded anew")
    guard rows > 0, columns > 0, columns % stored.blockSize == 0 else {
      throw .shape(rows: rows, columns: columns, format: stored)
    }
    panels = (rows - 1) / PanelLayout.rows + 1
    guard let paddedColumns = format.wholeBlocks(columns), let rowBytes = format.byteCount(elements: paddedColumns),
      let storedBytes = stored.byteCount(elements: columns),
      let panelBytes = PanelLayout.bytes(format, columns: paddedColumns),
      case let (sourceBytes, false) = storedBytes.multipliedReportingOverflow(by: rows),
      case let (bytes, false) = panelBytes.multipliedReportingOverflow(by: panels)
    else { throw .tooLarge(rows: rows, columns: columns, format: format) }
    (self.rows, self.columns, self.paddedColumns) = (rows, columns, paddedColumns)
    (self.format, self.stored) = (format, stored)
    isLimited = limitsSums && stored != format && format == .q8_0 && kernels.matmul.limited != nil
    (self.panelBytes, self.bytes) = (panelBytes, bytes)
    (self.rowBytes, self.storedBytes, self.sourceBytes) = (rowBytes, storedBytes, sourceBytes)
  }

  var variant: String {
    "\(rows)x\(columns) \(stored.name)" + (stored == format ? "" : ">\(format.name)") + (isLimited ? " limited" : "")
  }

  /// `sourceBytes` at `source` become `bytes` at `target`.
  func pack(
    _ source: UnsafeRawPointer, into target: UnsafeMutableRawPointer, _ kernels: KernelSet, _ team: WorkerTeam
  ) {
    let encoder = RowEncoder(
      from: stored, to: format, columns: columns, limitsSums: isLimited, kernels: kernels.vector)
    // Sixteen rows for each worker: those to be encoded, and the last ones of a matrix that end inside a panel.
    let staged = PanelLayout.rows * rowBytes
    let staging = AlignedBuffer<UInt8>(
      count: stored != format ? team.threads * staged : rows % PanelLayout.rows != 0 ? staged : 0, zeroed: false)
    nonisolated(unsafe) let (source, target) = (source, target)
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
        packPanel(format, place, rowBytes: rowBytes, columns: paddedColumns, into: target + panel * panelBytes)
      }
    }
  }
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
