/// Float to small integer without a conversion that could trap, and without a call into libm.
enum Rounding {
  /// 1.5 * 2^23: a float of magnitude up to 2^22 added to it is rounded to an integer (ties to even), which then
  /// stands in the low mantissa bits.
  static var magic: Float { 12_582_912 }

  /// The nearest integer, ties to even, for |v| <= 2^22; anything else gives some number.
  @inline(__always)
  static func nearest(_ v: Float) -> Int32 {
    Int32(truncatingIfNeeded: (v + magic).bitPattern & 0x7f_ffff) &- 0x40_0000
  }

  /// The nearest integer, ties away from zero, for |v| <= 127.5; anything else gives some number.
  @inline(__always)
  static func awayFromZero(_ v: Float) -> Int8 {
    let sum = v + magic
    let rest = v - (sum - magic)
    // A tie went to the even side: push it outwards where that was inwards.
    let up: UInt32 = rest == 0.5 && v > 0 ? 1 : 0
    let down: UInt32 = rest == -0.5 && v < 0 ? 1 : 0
    return Int8(truncatingIfNeeded: sum.bitPattern &+ up &- down)
  }

  /// The largest whole number up to v, within 0...highest, which is below 256; 0 for a NaN.
  @inline(__always)
  static func floor(_ v: Float, _ highest: Float) -> UInt8 {
    // Comparisons in this order send a NaN to 0.
    let bounded = v > 0 ? (v < highest ? v : highest) : 0
    let nearest = bounded + magic
    let down: UInt32 = nearest - magic > bounded ? 1 : 0
    return UInt8(truncatingIfNeeded: nearest.bitPattern &- down)
  }

  /// v limited to `range` and rounded to the nearest integer, ties to even; the lower bound for a NaN.
  @inline(__always)
  static func level(_ v: Lanes, _ lowest: Float, _ highest: Float) -> Lanes {
    let low = Lanes(repeating: lowest)
    let high = Lanes(repeating: highest)
    let bounded = low.replacing(with: v.replacing(with: high, where: v .> high), where: v .>= low)
    let magic = Lanes(repeating: magic)
    return (bounded + magic) - magic
  }

  /// Whole numbers 0...255 as bytes.
  @inline(__always)
  static func bytes(_ levels: Lanes) -> SIMD8<UInt8> {
    let sums = unsafeBitCast(levels + Lanes(repeating: magic), to: SIMD8<UInt32>.self)
    return SIMD8<UInt8>(truncatingIfNeeded: sums)
  }
}

/// One number of each of eight sub-blocks. The searches run on eight sub-blocks side by side: each lane adds in the
/// order of a plain loop, so that the result does not depend on the width of the machine's vectors.
typealias Lanes = SIMD8<Float>
