import OccamKernelContract
import _Builtin_intrinsics.arm.neon

// Intrinsics, not the operators of SIMD types: the compiler takes those apart into lanes and may fail to put them together
// again.
//
// A line (16 rows x 4 columns of bytes) is worked on in registers of 4 rows. Lines of a register begin 16 bytes further
// than those of the one before.

/// Four rows of a quad of columns.
typealias Bytes = SIMD16<UInt8>
typealias Words = SIMD4<Int32>
typealias Floats = SIMD4<Float>

/// One register of 32-bit numbers for each four rows of a panel.
typealias Rows<Element: BitwiseCopyable> = InlineArray<4, Element>

@inline(__always)
func line(_ lines: UnsafeRawPointer, _ index: Int) -> Bytes {
  lines.load(fromByteOffset: index &* PanelLayout.line, as: Bytes.self)
}

/// Each byte's bits moved to the left, or to the right if `count` is negative, as far as `mask` has them.
@inline(__always)
func bits(_ bytes: Bytes, _ count: Int, _ mask: UInt8) -> Bytes {
  let moved = count == 0 ? bytes : vshlq_u8(bytes, vdupq_n_s8(Int8(truncatingIfNeeded: count)))
  return vandq_u8(moved, vdupq_n_u8(mask))
}

/// The two quads of line `j` of nibbles.
@inline(__always)
func nibbles(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
  let both = line(lines, j)
  return (bits(both, 0, 15), bits(both, -4, 15))
}

/// The two quads of line `j` of four lines of nibbles with a line of fifth bits behind them.
@inline(__always)
func fiveBits(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
  let (even, odd) = nibbles(lines, j)
  let fifths = line(lines, 4)
  // Bits 2 j and 2 j + 1 of each byte to bit 4.
  return (vorrq_u8(even, bits(fifths, 4 &- 2 &* j, 16)), vorrq_u8(odd, bits(fifths, 3 &- 2 &* j, 16)))
}

/// Quads 2 j and 2 j + 1 of lines of bit pairs.
@inline(__always)
func twoBits(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
  let four = line(lines, j >> 1)
  let right = -4 &* (j & 1)
  return (bits(four, right, 3), bits(four, right &- 2, 3))
}

/// The two quads of line `j` of nibbles, as the values that they choose.
@inline(__always)
func chosen(_ lines: UnsafeRawPointer, _ j: Int, _ values: SIMD16<Int8>) -> (even: Bytes, odd: Bytes) {
  let (even, odd) = nibbles(lines, j)
  return (
    unsafeBitCast(vqtbl1q_s8(values, even), to: Bytes.self), unsafeBitCast(vqtbl1q_s8(values, odd), to: Bytes.self)
  )
}

@inline(__always)
func signed(_ bytes: Bytes) -> SIMD16<Int8> { unsafeBitCast(bytes, to: SIMD16<Int8>.self) }

@inline(__always)
func bytes(_ words: Words) -> Bytes { unsafeBitCast(words, to: Bytes.self) }

@inline(__always)
func words(_ place: UnsafeRawPointer, _ offset: Int) -> Words { place.load(fromByteOffset: offset, as: Words.self) }

@inline(__always)
func floats(_ place: UnsafeRawPointer, _ offset: Int) -> Floats { place.load(fromByteOffset: offset, as: Floats.self) }

/// 4 unsigned bytes -> 32-bit numbers.
@inline(__always)
func widened(_ place: UnsafeRawPointer) -> Words {
  let four = unsafeBitCast(vdup_n_u32(place.load(as: UInt32.self)), to: SIMD8<UInt8>.self)
  return unsafeBitCast(vmovl_u16(vget_low_u16(vmovl_u8(four))), to: Words.self)
}

/// Of each lane's two signed 16-bit numbers the first and the second.
@inline(__always)
func separated(_ pairs: Words) -> (first: Words, second: Words) {
  let right = vdupq_n_s32(-16)
  return (vshlq_s32(vshlq_s32(pairs, vdupq_n_s32(16)), right), vshlq_s32(pairs, right))
}

/// 4 halves -> floats.
@inline(__always)
func floats(halves place: UnsafeRawPointer) -> Floats { vcvt_f32_f16(place.load(as: float16x4_t.self)) }

/// 4 bfloat16 -> floats.
@inline(__always)
func floats(brains place: UnsafeRawPointer) -> Floats {
  unsafeBitCast(vshlq_u32(vmovl_u16(place.load(as: SIMD4<UInt16>.self)), vdupq_n_s32(16)), to: Floats.self)
}
