/// Conversions between floats and the formats of the KV cache.
public enum VectorKVFormats<L: VectorLanes> {
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

extension VectorKVFormats {
  /// Blocks of 4-bit integers, rounded as ggml's Q4_0: the number of largest magnitude becomes -8. What a last block lacks
  /// becomes 0.
  @inlinable
  public static func quantizeNibbles(
    _ x: UnsafePointer<Float>, _ out: UnsafeMutablePointer<UInt8>, _ scales: UnsafeMutablePointer<UInt16>, _ count: Int
  ) {
    var start = 0
    while start < count {
      let end = start + 32 < count ? start + 32 : count
      var largest: Float = 0
      var index = start
      while index < end {
        largest = largest.magnitude < x[index].magnitude ? x[index] : largest
        index += 1
      }
      let scale = largest / -8
      scales[start >> 5] = halfBits(scale)
      let inverse = scale != 0 ? 1 / scale : 0
      let bytes = out + start / 2
      index = 0
      while index < 16 {
        let low = start + index < end ? nibble(x[start + index] * inverse) : 8
        let high = start + 16 + index < end ? nibble(x[start + 16 + index] * inverse) : 8
        bytes[index] = low | high << 4
        index += 1
      }
      start = end
    }
  }

  /// -8...8 -> 0...15, halves upwards.
  @inlinable @inline(__always)
  public static func nibble(_ value: Float) -> UInt8 {
    let shifted = value + 8.5
    // Adding 2^23 rounds to nearest and leaves the integer in the low mantissa bits; `floor` would be a call where the
    // processor's baseline has no such instruction.
    let sum = shifted + 8_388_608
    let floor = sum.bitPattern &- (sum - 8_388_608 > shifted ? 1 : 0)
    return UInt8(truncatingIfNeeded: floor & 0x1F > 15 ? 15 : floor & 0x1F)
  }

  @inlinable
  public static func dequantizeKeyNibbles(
    _ values: UnsafePointer<UInt8>, _ scales: UnsafePointer<UInt16>, _ out: UnsafeMutablePointer<Float>,
    _ dimension: Int
  ) {
    withUnsafeTemporaryAllocation(byteCount: 128, alignment: 64) { memory in
      guard let base = memory.baseAddress else { return }
      let bytes = base.assumingMemoryBound(to: Int8.self)
      var start = 0
      while start < dimension {
        let s = scales + start * 2
        let s0 = L.widen(s)
        let s1 = L.widen(s + 16)
        let s2 = L.widen(s + 32)
        let s3 = L.widen(s + 48)
        var index = 0
        while index < 16, start + index < dimension {
          splitNibbles(UnsafeRawPointer(values + start * 32 + index * 64), base, words: 8)
          let low = out + (start + index) * 64
          storeKey(bytes, s0, s1, s2, s3, low)
          if start + 16 + index < dimension { storeKey(bytes + 64, s0, s1, s2, s3, low + 16 * 64) }
          index += 1
        }
        start += 32
      }
    }
  }

  @inlinable @inline(__always)
  public static func storeKey(
    _ nibbles: UnsafePointer<Int8>, _ s0: Lanes16, _ s1: Lanes16, _ s2: Lanes16, _ s3: Lanes16,
    _ out: UnsafeMutablePointer<Float>
  ) {
    let zero = Lanes16(repeating: 8)
    store16((L.widen(nibbles) - zero) * s0, out)
    store16((L.widen(nibbles + 16) - zero) * s1, out + 16)
    store16((L.widen(nibbles + 32) - zero) * s2, out + 32)
    store16((L.widen(nibbles + 48) - zero) * s3, out + 48)
  }

  @inlinable
  public static func dequantizeValueNibbles(
    _ values: UnsafePointer<UInt8>, _ scales: UnsafePointer<UInt16>, _ out: UnsafeMutablePointer<Float>, _ rows: Int,
    _ dimension: Int
  ) {
    withUnsafeTemporaryAllocation(byteCount: 32, alignment: 64) { memory in
      guard let base = memory.baseAddress else { return }
      let bytes = base.assumingMemoryBound(to: Int8.self)
      let zero = Lanes16(repeating: 8)
      let blocks = rows * (dimension >> 5)
      var block = 0
      while block < blocks {
        splitNibbles(UnsafeRawPointer(values + block * 16), base, words: 2)
        let scale = Lanes16(repeating: floatFromHalf(scales[block]))
        store16((L.widen(bytes) - zero) * scale, out + block * 32)
        store16((L.widen(bytes + 16) - zero) * scale, out + block * 32 + 16)
        block += 1
      }
    }
  }

  /// The low halves of `words` times 8 bytes, and behind them the high ones.
  @inlinable @inline(__always)
  public static func splitNibbles(_ packed: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, words: Int) {
    var index = 0
    while index < words {
      let word = packed.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)
      out.storeBytes(of: word & 0x0F0F_0F0F_0F0F_0F0F, toByteOffset: index * 8, as: UInt64.self)
      out.storeBytes(of: word >> 4 & 0x0F0F_0F0F_0F0F_0F0F, toByteOffset: (words + index) * 8, as: UInt64.self)
      index += 1
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
