import OccamKernelContract
import _Builtin_intrinsics.intel

enum TileQ4_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    affineBlocks(a, tokens, groups, lines: 4) { nibbles($0) }
  }
}

enum TileQ5_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    affineBlocks(a, tokens, groups, lines: 5) { fiveBits($0) }
  }
}

/// Q4_K and Q5_K: sub-block scales are applied to integers, floats touched once in 256 columns.
@inline(__always)
private func affineBlocks<let n: Int>(
  _ a: TileArguments, _ tokens: Tokens<n>.Type, _ groups: Int, lines: Int, _ unpack: (UnsafeRawPointer) -> Quads
) {
  Tile<n, __m512>(repeating: _mm512_setzero_ps()).forEach(groups) { store($0, a.out, $1) }
  for b in 0..<a.columns / 256 {
    let block = a.panel + b &* SuperPanel.bytes(lines: lines)
    let x = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
    var totals = Tile<n, __m512i>(repeating: _mm512_setzero_si512())
    for s in 0..<8 {
      let place = block + (SuperPanel.quants &+ s &* lines &* PanelLayout.line)
      prefetchWeights(place, lines: lines)
      let quads = unpack(place)
      let scales = _mm512_cvtepu8_epi32((block + (SuperPanel.scales &+ 16 &* s)).load(as: __m128i.self))
      let x = x + (Activation256.quants &+ 32 &* s)
      totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, _ in
        let product = dot(quads, x, from: _mm512_setzero_si512())
        return _mm512_add_epi32(total, _mm512_mullo_epi32(product, scales))
      }
    }
    let d = floats(halves: block + SuperPanel.d)
    let dmin = floats(halves: block + SuperPanel.dmin)
    var mins = InlineArray<4, __m512i>(repeating: _mm512_setzero_si512())
    for pair in 0..<4 {
      mins[pair] = _mm512_cvtepu8_epi16((block + (SuperPanel.mins &+ 32 &* pair)).load(as: __m256i.self))
    }
    totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, token in
      let scale = broadcastFloat(x, Activation256.scale)
      var offset = _mm512_setzero_si512()
      for pair in 0..<4 {
        offset = _mm512_dpwssd_epi32(offset, mins[pair], broadcast(x, Activation256.sums32 &+ 4 &* pair))
      }
      let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_mul_ps(d, scale), stored(a.out, token))
      store(_mm512_fnmadd_ps(_mm512_cvtepi32_ps(offset), _mm512_mul_ps(dmin, scale), sum), a.out, token)
      return total
    }
  }
}

/// For several tokens weights are multiplied by their scales while they are unpacked: 3 * 15 = 45.
enum TileQ2_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    Tile<n, __m512>(repeating: _mm512_setzero_ps()).forEach(groups) { store($0, a.out, $1) }
    let low = _mm512_set1_epi8(15)
    for b in 0..<a.columns / 256 {
      let block = a.panel + b &* SuperPanel2.bytes
      let x = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      var totals = Tile<n, __m512i>(repeating: _mm512_setzero_si512())
      for pair in 0..<8 {
        let place = block + (SuperPanel2.quants &+ pair &* (2 &* PanelLayout.line))
        prefetchWeights(place, lines: 2)
        let scales = twice(_mm512_and_si512(factors(block, pair), low))
        var quads = twoBits(place)
        if n > 1 {
          for j in 0..<8 { quads[j] = _mm512_mullo_epi16(quads[j], j < 4 ? scales.0 : scales.1) }
        }
        totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, _ in
          let quants = x + (Activation256.quants &+ 32 &* pair)
          guard n == 1 else { return dot(quads, quants, from: total) }
          let product0 = dot(quads, quants, from: _mm512_setzero_si512(), first: 0, count: 4)
          let product1 = dot(quads, quants, from: _mm512_setzero_si512(), first: 4, count: 4)
          let sum = _mm512_add_epi32(total, _mm512_mullo_epi32(product0, _mm512_srli_epi32(scales.0, 16)))
          return _mm512_add_epi32(sum, _mm512_mullo_epi32(product1, _mm512_srli_epi32(scales.1, 16)))
        }
      }
      let d = floats(halves: block + SuperPanel2.d)
      let dmin = floats(halves: block + SuperPanel2.dmin)
      var mins = InlineArray<8, __m512i>(repeating: _mm512_setzero_si512())
      for pair in 0..<8 { mins[pair] = _mm512_srli_epi16(factors(block, pair), 4) }
      totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, token in
        let scale = broadcastFloat(x, Activation256.scale)
        var offset = _mm512_setzero_si512()
        for pair in 0..<8 {
          offset = _mm512_dpwssd_epi32(offset, mins[pair], broadcast(x, Activation256.sums16 &+ 4 &* pair))
        }
        let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_mul_ps(d, scale), stored(a.out, token))
        store(_mm512_fnmadd_ps(_mm512_cvtepi32_ps(offset), _mm512_mul_ps(dmin, scale), sum), a.out, token)
        return total
      }
    }
  }

  /// Scale and min of a pair of sub-blocks, 16 rows, in 16-bit lanes.
  @inline(__always)
  private static func factors(_ block: UnsafeRawPointer, _ pair: Int) -> __m512i {
    _mm512_cvtepu8_epi16((block + (SuperPanel2.scales &+ 32 &* pair)).load(as: __m256i.self))
  }

  @inline(__always)
  private static func twoBits(_ lines: UnsafeRawPointer) -> Quads {
    let mask = _mm512_set1_epi8(3)
    var quads = Quads(repeating: mask)
    for j in 0..<8 {
      let shift = UInt32(truncatingIfNeeded: 2 &* (j & 3))
      quads[j] = _mm512_and_si512(_mm512_srli_epi16(line(lines, j >> 2), shift), mask)
    }
    return quads
  }
}
