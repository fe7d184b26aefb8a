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
