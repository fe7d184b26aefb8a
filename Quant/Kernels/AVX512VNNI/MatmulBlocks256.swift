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
    affineBlocks(a, tokens, groups, lines: 5) { lines in
      var quads = nibbles(lines)
      let fifths = line(lines, 4)
      let bit = _mm512_set1_epi8(16)
      for j in 0..<8 {
        // Bit j of each byte to bit 4; what 16-bit shifts carry across bytes is masked away.
        let count = UInt32(truncatingIfNeeded: j < 4 ? 4 &- j : j &- 4)
        let shifted = j < 4 ? _mm512_slli_epi16(fifths, count) : _mm512_srli_epi16(fifths, count)
        quads[j] = _mm512_or_si512(quads[j], _mm512_and_si512(shifted, bit))
      }
      return quads
    }
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
      if n > 1 { prefetchWeights(place, lines: lines) }
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

enum TileQ6_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    Tile<n, __m512>(repeating: _mm512_setzero_ps()).forEach(groups) { store($0, a.out, $1) }
    for b in 0..<a.columns / 256 {
      let block = a.panel + b &* SuperPanel6.bytes
      let x = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      var totals = Tile<n, __m512i>(repeating: _mm512_setzero_si512())
      for pair in 0..<8 {
        let place = block + (SuperPanel6.quants &+ pair &* (6 &* PanelLayout.line))
        if n > 1 { prefetchWeights(place, lines: 6) }
        let quads = sixBits(place)
        let both = _mm512_cvtepi8_epi16((block + (SuperPanel6.scales &+ 32 &* pair)).load(as: __m256i.self))
        let scales0 = _mm512_srai_epi32(_mm512_slli_epi32(both, 16), 16)
        let scales1 = _mm512_srai_epi32(both, 16)
        // -32 * scale: the zero point, times the activation sums below.
        let zeroPoints = _mm512_sub_epi16(_mm512_setzero_si512(), _mm512_slli_epi16(both, 5))
        totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, _ in
          let quants = x + (Activation256.quants &+ 32 &* pair)
          let sum = _mm512_dpwssd_epi32(total, zeroPoints, broadcast(x, Activation256.sums16 &+ 4 &* pair))
          let product0 = dot(quads, quants, from: _mm512_setzero_si512(), first: 0, count: 4)
          let product1 = dot(quads, quants, from: _mm512_setzero_si512(), first: 4, count: 4)
          return _mm512_add_epi32(
            _mm512_add_epi32(sum, _mm512_mullo_epi32(product0, scales0)), _mm512_mullo_epi32(product1, scales1))
        }
      }
      let d = (block + SuperPanel6.d).load(as: __m512.self)
      totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, token in
        let scale = _mm512_mul_ps(d, broadcastFloat(x, Activation256.scale))
        store(_mm512_fmadd_ps(_mm512_cvtepi32_ps(total), scale, stored(a.out, token)), a.out, token)
        return total
      }
    }
  }

  /// Two sub-blocks of 16 columns: four lines of nibbles, then a line of bit pairs for each.
  @inline(__always)
  private static func sixBits(_ lines: UnsafeRawPointer) -> Quads {
    var quads = nibbles(lines)
    let mask = _mm512_set1_epi8(0x30)
    for half in 0..<2 {
      let tops = line(lines, 4 &+ half)
      let places: InlineArray<4, __m512i> = [
        _mm512_slli_epi16(tops, 4), _mm512_slli_epi16(tops, 2), tops, _mm512_srli_epi16(tops, 2),
      ]
      for j in 0..<4 {
        quads[4 &* half &+ j] = _mm512_or_si512(quads[4 &* half &+ j], _mm512_and_si512(places[j], mask))
      }
    }
    return quads
  }
}
