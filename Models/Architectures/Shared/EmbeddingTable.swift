import OccamGGUF
import OccamQuantFormats

/// Rows of an embedding table in the file's own format.
package final class EmbeddingTable: Sendable {
  private let file: GGUFFile
  private let info: GGUFTensorInfo
  private let format: QuantFormat
  package let rows: Int
  package let columns: Int

  init(file: GGUFFile, info: GGUFTensorInfo, format: QuantFormat, rows: Int, columns: Int) {
    self.file = file
    self.info = info
    self.format = format
    self.rows = rows
    self.columns = columns
  }

  /// Decodes row `index` into `columns` floats. The caller guarantees 0 <= index < rows.
  package func decode(_ index: Int, into target: UnsafeMutablePointer<Float>) {
    precondition(index >= 0 && index < rows, "EmbeddingTable: row out of range")
    if let generator = file.generator {
      return withUnsafeTemporaryAllocation(byteCount: info.bytesPerRow, alignment: 8) { row in
        guard let base = row.baseAddress else { return }
        generator.write(info, rows: index..<index + 1, into: base)
        format.decode(base, count: columns, into: target)
      }
    }
    guard let base = file.bytes(info).baseAddress else { return }
    format.decodeRow(index, of: base, columns: columns, into: target)
  }
}
