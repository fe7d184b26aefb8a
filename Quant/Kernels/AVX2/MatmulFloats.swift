import OccamKernelContract
import _Builtin_intrinsics.intel

func tileF32(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  floatTile(panel, 4, activations, tokens, columns, out) { $0.load(as: __m256.self) }
}

func tileF16(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  floatTile(panel, 2, activations, tokens, columns, out) { floats(halves: $0) }
}

func tileBF16(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  floatTile(panel, 2, activations, tokens, columns, out) {
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32($0.load(as: __m128i.self)), 16))
  }
}

/// - Parameters:
///   - size: bytes of a weight.
///   - weights: a column of 8 rows as floats.
@inline(__always)
private func floatTile(
  _ panel: UnsafeRawPointer, _ size: Int, _ activations: UnsafeRawPointer, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>, _ weights: (UnsafeRawPointer) -> __m256
) {
  let zero = _mm256_setzero_ps()
  switch tokens {
  case 1: floatTokens(panel, size, activations, columns, out, InlineArray<1, __m256>(repeating: zero), weights)
  case 2: floatTokens(panel, size, activations, columns, out, InlineArray<2, __m256>(repeating: zero), weights)
  case 3: floatTokens(panel, size, activations, columns, out, InlineArray<3, __m256>(repeating: zero), weights)
  default: floatTokens(panel, size, activations, columns, out, InlineArray<4, __m256>(repeating: zero), weights)
  }
}

@inline(__always)
private func floatTokens<let n: Int>(
  _ panel: UnsafeRawPointer, _ size: Int, _ activations: UnsafeRawPointer, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>, _ zero: InlineArray<n, __m256>, _ weights: (UnsafeRawPointer) -> __m256
) {
  var (first, second) = (zero, zero)
  for column in 0..<columns {
    let place = panel + column &* (PanelLayout.rows &* size)
    let (a, b) = (weights(place), weights(place + 8 &* size))
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
