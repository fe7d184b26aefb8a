import OccamKernelContract
import _Builtin_intrinsics.intel

enum TileQ4_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    blocks32(a, tokens, groups, lines: 4, offset: Activation32.minus8) { nibbles($0) }
  }
}

enum TileQ8_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    blocks32(a, tokens, groups, lines: 8, offset: Activation32.minus128) { lines in
      let sign = _mm512_set1_epi8(-128)
      var quads = Quads(repeating: sign)
      for j in 0..<8 { quads[j] = _mm512_xor_si512(line(lines, j), sign) }
      return quads
    }
  }
}

/// - Parameters:
///   - lines: of a block of weights.
///   - offset: the activation field that takes the weights' zero point away.
///   - unpack: a block as unsigned bytes.
@inline(__always)
private func blocks32<let n: Int>(
  _ a: TileArguments, _ tokens: Tokens<n>.Type, _ groups: Int, lines: Int, offset: Int,
  _ unpack: (UnsafeRawPointer) -> Quads
) {
  var sums = Tile<n, __m512>(repeating: _mm512_setzero_ps())
  for b in 0..<a.columns / 32 {
    let block = a.panel + b &* BlockPanel.bytes(lines: lines)
    if n > 1 { prefetchWeights(block, lines: lines) }
    let scales = floats(halves: block + BlockPanel.scales)
    let quads = unpack(block + BlockPanel.quants)
    let x = a.x + b &* (Activation32.bytes &* ActivationLayout.tokens)
    sums.update(groups, x, a.groupStride, record: Activation32.bytes) { sum, x, _ in
      let product = dot(quads, x + Activation32.quants, from: broadcast(x, offset))
      let scale = _mm512_mul_ps(scales, broadcastFloat(x, Activation32.scale))
      return _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), scale, sum)
    }
  }
  sums.forEach(groups) { store($0, a.out, $1) }
}
