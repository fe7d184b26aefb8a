import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.arm.neon

/// Q4_K and Q5_K.
protocol AffineKernel: SuperKernel {}

extension AffineKernel {
  @inline(__always) static var hasTwoScales: Bool { false }
  @inline(__always) static var foldsScales: Bool { false }
  @inline(__always) static var minLines: Int { 2 }
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var quants: Int { SuperPanel.quants }
  @inline(__always) static var quadsAtOnce: Int { 8 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int, _ i: Int) -> (first: Words, second: Words) {
    let scales = widened(block + (SuperPanel.scales &+ 16 &* step &+ 4 &* i))
    return (scales, scales)
  }

  @inline(__always)
  static func mins(_ block: UnsafeRawPointer, _ i: Int, _ j: Int) -> (even: Bytes, odd: Bytes) {
    let pairs = block + (SuperPanel.mins &+ 8 &* i)
    return (joined(pairs), joined(pairs + 64))
  }
}

/// Two neighbouring pairs of sub-blocks, four rows of two bytes each, as one quad.
@inline(__always)
private func joined(_ pairs: UnsafeRawPointer) -> Bytes {
  let (first, second) = (pairs.load(as: SIMD4<UInt16>.self), pairs.load(fromByteOffset: 32, as: SIMD4<UInt16>.self))
  return unsafeBitCast(vcombine_u16(vzip1_u16(first, second), vzip2_u16(first, second)), to: Bytes.self)
}

/// Weights: 15 * 127 * 8 = 15,240; mins: 63 * 127 * 2 = 16,002.
enum TileQ4_K: AffineKernel {
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    nibbles(lines, j)
  }
}

/// Weights: 31 * 127 * 8 = 31,496.
enum TileQ5_K: AffineKernel {
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) { fiveBits(lines, j) }
}

/// Weights: 3 * 127 * 4; times their scales: 45 * 127 * 4 = 22,860; mins: 15 * 127 * 4.
enum TileQ2_K: SuperKernel {
  @inline(__always) static var hasTwoScales: Bool { true }
  @inline(__always) static var foldsScales: Bool { true }
  @inline(__always) static var minLines: Int { 4 }
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var quants: Int { SuperPanel2.quants }
  @inline(__always) static var lines: Int { 2 }
  @inline(__always) static var quadsAtOnce: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    twoBits(lines, j)
  }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int, _ i: Int) -> (first: Words, second: Words) {
    let pairs = block.load(fromByteOffset: SuperPanel2.scales &+ 32 &* step &+ 8 &* i, as: SIMD8<UInt8>.self)
    return separated(unsafeBitCast(vmovl_u8(vand_u8(pairs, vdup_n_u8(15))), to: Words.self))
  }

  @inline(__always)
  static func mins(_ block: UnsafeRawPointer, _ i: Int, _ j: Int) -> (even: Bytes, odd: Bytes) {
    let pairs = block + (SuperPanel2.scales &+ 128 &* j &+ 8 &* i)
    return (bits(joined(pairs), -4, 15), bits(joined(pairs + 64), -4, 15))
  }
}

/// Super-blocks of signed weights without mins.
protocol SignedKernel: SuperKernel {
  static var pairCount: Int { get }
}

extension SignedKernel {
  @inline(__always) static var minLines: Int { 0 }
  @inline(__always) static var quants: Int { SignedPanel.quants(pairs: pairCount) }

  /// None: `minLines` is 0.
  @inline(__always)
  static func mins(_ block: UnsafeRawPointer, _ i: Int, _ j: Int) -> (even: Bytes, odd: Bytes) {
    (vdupq_n_u8(0), vdupq_n_u8(0))
  }

  /// Scales of two neighbouring sub-blocks in 16-bit lanes, of four rows.
  @inline(__always)
  static func pair(_ block: UnsafeRawPointer, _ pair: Int, _ i: Int) -> Words {
    let bytes = block.load(fromByteOffset: SignedPanel.scales &+ 32 &* pair &+ 8 &* i, as: SIMD8<Int8>.self)
    return unsafeBitCast(vmovl_s8(bytes), to: Words.self)
  }
}

/// 63 * 127 * 4 = 32,004.
enum TileQ6_K: SignedKernel {
  @inline(__always) static var hasTwoScales: Bool { true }
  @inline(__always) static var foldsScales: Bool { false }
  @inline(__always) static var pairCount: Int { 8 }
  @inline(__always) static var zeroPoint: Int32? { 32 }
  @inline(__always) static var lines: Int { 6 }
  @inline(__always) static var quadsAtOnce: Int { 4 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int, _ i: Int) -> (first: Words, second: Words) {
    separated(pair(block, step, i))
  }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    let (even, odd) = nibbles(lines, j)
    let tops = line(lines, 4 &+ (j >> 1))
    let left = 4 &- 4 &* (j & 1)
    return (vorrq_u8(even, bits(tops, left, 0x30)), vorrq_u8(odd, bits(tops, left &- 2, 0x30)))
  }
}

/// Weights: 7 * 127 * 4 = 3,556; less 4 and times minus their scales, -32...31: 128 * 127 * 2 = 32,512.
enum TileQ3_K: SignedKernel {
  @inline(__always) static var hasTwoScales: Bool { true }
  @inline(__always) static var foldsScales: Bool { true }
  @inline(__always) static var pairCount: Int { 8 }
  @inline(__always) static var zeroPoint: Int32? { 4 }
  @inline(__always) static var lines: Int { 3 }
  @inline(__always) static var quadsAtOnce: Int { 2 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int, _ i: Int) -> (first: Words, second: Words) {
    separated(pair(block, step, i))
  }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    let (even, odd) = twoBits(lines, j)
    let tops = line(lines, 2)
    // Bits 2 j and 2 j + 1 of each byte to bit 2.
    return (vorrq_u8(even, bits(tops, 2 &- 2 &* j, 4)), vorrq_u8(odd, bits(tops, 1 &- 2 &* j, 4)))
  }
}

/// 127 * 127 * 2 = 32,258.
enum TileIQ4_XS: SignedKernel {
  @inline(__always) static var hasTwoScales: Bool { false }
  @inline(__always) static var foldsScales: Bool { false }
  @inline(__always) static var pairCount: Int { 4 }
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var quadsAtOnce: Int { 2 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int, _ i: Int) -> (first: Words, second: Words) {
    // The step's number of each two, moved to the upper half of its lane and back down with its sign.
    let left = vdupq_n_s32(Int32(truncatingIfNeeded: 16 &- 16 &* (step & 1)))
    let scales = vshlq_s32(vshlq_s32(pair(block, step >> 1, i), left), vdupq_n_s32(-16))
    return (scales, scales)
  }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    chosen(lines, j, Codebook.iq4)
  }
}
