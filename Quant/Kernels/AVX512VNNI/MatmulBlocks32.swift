import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

enum TileQ4_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    blocks32(a, tokens, groups, lines: 4, offset: Activation32.minus8, floats(halves:)) { nibbles($0) }
  }
}

enum TileQ4_1: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    affineBlocks32(a, tokens, groups, lines: 4) { nibbles($0) }
  }
}

enum TileQ5_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    blocks32(a, tokens, groups, lines: 5, offset: Activation32.minus128, floats(halves:)) { lines in
      // Zero point 16 + 112: the sums that Q8_0 takes away serve here, too.
      let offset = _mm512_set1_epi8(112)
      var quads = fiveBits(lines)
      for j in 0..<8 { quads[j] = _mm512_add_epi8(quads[j], offset) }
      return quads
    }
  }
}

enum TileQ5_1: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    affineBlocks32(a, tokens, groups, lines: 5) { fiveBits($0) }
  }
}

enum TileQ8_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    blocks32(a, tokens, groups, lines: 8, offset: Activation32.minus128, floats(halves:)) { lines in
      let sign = _mm512_set1_epi8(-128)
      var quads = Quads(repeating: sign)
      for j in 0..<8 { quads[j] = _mm512_xor_si512(line(lines, j), sign) }
      return quads
    }
  }
}

enum TileIQ4_NL: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    let values = table(Codebook.iq4)
    blocks32(a, tokens, groups, lines: 4, offset: Activation32.minus128, floats(halves:)) { chosen($0, values) }
  }
}

enum TileMXFP4: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    let values = table(Codebook.fp4)
    blocks32(a, tokens, groups, lines: 4, offset: Activation32.minus128, floats(brains:)) { chosen($0, values) }
  }
}

/// - Parameters:
///   - lines: of a block of weights.
///   - offset: the activation field that takes the weights' zero point away.
///   - floats: 16 scales.
///   - unpack: a block as unsigned bytes.
@inline(__always)
private func blocks32<let n: Int>(
  _ a: TileArguments, _ tokens: Tokens<n>.Type, _ groups: Int, lines: Int, offset: Int,
  _ floats: (UnsafeRawPointer) -> __m512, _ unpack: (UnsafeRawPointer) -> Quads
) {
  var sums = Tile<n, __m512>(repeating: _mm512_setzero_ps())
  for b in 0..<a.columns / 32 {
    let block = a.panel + b &* BlockPanel.bytes(lines: lines)
    prefetchWeights(block, lines: lines)
    let scales = floats(block + BlockPanel.scales)
    let quads = unpack(block + BlockPanel.quants(heads: 1))
    let x = a.x + b &* (Activation32.bytes &* ActivationLayout.tokens)
    sums.update(groups, x, a.groupStride, record: Activation32.bytes) { sum, x, _ in
      let product = dot(quads, x + Activation32.quants, from: broadcast(x, offset))
      let scale = _mm512_mul_ps(scales, broadcastFloat(x, Activation32.scale))
      return _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), scale, sum)
    }
  }
  sums.forEach(groups) { store($0, a.out, $1) }
}

/// Weights with an offset of their own, which multiplies the activations' sum.
@inline(__always)
private func affineBlocks32<let n: Int>(
  _ a: TileArguments, _ tokens: Tokens<n>.Type, _ groups: Int, lines: Int, _ unpack: (UnsafeRawPointer) -> Quads
) {
  var sums = Tile<n, __m512>(repeating: _mm512_setzero_ps())
  for b in 0..<a.columns / 32 {
    let block = a.panel + b &* BlockPanel.bytes(heads: 2, lines: lines)
    prefetchWeights(block, lines: lines &+ 1)
    let scales = floats(halves: block + BlockPanel.scales)
    let mins = floats(halves: block + BlockPanel.mins)
    let quads = unpack(block + BlockPanel.quants(heads: 2))
    let x = a.x + b &* (Activation32.bytes &* ActivationLayout.tokens)
    sums.update(groups, x, a.groupStride, record: Activation32.bytes) { sum, x, _ in
      let product = dot(quads, x + Activation32.quants, from: _mm512_setzero_si512())
      let scale = _mm512_mul_ps(scales, broadcastFloat(x, Activation32.scale))
      let offset = _mm512_fmadd_ps(mins, broadcastFloat(x, Activation32.scaledSum), sum)
      return _mm512_fmadd_ps(_mm512_cvtepi32_ps(product), scale, offset)
    }
  }
  sums.forEach(groups) { store($0, a.out, $1) }
}
