/// IQ4_NL: 32 numbers in 18 bytes, x = d * value of `Codebook.iq4`.
///
///     offset  bytes
///     0       2      d, half
///     2       16     indices: byte i holds number i in its low nibble and number i + 16 in its high nibble
@usableFromInline
package enum BlockIQ4_NL: BlockFormat {
  package static var name: String { "IQ4_NL" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 18 }
  package static var factors: BlockFactors? { .half(d) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var quants: Int { 2 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    Codebook.decode(Codebook.iq4, block + quants, Half.float(block.loadUnaligned(as: UInt16.self)), into: x)
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    let d = CodebookSearch.scale(x)
    block.storeBytes(of: Half.bits(d), as: UInt16.self)
    CodebookSearch.store(x, d == 0 ? 0 : 1 / d, block + quants)
  }
}

/// IQ4_XS: 256 numbers in 136 bytes, eight sub-blocks of 32, x = d * (scale - 32) * value of `Codebook.iq4`.
///
///     offset  bytes
///     0       2      d, half
///     2       2      high two bits of the scales: bits 2 s and 2 s + 1 belong to sub-block s
///     4       4      low four bits: byte i holds scale 2 i in its low nibble and scale 2 i + 1 in its high nibble
///     8       128    indices, 16 bytes for each sub-block, as in IQ4_NL
@usableFromInline
package enum BlockIQ4_XS: BlockFormat {
  package static var name: String { "IQ4_XS" }
  @inlinable @inline(__always) package static var elements: Int { 256 }
  @inlinable @inline(__always) package static var bytes: Int { 136 }
  package static var factors: BlockFactors? { .half(d) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var highScales: Int { 2 }
  @inlinable @inline(__always) package static var lowScales: Int { 4 }
  @inlinable @inline(__always) package static var quants: Int { 8 }

  /// Scale `s` of 0..<8, -32...31.
  /// - Parameter block: 136 readable bytes, any alignment.
  @inlinable
  @inline(__always)
  package static func scale(_ block: UnsafeRawPointer, _ s: Int) -> Int8 {
    let low = block.loadUnaligned(fromByteOffset: lowScales, as: UInt32.self)
    let high = block.loadUnaligned(fromByteOffset: highScales, as: UInt16.self)
    let code = (low &>> UInt32(truncatingIfNeeded: 4 &* s)) & 15
    let top = UInt32(high &>> UInt16(truncatingIfNeeded: 2 &* s)) & 3
    return Int8(truncatingIfNeeded: code | top << 4) &- 32
  }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(as: UInt16.self))
    for s in 0..<8 {
      let scale = d * Float(scale(block, s))
      Codebook.decode(Codebook.iq4, block + quants + 16 * s, scale, into: x + 32 * s)
    }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var scales = Lanes()
    var extreme: Float = 0
    for s in 0..<8 {
      scales[s] = CodebookSearch.scale(x + 32 * s)
      if scales[s].magnitude > extreme.magnitude { extreme = scales[s] }
    }
    let d = -extreme / 32
    let inverse = d == 0 ? 0 : 1 / d
    var (low, high) = (UInt32(0), UInt16(0))
    for s in 0..<8 {
      let level = max(-32, min(31, Rounding.nearest(inverse * scales[s])))
      let scale = d * Float(level)
      CodebookSearch.store(x + 32 * s, scale == 0 ? 0 : 1 / scale, block + quants + 16 * s)
      let code = UInt32(truncatingIfNeeded: level &+ 32)
      low |= (code & 15) &<< UInt32(4 * s)
      high |= UInt16(truncatingIfNeeded: code >> 4 & 3) &<< UInt16(2 * s)
    }
    block.storeBytes(of: Half.bits(d), as: UInt16.self)
    block.storeBytes(of: high, toByteOffset: highScales, as: UInt16.self)
    block.storeBytes(of: low, toByteOffset: lowScales, as: UInt32.self)
  }
}
