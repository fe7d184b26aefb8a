import OccamKernelContract
import _Builtin_intrinsics.intel

protocol Blocks32 {
  /// Lines of a block of weights.
  static var lines: Int { get }
  /// Eight rows of a block.
  static func unpack(_ lines: UnsafeRawPointer) -> Quads
  /// Those times a token's record, 32-bit sums.
  static func dot(_ quads: Quads, _ x: UnsafeRawPointer) -> __m256i
}

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480.
enum BlocksQ4_0: Blocks32 {
  @inline(__always)
  static var lines: Int { 4 }

  @inline(__always)
  static func unpack(_ lines: UnsafeRawPointer) -> Quads { nibbles(lines) }

  @inline(__always)
  static func dot(_ quads: Quads, _ x: UnsafeRawPointer) -> __m256i {
    let lanes = sumPairs(quads, x + Activation32.quants, first: 0, count: 8)
    return _mm256_add_epi32(_mm256_madd_epi16(lanes, _mm256_set1_epi16(1)), broadcast(x, Activation32.minus8))
  }
}

/// Weights as magnitudes, their signs given to the activations; a lane holds one pair: 128 * 127 * 2 = 32,512.
enum BlocksQ8_0: Blocks32 {
  @inline(__always)
  static var lines: Int { 8 }

  @inline(__always)
  static func unpack(_ lines: UnsafeRawPointer) -> Quads {
    var quads = Quads(repeating: _mm256_setzero_si256())
    for j in 0..<8 { quads[j] = line(lines, j) }
    return quads
  }

  @inline(__always)
  static func dot(_ quads: Quads, _ x: UnsafeRawPointer) -> __m256i {
    var sum = _mm256_setzero_si256()
    for j in 0..<8 {
      let signed = _mm256_sign_epi8(broadcast(x, Activation32.quants &+ 4 &* j), quads[j])
      let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quads[j]), signed)
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
    return sum
  }
}

@inline(__always)
func blocks32<Format: Blocks32>(
  _ format: Format.Type, _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  clear(out)
  let blocks = columns / 32
  let quants = panel + PanelLayout.quants(blocks: blocks)
  for b in 0..<blocks {
    let record = activations + b &* (Activation32.bytes &* ActivationLayout.tokens)
    for half in 0..<2 {
      let scales = floats(halves: panel + (b &* 32 &+ half &* 16))
      let quads = format.unpack(quants + (b &* (format.lines &* PanelLayout.line) &+ half &* 32))
      for token in 0..<tokens {
        let x = record + token &* Activation32.bytes
        let product = _mm256_cvtepi32_ps(format.dot(quads, x))
        let scale = _mm256_mul_ps(scales, broadcastFloat(x, Activation32.scale))
        let sum = rows(out, token, half)
        sum.pointee = _mm256_fmadd_ps(product, scale, sum.pointee)
      }
    }
  }
}
