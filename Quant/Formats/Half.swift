/// IEEE 754 half precision (binary16) without the compiler's soft-float calls, which cost tens of cycles each on
/// processors that are not assumed to have F16C. Every conversion is exact or rounds to nearest, ties to even.
@usableFromInline
package enum Half {
  /// The value of a half's bit pattern. A NaN keeps its payload.
  @inlinable
  @inline(__always)
  package static func float(_ bits: UInt16) -> Float {
    let magnitude = UInt32(bits & 0x7fff) << 13
    let exponent = magnitude & 0x0f80_0000
    // Bias 15 to bias 127; infinities and NaNs get the rest of the way to exponent 255.
    let normal = magnitude &+ (exponent == 0x0f80_0000 ? 224 << 23 : 112 << 23)
    // A subnormal becomes the mantissa of 2^-14 * 1.m, from which the hidden one is subtracted.
    let subnormal = Float(bitPattern: magnitude &+ (113 << 23)) - 0x1p-14
    return Float(bitPattern: (exponent == 0 ? subnormal.bitPattern : normal) | UInt32(bits & 0x8000) << 16)
  }

  /// The nearest half. Beyond 65,504 and its rounding interval: infinity; every NaN: 0x7e00 with its sign.
  @inlinable
  @inline(__always)
  package static func bits(_ value: Float) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
    let magnitude = value.bitPattern & 0x7fff_ffff
    if magnitude >= 0x4780_0000 { return sign | (magnitude > 0x7f80_0000 ? 0x7e00 : 0x7c00) }
    if magnitude < 0x3880_0000 {
      // Adding 0.5 leaves the half's subnormal mantissa in the low bits, rounded by the addition itself.
      return sign | UInt16(truncatingIfNeeded: (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3f00_0000)
    }
    let odd = (magnitude >> 13) & 1
    return sign | UInt16(truncatingIfNeeded: (magnitude &- (112 << 23) &+ 0xfff &+ odd) >> 13)
  }
}

/// bfloat16: the upper half of a Float.
@usableFromInline
package enum BrainFloat {
  @inlinable
  @inline(__always)
  package static func float(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// The nearest bfloat16, ties to even; a NaN stays one (quiet bit set).
  @inlinable
  @inline(__always)
  package static func bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    if bits & 0x7fff_ffff > 0x7f80_0000 { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
    return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16)
  }
}
