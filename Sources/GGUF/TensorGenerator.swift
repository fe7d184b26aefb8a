/// Makes the bytes of tensors that stand in no file: models that only have a shape, for measuring.
package protocol TensorGenerator: Sendable {
  /// Writes rows `rows` (rows of `dimensions[0]` elements) as the tensor's type stores them, one after the other. The bytes
  /// of a row depend on the tensor and the row alone, so that rows may be made in any order and on several threads.
  func write(_ tensor: GGUFTensorInfo, rows: Range<Int>, into bytes: UnsafeMutableRawPointer)
}

extension GGUFTensorInfo {
  /// Rows of `dimensions[0]` elements.
  package var rowCount: Int { dimensions.dropFirst().reduce(1, *) }
  package var bytesPerRow: Int { byteRange.count / max(rowCount, 1) }
}
