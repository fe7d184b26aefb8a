/// What a stored format's blocks mean: the reference that every faster path is tested against. A format is described by
/// one conforming type; `QuantFormat` lists them.
///
/// `decode` and `encode` equal ggml's reference functions block for block; all of it is little-endian. Pointers may have
/// any alignment.
package protocol BlockFormat {
  /// The name as `gguf` tools print it: "F16", "Q4_0", "Q4_K".
  static var name: String { get }
  /// Elements that share scales; a row holds whole blocks only.
  static var elements: Int { get }
  /// Bytes of one block.
  static var bytes: Int { get }
  /// What multiplies a whole block; nil for plain floating point.
  static var factors: BlockFactors? { get }

  /// One block.
  static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>)
  /// One block. Infinities and NaNs never trap; what stands in the block afterwards is unspecified.
  static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer)

  /// `count` numbers, whole blocks.
  static func decode(_ source: UnsafeRawPointer, count: Int, into x: UnsafeMutablePointer<Float>)
  static func encode(_ x: UnsafePointer<Float>, count: Int, into target: UnsafeMutableRawPointer)
  /// Whether `count` stored numbers are finite: the numbers themselves of the floating-point formats, the factors of
  /// the block formats.
  static func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool
}

/// Where a block holds the numbers that multiply all others: byte offsets.
package struct BlockFactors: Sendable, Equatable {
  package enum Coding: Sendable {
    /// IEEE 754 binary16.
    case half
    /// A byte e, 2^(e - 127); 255 is no number (OCP Microscaling Formats 1.0: E8M0).
    case exponent
  }

  package let coding: Coding
  package let scale: Int
  /// Of the number that offsets the block, or multiplies its sub-blocks' offsets.
  package let minimum: Int?

  package static func half(_ scale: Int, minimum: Int? = nil) -> BlockFactors {
    BlockFactors(coding: .half, scale: scale, minimum: minimum)
  }

  package static func exponent(_ scale: Int) -> BlockFactors {
    BlockFactors(coding: .exponent, scale: scale, minimum: nil)
  }
}

extension BlockFormat {
  package static func decode(_ source: UnsafeRawPointer, count: Int, into x: UnsafeMutablePointer<Float>) {
    for i in 0..<count / elements { decode(source + i * bytes, into: x + i * elements) }
  }

  package static func encode(_ x: UnsafePointer<Float>, count: Int, into target: UnsafeMutableRawPointer) {
    for i in 0..<count / elements { encode(x + i * elements, into: target + i * bytes) }
  }

  package static func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool {
    guard let factors else { return true }
    var bad = false
    for i in 0..<count / elements {
      let block = source + i * bytes
      switch factors.coding {
      case .exponent: bad = bad || block.load(fromByteOffset: factors.scale, as: UInt8.self) == 255
      case .half:
        let scale = block.loadUnaligned(fromByteOffset: factors.scale, as: UInt16.self)
        let minimum = factors.minimum.map { block.loadUnaligned(fromByteOffset: $0, as: UInt16.self) } ?? 0
        bad = bad || scale & 0x7c00 == 0x7c00 || minimum & 0x7c00 == 0x7c00
      }
    }
    return !bad
  }
}
