/// How a tensor's numbers are stored. The raw value is the type id in a GGUF tensor table.
package enum QuantFormat: UInt32, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case iq4_nl = 20
  case iq4_xs = 23
  case bf16 = 30
  case mxfp4 = 39

  /// The description of its blocks, from which everything below follows.
  package var blocks: any BlockFormat.Type {
    switch self {
    case .f32: PlainF32.self
    case .f16: PlainF16.self
    case .bf16: PlainBF16.self
    case .q4_0: BlockQ4_0.self
    case .q4_1: BlockQ4_1.self
    case .q5_0: BlockQ5_0.self
    case .q5_1: BlockQ5_1.self
    case .q8_0: BlockQ8_0.self
    case .q2_K: BlockQ2_K.self
    case .q3_K: BlockQ3_K.self
    case .q4_K: BlockQ4_K.self
    case .q5_K: BlockQ5_K.self
    case .q6_K: BlockQ6_K.self
    case .iq4_nl: BlockIQ4_NL.self
    case .iq4_xs: BlockIQ4_XS.self
    case .mxfp4: BlockMXFP4.self
    }
  }
}

extension QuantFormat {
  /// The name as `gguf` tools print it: "F16", "Q4_0", "Q4_K".
  package var name: String { blocks.name }

  /// The format of that name, in whatever case it is written.
  package init?(name: String) {
    let upper = name.uppercased()
    guard let format = QuantFormat.allCases.first(where: { $0.name == upper }) else { return nil }
    self = format
  }

  /// Elements that share scales; a row holds whole blocks only.
  package var blockSize: Int { blocks.elements }

  /// Bytes of one block.
  package var blockBytes: Int { blocks.bytes }

  /// What multiplies a whole block; nil for plain floating point.
  package var factors: BlockFactors? { blocks.factors }

  /// Whether blocks with shared scales stand for the numbers; false for plain floating point.
  package var isQuantized: Bool { factors != nil }

  /// Bytes of `elements` numbers; nil when they are negative, no whole number of blocks, or too many to count.
  package func byteCount(elements: Int) -> Int? {
    let blocks = blocks
    guard elements >= 0, elements % blocks.elements == 0 else { return nil }
    let (bytes, overflow) = (elements / blocks.elements).multipliedReportingOverflow(by: blocks.bytes)
    return overflow ? nil : bytes
  }

  /// `elements` up to a whole number of blocks; nil when they are negative or too many to count.
  package func wholeBlocks(_ elements: Int) -> Int? {
    let size = blockSize
    guard elements >= 0, elements <= Int.max - size else { return nil }
    return (elements + size - 1) / size * size
  }

  /// Bytes -> `count` floats.
  /// - Parameters:
  ///   - source: `byteCount(elements: count)` readable bytes, any alignment.
  ///   - count: a multiple of `blockSize`.
  ///   - destination: room for `count` floats.
  package func decode(_ source: UnsafeRawPointer, count: Int, into destination: UnsafeMutablePointer<Float>) {
    let blocks = blocks
    precondition(count >= 0 && count % blocks.elements == 0, "QuantFormat.decode: no whole number of blocks")
    blocks.decode(source, count: count, into: destination)
  }

  /// `count` floats -> bytes. Infinities and NaNs never trap; what stands in their block afterwards is unspecified.
  /// - Parameters:
  ///   - count: a multiple of `blockSize`.
  ///   - destination: room for `byteCount(elements: count)` bytes, any alignment.
  package func encode(_ source: UnsafePointer<Float>, count: Int, into destination: UnsafeMutableRawPointer) {
    let blocks = blocks
    precondition(count >= 0 && count % blocks.elements == 0, "QuantFormat.encode: no whole number of blocks")
    blocks.encode(source, count: count, into: destination)
  }

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
    let blocks = blocks
    decode(table + row * (columns / blocks.elements * blocks.bytes), count: columns, into: destination)
  }

  /// Whether `count` stored numbers are finite: the numbers themselves of the floating-point formats, the factors of
  /// the block formats.
  package func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool { blocks.isFinite(source, count: count) }
}
