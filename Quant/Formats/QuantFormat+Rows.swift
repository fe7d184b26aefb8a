/// Helpers for whole rows of a matrix stored in blocks.
extension QuantFormat {
  /// One row of an embedding table.
  /// - Parameters:
  ///   - row: 0..<rows; the caller has checked it.
  ///   - table: `byteCount(elements: rows * columns)` readable bytes.
  ///   - columns: a multiple of `blockSize`.
  ///   - destination: room for `columns` floats.
  package func decodeRow(
    _ row: Int, of table: UnsafeRawPointer, columns: Int, into destination: UnsafeMutablePointer<Float>
  ) {
    precondition(row >= 0, "QuantFormat.decodeRow: negative row")
    decode(table + row * (columns / blockSize * blockBytes), count: columns, into: destination)
  }

  /// Whether `count` stored numbers are finite: the numbers themselves of the floating-point formats, the scales of
  /// the block formats.
  package func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool {
    switch self {
    case .f32: words(source, count, 4, 0, UInt32.self, 0x7f80_0000)
    case .f16: words(source, count, 2, 0, UInt16.self, 0x7c00)
    case .bf16: words(source, count, 2, 0, UInt16.self, 0x7f80)
    case .q4_0: words(source, count / blockSize, blockBytes, BlockQ4_0.d, UInt16.self, 0x7c00)
    case .q8_0: words(source, count / blockSize, blockBytes, BlockQ8_0.d, UInt16.self, 0x7c00)
    case .q4_K, .q5_K:
      words(source, count / blockSize, blockBytes, BlockQ4_K.d, UInt16.self, 0x7c00)
        && words(source, count / blockSize, blockBytes, BlockQ4_K.dmin, UInt16.self, 0x7c00)
    case .q6_K: words(source, count / blockSize, blockBytes, BlockQ6_K.d, UInt16.self, 0x7c00)
    }
  }

  /// Whether no word has all its exponent bits set.
  @inline(__always)
  private func words<Word: FixedWidthInteger & BitwiseCopyable>(
    _ source: UnsafeRawPointer, _ count: Int, _ stride: Int, _ offset: Int, _: Word.Type, _ exponent: Word
  ) -> Bool {
    var bad = false
    for i in 0..<count {
      let word = source.loadUnaligned(fromByteOffset: i * stride + offset, as: Word.self)
      bad = bad || word & exponent == exponent
    }
    return !bad
  }
}
