import OccamKernelContract
import _Builtin_intrinsics.intel

/// 16 bytes -> each row's number twice, in 16-bit lanes.
@inline(__always)
func twice(_ bytes: UnsafeRawPointer) -> Quad {
  @inline(__always)
  func eight(_ offset: Int) -> __m256i {
    let single = _mm256_cvtepu8_epi32(_mm_set_epi64x(0, bytes.load(fromByteOffset: offset, as: Int64.self)))
    return _mm256_or_si256(single, _mm256_slli_epi32(single, 16))
  }
  return Quad(eight(0), eight(8))
}

/// 16 rows of two bytes -> 16-bit lanes.
@inline(__always)
func pairs(unsigned bytes: UnsafeRawPointer) -> Quad {
  Quad(
    _mm256_cvtepu8_epi16(bytes.load(as: __m128i.self)),
    _mm256_cvtepu8_epi16(bytes.load(fromByteOffset: 16, as: __m128i.self)))
}

/// 16 rows of two signed bytes -> 16-bit lanes.
@inline(__always)
func pairs(signed bytes: UnsafeRawPointer) -> Quad {
  Quad(
    _mm256_cvtepi8_epi16(bytes.load(as: __m128i.self)),
    _mm256_cvtepi8_epi16(bytes.load(fromByteOffset: 16, as: __m128i.self)))
}

extension Quad {
  /// 16-bit lanes.
  @inline(__always)
  var negated: Quad {
    let zero = _mm256_setzero_si256()
    return Quad(_mm256_sub_epi16(zero, low), _mm256_sub_epi16(zero, high))
  }

  /// Of each row's two 16-bit numbers the first, twice.
  @inline(__always)
  var evenTwice: Quad {
    let mask = _mm256_set1_epi32(0xffff)
    return Quad(
      _mm256_or_si256(_mm256_and_si256(low, mask), _mm256_slli_epi32(low, 16)),
      _mm256_or_si256(_mm256_and_si256(high, mask), _mm256_slli_epi32(high, 16)))
  }

  /// Of each row's two 16-bit numbers the second, twice.
  @inline(__always)
  var oddTwice: Quad {
    let (first, second) = (_mm256_srli_epi32(low, 16), _mm256_srli_epi32(high, 16))
    return Quad(
      _mm256_or_si256(first, _mm256_slli_epi32(first, 16)), _mm256_or_si256(second, _mm256_slli_epi32(second, 16)))
  }
}
