/// Q5_0: 32 numbers in 22 bytes, x = d * (q - 16).
///
///     offset  bytes
///     0       2      d, half
///     2       4      fifth bits: bit i belongs to number i
///     6       16     low four bits: byte i holds number i in its low nibble and number i + 16 in its high nibble
@usableFromInline
package enum BlockQ5_0: BlockFormat {
  package static var name: String { "Q5_0" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 22 }
  package static var factors: BlockFactors? { .half(d) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var highBits: Int { 2 }
  @inlinable @inline(__always) package static var quants: Int { 6 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    FiveBits.forEach(high: block + Self.highBits, quants: block + Self.quants) { i, q in
      x[i] = Float(Int32(q) &- 16) * d
    }
  }

  /// The number of largest magnitude becomes exactly -16 steps.
  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var magnitude: Float = 0
    var extreme: Float = 0
    for i in 0..<32 where x[i].magnitude > magnitude {
      magnitude = x[i].magnitude
      extreme = x[i]
    }
    let d = extreme / -16
    let inverse = d == 0 ? 0 : 1 / d
    block.storeBytes(of: Half.bits(d), toByteOffset: Self.d, as: UInt16.self)
    FiveBits.store(high: block + Self.highBits, quants: block + Self.quants) { i in
      Rounding.floor(x[i] * inverse + 16.5, 31)
    }
  }
}

/// Q5_1: 32 numbers in 24 bytes, x = d * q + m.
///
///     offset  bytes
///     0       2      d, half
///     2       2      m, half
///     4       4      fifth bits, as in Q5_0
///     8       16     low four bits, as in Q5_0
@usableFromInline
package enum BlockQ5_1: BlockFormat {
  package static var name: String { "Q5_1" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 24 }
  package static var factors: BlockFactors? { .half(d, minimum: m) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var m: Int { 2 }
  @inlinable @inline(__always) package static var highBits: Int { 4 }
  @inlinable @inline(__always) package static var quants: Int { 8 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let m = Half.float(block.loadUnaligned(fromByteOffset: Self.m, as: UInt16.self))
    FiveBits.forEach(high: block + Self.highBits, quants: block + Self.quants) { i, q in x[i] = Float(q) * d + m }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    let range = BlockRange(x, steps: 31)
    block.storeBytes(of: Half.bits(range.step), toByteOffset: Self.d, as: UInt16.self)
    block.storeBytes(of: Half.bits(range.lowest), toByteOffset: Self.m, as: UInt16.self)
    FiveBits.store(high: block + Self.highBits, quants: block + Self.quants) { range.level(x[$0], 31) }
  }
}

/// 32 numbers of five bits: a word of fifth bits and 16 bytes of nibbles.
private enum FiveBits {
  @inline(__always)
  static func forEach(high: UnsafeRawPointer, quants: UnsafeRawPointer, _ body: (_ index: Int, _ q: UInt8) -> Void) {
    let fifths = high.loadUnaligned(as: UInt32.self)
    let quants = quants.assumingMemoryBound(to: UInt8.self)
    for i in 0..<16 {
      let (first, second) = (fifths &>> UInt32(i), fifths &>> UInt32(i + 16))
      body(i, quants[i] & 15 | UInt8(truncatingIfNeeded: first & 1) << 4)
      body(i + 16, quants[i] >> 4 | UInt8(truncatingIfNeeded: second & 1) << 4)
    }
  }

  @inline(__always)
  static func store(high: UnsafeMutableRawPointer, quants: UnsafeMutableRawPointer, _ level: (_ index: Int) -> UInt8) {
    var fifths: UInt32 = 0
    for i in 0..<16 {
      let (first, second) = (level(i), level(i + 16))
      fifths |= UInt32(first >> 4) &<< UInt32(i) | UInt32(second >> 4) &<< UInt32(i + 16)
      quants.storeBytes(of: first & 15 | (second & 15) << 4, toByteOffset: i, as: UInt8.self)
    }
    high.storeBytes(of: fifths, as: UInt32.self)
  }
}
