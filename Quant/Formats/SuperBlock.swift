/// What the K formats share: 256 numbers in a super-block, cut into sub-blocks whose scales are quantized themselves.
@usableFromInline
package enum SuperBlock {
  @inlinable @inline(__always) package static var elements: Int { 256 }
}

/// Q4_K and Q5_K: eight 6-bit scales and eight 6-bit mins in 12 bytes.
///
///     byte i, i in 0..<4   low 6 bits: scale i      high 2 bits: top of scale i + 4
///     byte 4 + i           low 6 bits: min i        high 2 bits: top of min i + 4
///     byte 8 + i           low nibble: rest of scale i + 4   high nibble: rest of min i + 4
@usableFromInline
package enum SixBitScales {
  @inlinable @inline(__always) package static var bytes: Int { 12 }

  /// All eight scales and mins, 0...63, in sub-block order. `packed`: 12 readable bytes, any alignment.
  @inlinable
  @inline(__always)
  package static func unpack(_ packed: UnsafeRawPointer) -> (scales: SIMD8<UInt8>, mins: SIMD8<UInt8>) {
    let (scales, mins) = unpackWords(packed)
    return (unsafeBitCast(scales, to: SIMD8<UInt8>.self), unsafeBitCast(mins, to: SIMD8<UInt8>.self))
  }

  /// As `unpack`, byte j of each word being sub-block j (little-endian).
  @inlinable
  @inline(__always)
  package static func unpackWords(_ packed: UnsafeRawPointer) -> (scales: UInt64, mins: UInt64) {
    let a = packed.loadUnaligned(as: UInt32.self)
    let b = packed.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
    let c = packed.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
    let upperScales = (c & 0x0f0f_0f0f) | ((a >> 2) & 0x3030_3030)
    let upperMins = ((c >> 4) & 0x0f0f_0f0f) | ((b >> 2) & 0x3030_3030)
    return (
      UInt64(a & 0x3f3f_3f3f) | UInt64(upperScales) << 32,
      UInt64(b & 0x3f3f_3f3f) | UInt64(upperMins) << 32
    )
  }

  /// The inverse of `unpack`; numbers above 63 are cut to 6 bits.
  package static func pack(scales: SIMD8<UInt8>, mins: SIMD8<UInt8>, into packed: UnsafeMutableRawPointer) {
    for i in 0..<4 {
      let (scale, min) = (scales[i + 4], mins[i + 4])
      packed.storeBytes(of: (scales[i] & 63) | (scale >> 4) << 6, toByteOffset: i, as: UInt8.self)
      packed.storeBytes(of: (mins[i] & 63) | (min >> 4) << 6, toByteOffset: 4 + i, as: UInt8.self)
      packed.storeBytes(of: (scale & 15) | (min & 15) << 4, toByteOffset: 8 + i, as: UInt8.self)
    }
  }
}
