import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480.
func tileQ4_0(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let ones = _mm256_set1_epi16(1)
  blocks32(panel, activations, tokens, columns, out, lines: 4) { lines in
    nibbles(lines)
  } dot: { quads, x in
    let sum = _mm256_madd_epi16(dot(quads, x + Activation32.quants, first: 0, count: 8), ones)
    return _mm256_add_epi32(sum, broadcast(x, Activation32.minus8))
  }
}

/// Weights as magnitudes, their signs given to the activations; a lane holds one product pair: 128 * 127 * 2 = 32,512.
func tileQ8_0(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let ones = _mm256_set1_epi16(1)
  blocks32(panel, activations, tokens, columns, out, lines: 8) { lines in
    var quads = Quads(repeating: ones)
    for j in 0..<8 { quads[j] = line(lines, j) }
    return quads
  } dot: { quads, x in
    var sum = _mm256_setzero_si256()
    for j in 0..<8 {
      let signed = _mm256_sign_epi8(broadcast(x, Activation32.quants &+ 4 &* j), quads[j])
      let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quads[j]), signed)
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones))
    }
    return sum
  }
}

/// - Parameters:
///   - lines: of a block of weights.
///   - unpack: eight rows of a block.
///   - dot: those times a token's record, 32-bit sums.
@inline(__always)
private func blocks32(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>, lines: Int, unpack: (UnsafeRawPointer) -> Quads,
  dot: (Quads, UnsafeRawPointer) -> __m256i
) {
  clear(out, tokens)
  let blocks = columns / 32
  let quants = panel + PanelLayout.quants(blocks: blocks)
  for b in 0..<blocks {
    let record = activations + b &* (Activation32.bytes &* ActivationLayout.tokens)
    for half in 0..<2 {
      let scales = floats(halves: panel + (b &* 32 &+ half &* 16))
      let quads = unpack(quants + (b &* (lines &* PanelLayout.line) &+ half &* 32))
      for token in 0..<tokens {
        let x = record + token &* Activation32.bytes
        let product = _mm256_cvtepi32_ps(dot(quads, x))
        let scale = _mm256_mul_ps(scales, broadcastFloat(x, Activation32.scale))
        let sum = rows(out, token, half)
        sum.pointee = _mm256_fmadd_ps(product, scale, sum.pointee)
      }
    }
  }
}
