/// Conversions between floats and the formats of the KV cells.
public enum VectorCells<L: VectorLanes> {
  @inlinable
  public static func narrow(_ x: UnsafePointer<Float>, _ out: UnsafeMutablePointer<UInt16>, _ count: Int) {
    var index = 0
    while index < count {
      out[index] = halfBits(x[index])
      index += 1
    }
  }

  @inlinable
  public static func widen(_ halves: UnsafePointer<UInt16>, _ out: UnsafeMutablePointer<Float>, _ count: Int) {
    let whole = count & ~15
    var index = 0
    while index < whole {
      store16(L.widen(halves + index), out + index)
      index += 16
    }
    while index < count {
      out[index] = floatFromHalf(halves[index])
      index += 1
    }
  }

  @inlinable
  public static func quantize(
    _ x: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Int8>, _ scales: UnsafeMutablePointer<UInt16>, _ count: Int
  ) {
    var start = 0
    while start < count {
      let end = start + 32 < count ? start + 32 : count
      var largest: Float = 0
      var index = start
      while index < end {
        let magnitude = x[index].magnitude
        largest = largest < magnitude ? magnitude : largest
        index += 1
      }
      scales[start >> 5] = halfBits(largest / 127)
      let inverse = largest > 0 ? 127 / largest : 0
      index = start
      while index < end {
        // Adding 1.5 * 2^23 rounds to nearest and leaves the integer in the low mantissa bits.
        out[index] = Int8(truncatingIfNeeded: (x[index] * inverse + 12_582_912).bitPattern)
        index += 1
      }
      start = end
    }
  }

  @inlinable
  public static func dequantizeKeys(
    _ values: UnsafePointer<Int8>, _ scales: UnsafePointer<UInt16>, _ out: UnsafeMutablePointer<Float>,
    _ dimension: Int
  ) {
    var start = 0
    while start < dimension {
      let s = scales + (start >> 5) * 64
      let s0 = L.widen(s)
      let s1 = L.widen(s + 16)
      let s2 = L.widen(s + 32)
      let s3 = L.widen(s + 48)
      let end = start + 32 < dimension ? start + 32 : dimension
      while start < end {
        let v = values + start * 64
        let o = out + start * 64
        store16(L.widen(v) * s0, o)
        store16(L.widen(v + 16) * s1, o + 16)
        store16(L.widen(v + 32) * s2, o + 32)
        store16(L.widen(v + 48) * s3, o + 48)
        start += 1
      }
    }
  }

  @inlinable
  public static func dequantizeValues(
    _ values: UnsafePointer<Int8>, _ scales: UnsafePointer<UInt16>, _ out: UnsafeMutablePointer<Float>, _ rows: Int,
    _ dimension: Int
  ) {
    let blocks = rows * (dimension >> 5)
    var block = 0
    while block < blocks {
      let scale = Lanes16(repeating: floatFromHalf(scales[block]))
      store16(L.widen(values + block * 32) * scale, out + block * 32)
      store16(L.widen(values + block * 32 + 16) * scale, out + block * 32 + 16)
      block += 1
    }
  }
}

/// Binary16 bits of a float, rounded to nearest even; too large becomes infinity. Selects only, so that loops over it
/// become vector code under any instruction set.
@inlinable @inline(__always)
public func halfBits(_ value: Float) -> UInt16 {
  let sign = (value.bitPattern >> 16) & 0x8000
  let magnitude = value.bitPattern & 0x7FFF_FFFF
  // Below 2^-14 the result is subnormal: adding 0.5 leaves its bits, rounded, at the end of the mantissa.
  let small = (Float(bitPattern: magnitude) + 0.5).bitPattern &- 0x3F00_0000
  // Otherwise rebias the exponent by 127 - 15 and round at bit 13.
  let normal = (magnitude &+ 0xC800_0FFF &+ ((magnitude >> 13) & 1)) >> 13
  let special: UInt32 = magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00
  let finite = magnitude < 0x3880_0000 ? small : normal
  return UInt16(truncatingIfNeeded: sign | (magnitude >= 0x4780_0000 ? special : finite))
}

/// The float of binary16 bits: exponent and mantissa shifted into place, then rebiased by a multiplication, which
/// also normalises subnormals.
@inlinable @inline(__always)
public func floatFromHalf(_ bits: UInt16) -> Float {
  let magnitude = Float(bitPattern: UInt32(bits & 0x7FFF) << 13) * Float(bitPattern: 0x7780_0000)
  let special: UInt32 = magnitude >= 65536 ? 0x7F80_0000 : 0
  return Float(bitPattern: magnitude.bitPattern | special | UInt32(bits & 0x8000) << 16)
}
