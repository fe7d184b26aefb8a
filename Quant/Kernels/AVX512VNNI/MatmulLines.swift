import OccamKernelContract
import _Builtin_intrinsics.intel

/// The four lines of a sub-block of nibbles, or eight of bytes, as eight quads of unsigned bytes.
typealias Quads = InlineArray<8, __m512i>

@inline(__always)
func line(_ pointer: UnsafeRawPointer, _ index: Int) -> __m512i {
  pointer.loadUnaligned(fromByteOffset: index &* PanelLayout.line, as: __m512i.self)
}

@inline(__always)
func broadcast(_ pointer: UnsafeRawPointer, _ offset: Int) -> __m512i {
  _mm512_set1_epi32(pointer.loadUnaligned(fromByteOffset: offset, as: Int32.self))
}

@inline(__always)
func broadcastFloat(_ pointer: UnsafeRawPointer, _ offset: Int) -> __m512 {
  _mm512_set1_ps(pointer.loadUnaligned(fromByteOffset: offset, as: Float.self))
}

/// 16 halves -> floats.
@inline(__always)
func floats(halves pointer: UnsafeRawPointer) -> __m512 { _mm512_cvtph_ps(pointer.load(as: __m256i.self)) }

/// 16 bfloat16 -> floats.
@inline(__always)
func floats(brains pointer: UnsafeRawPointer) -> __m512 {
  _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(pointer.load(as: __m256i.self)), 16))
}

/// Four lines of nibbles.
@inline(__always)
func nibbles(_ lines: UnsafeRawPointer) -> Quads {
  let mask = _mm512_set1_epi8(15)
  var quads = Quads(repeating: mask)
  for j in 0..<4 {
    let both = line(lines, j)
    quads[2 &* j] = _mm512_and_si512(both, mask)
    quads[2 &* j &+ 1] = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask)
  }
  return quads
}

/// Four lines of nibbles and one of top bits.
@inline(__always)
func fiveBits(_ lines: UnsafeRawPointer) -> Quads {
  var quads = nibbles(lines)
  let fifths = line(lines, 4)
  let bit = _mm512_set1_epi8(16)
  for j in 0..<8 {
    // Bit j of each byte to bit 4; what 16-bit shifts carry across bytes is masked away.
    let count = UInt32(truncatingIfNeeded: j < 4 ? 4 &- j : j &- 4)
    let shifted = j < 4 ? _mm512_slli_epi16(fifths, count) : _mm512_srli_epi16(fifths, count)
    quads[j] = _mm512_or_si512(quads[j], _mm512_and_si512(shifted, bit))
  }
  return quads
}

/// Sixteen values plus 128, once in each quarter.
@inline(__always)
func table(_ values: SIMD16<Int8>) -> __m512i {
  let unsigned = values ^ SIMD16(repeating: -128)
  return _mm512_broadcast_i32x4(unsafeBitCast(unsigned, to: __m128i.self))
}

/// Four lines of nibbles as the values they choose.
@inline(__always)
func chosen(_ lines: UnsafeRawPointer, _ table: __m512i) -> Quads {
  var quads = nibbles(lines)
  for j in 0..<8 { quads[j] = _mm512_shuffle_epi8(table, quads[j]) }
  return quads
}

/// Of each row's two 16-bit numbers the first, twice, and the second, twice.
@inline(__always)
func twice(_ both: __m512i) -> (__m512i, __m512i) {
  let low = _mm512_set1_epi32(0xffff)
  return (
    _mm512_or_si512(_mm512_and_si512(both, low), _mm512_slli_epi32(both, 16)),
    _mm512_or_si512(_mm512_andnot_si512(low, both), _mm512_srli_epi32(both, 16))
  )
}

/// start + quads first..<first + count times the activations at `x`.
@inline(__always)
func dot(_ quads: Quads, _ x: UnsafeRawPointer, from start: __m512i, first: Int = 0, count: Int = 8) -> __m512i {
  var sum = start
  for j in first..<first &+ count { sum = _mm512_dpbusd_epi32(sum, quads[j], broadcast(x, 4 &* j)) }
  return sum
}

@inline(__always)
func store(_ value: __m512, _ out: UnsafeMutablePointer<Float>, _ token: Int) {
  UnsafeMutableRawPointer(out + token &* PanelLayout.rows).storeBytes(of: value, as: __m512.self)
}

@inline(__always)
func stored(_ out: UnsafeMutablePointer<Float>, _ token: Int) -> __m512 {
  UnsafeRawPointer(out + token &* PanelLayout.rows).load(as: __m512.self)
}
