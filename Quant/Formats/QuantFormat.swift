/// How a tensor's numbers are stored. The raw value is the type id in a GGUF tensor table.
///
/// `decode` and `encode` define what the bytes mean: every faster path in the package is tested against them. They
/// equal ggml's reference functions block for block; all of it is little-endian.
package enum QuantFormat: UInt32, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q8_0 = 8
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case bf16 = 30

  /// The name as `gguf` tools print it: "F16", "Q4_0", "Q4_K".
  package var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .bf16: "BF16"
    case .q4_0: "Q4_0"
    case .q8_0: "Q8_0"
    case .q4_K: "Q4_K"
    case .q5_K: "Q5_K"
    case .q6_K: "Q6_K"
    }
  }

  /// The format of that name, in whatever case it is written.
  package init?(name: String) {
    let upper = name.uppercased()
    guard let format = QuantFormat.allCases.first(where: { $0.name == upper }) else { return nil }
    self = format
  }

  /// Elements that share scales; a row holds whole blocks only.
  package var blockSize: Int {
    switch self {
    case .f32, .f16, .bf16: 1
    case .q4_0: BlockQ4_0.elements
    case .q8_0: BlockQ8_0.elements
    case .q4_K, .q5_K, .q6_K: SuperBlock.elements
    }
  }

  /// Bytes of one block.
  package var blockBytes: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .q4_0: BlockQ4_0.bytes
    case .q8_0: BlockQ8_0.bytes
    case .q4_K: BlockQ4_K.bytes
    case .q5_K: BlockQ5_K.bytes
    case .q6_K: BlockQ6_K.bytes
    }
  }

  /// Whether blocks with shared scales stand for the numbers; false for plain floating point.
  package var isQuantized: Bool { blockSize > 1 }

  /// Bytes of `elements` numbers; nil when they are negative, no whole number of blocks, or too many to count.
  package func byteCount(elements: Int) -> Int? {
    guard elements >= 0, elements % blockSize == 0 else { return nil }
    let (bytes, overflow) = (elements / blockSize).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }

  /// Bytes -> `count` floats.
  /// - Parameters:
  ///   - source: `byteCount(elements: count)` readable bytes, any alignment.
  ///   - count: a multiple of `blockSize`.
  ///   - destination: room for `count` floats.
  package func decode(_ source: UnsafeRawPointer, count: Int, into destination: UnsafeMutablePointer<Float>) {
    precondition(count >= 0 && count % blockSize == 0, "QuantFormat.decode: no whole number of blocks")
    switch self {
    case .f32: UnsafeMutableRawPointer(destination).copyMemory(from: source, byteCount: count * 4)
    case .f16:
      for i in 0..<count { destination[i] = Half.float(source.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self)) }
    case .bf16:
      for i in 0..<count {
        destination[i] = BrainFloat.float(source.loadUnaligned(fromByteOffset: i * 2, as: UInt16.self))
      }
    case .q4_0: decodeBlocks(source, count, destination, BlockQ4_0.decode)
    case .q8_0: decodeBlocks(source, count, destination, BlockQ8_0.decode)
    case .q4_K: decodeBlocks(source, count, destination, BlockQ4_K.decode)
    case .q5_K: decodeBlocks(source, count, destination, BlockQ5_K.decode)
    case .q6_K: decodeBlocks(source, count, destination, BlockQ6_K.decode)
    }
  }

  /// `count` floats -> bytes. Infinities and NaNs never trap; what stands in their block afterwards is unspecified.
  /// - Parameters:
  ///   - count: a multiple of `blockSize`.
  ///   - destination: room for `byteCount(elements: count)` bytes, any alignment.
  package func encode(_ source: UnsafePointer<Float>, count: Int, into destination: UnsafeMutableRawPointer) {
    precondition(count >= 0 && count % blockSize == 0, "QuantFormat.encode: no whole number of blocks")
    switch self {
    case .f32: destination.copyMemory(from: source, byteCount: count * 4)
    case .f16:
      for i in 0..<count { destination.storeBytes(of: Half.bits(source[i]), toByteOffset: i * 2, as: UInt16.self) }
    case .bf16:
      for i in 0..<count {
        destination.storeBytes(of: BrainFloat.bits(source[i]), toByteOffset: i * 2, as: UInt16.self)
      }
    case .q4_0: encodeBlocks(source, count, destination, BlockQ4_0.encode)
    case .q8_0: encodeBlocks(source, count, destination, BlockQ8_0.encode)
    case .q4_K: encodeBlocks(source, count, destination, BlockQ4_K.encode)
    case .q5_K: encodeBlocks(source, count, destination, BlockQ5_K.encode)
    case .q6_K: encodeBlocks(source, count, destination, BlockQ6_K.encode)
    }
  }

  @inline(__always)
  private func decodeBlocks(
    _ source: UnsafeRawPointer, _ count: Int, _ destination: UnsafeMutablePointer<Float>,
    _ block: (UnsafeRawPointer, UnsafeMutablePointer<Float>) -> Void
  ) {
    for i in 0..<count / blockSize { block(source + i * blockBytes, destination + i * blockSize) }
  }

  @inline(__always)
  private func encodeBlocks(
    _ source: UnsafePointer<Float>, _ count: Int, _ destination: UnsafeMutableRawPointer,
    _ block: (UnsafePointer<Float>, UnsafeMutableRawPointer) -> Void
  ) {
    for i in 0..<count / blockSize { block(source + i * blockSize, destination + i * blockBytes) }
  }
}
