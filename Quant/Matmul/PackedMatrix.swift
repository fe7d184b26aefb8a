import OccamCore
import OccamKernelContract
import OccamQuantFormats

/// A weight matrix in the kernels' own order (`PanelLayout`): `rows` outputs by `columns` inputs.
///
/// As large as the file's bytes within 3 percent; the source is not kept.
package final class PackedMatrix: Sendable {
  package let rows: Int
  package let columns: Int
  package let format: QuantFormat
  let panelBytes: Int
  let storage: AlignedBuffer<UInt8>

  /// - Parameters:
  ///   - rows: 1 or more; padded with zeros to whole panels inside.
  ///   - columns: 1 or more, a multiple of the format's block.
  ///   - source: the rows as a GGUF file holds them, any alignment.
  ///   - team: packs in parallel.
  package init(
    rows: Int, columns: Int, format: QuantFormat, source: UnsafeRawBufferPointer, kernels: KernelSet, team: WorkerTeam
  ) throws(MatmulError) {
    guard rows > 0, columns > 0, columns % format.blockSize == 0 else {
      throw .shape(rows: rows, columns: columns, format: format)
    }
    let panels = (rows - 1) / PanelLayout.rows + 1
    guard let rowBytes = format.byteCount(elements: columns),
      let panelBytes = PanelLayout.bytes(format, columns: columns),
      case let (expected, false) = rowBytes.multipliedReportingOverflow(by: rows),
      case let (total, false) = panelBytes.multipliedReportingOverflow(by: panels)
    else { throw .tooLarge(rows: rows, columns: columns, format: format) }
    guard source.count == expected, let base = source.baseAddress else {
      throw .sourceSize(expected: expected, found: source.count)
    }
    self.rows = rows
    self.columns = columns
    self.format = format
    self.panelBytes = panelBytes
    let storage = AlignedBuffer<UInt8>(count: total, zeroed: false)
    self.storage = storage
    nonisolated(unsafe) let source = base
    team.parallel(panels, grain: max(1, (1 << 16) / panelBytes)) { range, _ in
      for panel in range {
        let first = panel * PanelLayout.rows
        packPanel(
          format, source + first * rowBytes, rowBytes: rowBytes, rows: min(PanelLayout.rows, rows - first),
          columns: columns, into: UnsafeMutableRawPointer(storage.pointer) + panel * panelBytes)
      }
    }
  }

  package var byteCount: Int { storage.byteCount }

  var panels: Int { (rows - 1) / PanelLayout.rows + 1 }

  func panel(_ index: Int) -> UnsafeRawPointer { UnsafeRawPointer(storage.pointer) + index * panelBytes }
}
