import OccamKernelContract
import _Builtin_intrinsics.intel

/// A stored weight format: eight rows of a column as floats.
protocol FloatFormat {
  static var bytes: Int { get }
  static func eight(_ pointer: UnsafeRawPointer) -> __m256
}

enum FormatF32: FloatFormat {
  @inline(__always)
  static var bytes: Int { 4 }

  @inline(__always)
  static func eight(_ pointer: UnsafeRawPointer) -> __m256 { pointer.load(as: __m256.self) }
}

enum FormatF16: FloatFormat {
  @inline(__always)
  static var bytes: Int { 2 }

  @inline(__always)
  static func eight(_ pointer: UnsafeRawPointer) -> __m256 { floats(halves: pointer) }
}

enum FormatBF16: FloatFormat {
  @inline(__always)
  static var bytes: Int { 2 }

  @inline(__always)
  static func eight(_ pointer: UnsafeRawPointer) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(pointer.load(as: __m128i.self)), 16))
  }
}

@inline(__always)
func floatTile<Format: FloatFormat>(
  _ format: Format.Type, _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let zero = _mm256_setzero_ps()
  switch tokens {
  case 1: floatTokens(format, panel, x, columns, out, InlineArray<1, __m256>(repeating: zero))
  case 2: floatTokens(format, panel, x, columns, out, InlineArray<2, __m256>(repeating: zero))
  case 3: floatTokens(format, panel, x, columns, out, InlineArray<3, __m256>(repeating: zero))
  default: floatTokens(format, panel, x, columns, out, InlineArray<4, __m256>(repeating: zero))
  }
}

@inline(__always)
private func floatTokens<Format: FloatFormat, let n: Int>(
  _ format: Format.Type, _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>, _ zero: InlineArray<n, __m256>
) {
  var (first, second) = (zero, zero)
  for column in 0..<columns {
    let place = panel + column &* (PanelLayout.rows &* format.bytes)
    let (a, b) = (format.eight(place), format.eight(place + 8 &* format.bytes))
    for token in 0..<n {
      let x = broadcastFloat(activations + column &* 16, token &* 4)
      first[token] = _mm256_fmadd_ps(a, x, first[token])
      second[token] = _mm256_fmadd_ps(b, x, second[token])
    }
  }
  for token in 0..<n {
    rows(out, token, 0).pointee = first[token]
    rows(out, token, 1).pointee = second[token]
  }
}
