import OccamKernelContract
import _Builtin_intrinsics.intel

/// Eight rows of eight quads, as unsigned bytes.
typealias Quads = InlineArray<8, __m256i>

/// Rows 0..<8 of line `index`, or rows 8..<16 if `pointer` is 32 bytes on.
@inline(__always)
func line(_ pointer: UnsafeRawPointer, _ index: Int) -> __m256i {
  pointer.load(fromByteOffset: index &* PanelLayout.line, as: __m256i.self)
}

@inline(__always)
func broadcast(_ pointer: UnsafeRawPointer, _ offset: Int) -> __m256i {
  _mm256_set1_epi32(pointer.loadUnaligned(fromByteOffset: offset, as: Int32.self))
}

@inline(__always)
func broadcastFloat(_ pointer: UnsafeRawPointer, _ offset: Int) -> __m256 {
  _mm256_set1_ps(pointer.loadUnaligned(fromByteOffset: offset, as: Float.self))
}

/// 8 halves -> floats.
@inline(__always)
func floats(halves pointer: UnsafeRawPointer) -> __m256 { _mm256_cvtph_ps(pointer.load(as: __m128i.self)) }

/// Four lines of nibbles.
@inline(__always)
func nibbles(_ lines: UnsafeRawPointer) -> Quads {
  let mask = _mm256_set1_epi8(15)
  var quads = Quads(repeating: mask)
  for j in 0..<4 {
    let both = line(lines, j)
    quads[2 &* j] = _mm256_and_si256(both, mask)
    quads[2 &* j &+ 1] = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask)
  }
  return quads
}

/// Quads first..<first + count times the activations at `x`, two 16-bit sums for each row.
@inline(__always)
func dot(_ quads: Quads, _ x: UnsafeRawPointer, first: Int, count: Int) -> __m256i {
  var sum = _mm256_maddubs_epi16(quads[first], broadcast(x, 4 &* first))
  for j in first &+ 1..<first &+ count {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(quads[j], broadcast(x, 4 &* j)))
  }
  return sum
}

/// Eight rows of a token in the tile: its place for sums of floats.
@inline(__always)
func rows(_ out: UnsafeMutablePointer<Float>, _ token: Int, _ half: Int) -> UnsafeMutablePointer<__m256> {
  UnsafeMutableRawPointer(out + (token &* PanelLayout.rows &+ half &* 8)).assumingMemoryBound(to: __m256.self)
}

@inline(__always)
func clear(_ out: UnsafeMutablePointer<Float>, _ tokens: Int) {
  for i in 0..<tokens &* 2 { rows(out, 0, i).pointee = _mm256_setzero_ps() }
}
