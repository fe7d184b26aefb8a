import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

enum TileQ6_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    signedBlocks(a, groups, pairs: 8, lines: 6, from: Tile<n, __m512i>(repeating: _mm512_setzero_si512())) {
      totals, block, x, pair, place in
      let quads = sixBits(place)
      let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
      addPair(&totals, quads, both, zeroPoint: 5, x, pair, groups, a.groupStride)
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

/// For several tokens weights are multiplied by their scales while they are unpacked: (q - 4) * scale + 127 is 3...255.
enum TileQ3_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    signedBlocks(
      a, groups, pairs: 8, lines: 3, from: Tile<n, __m512i>(repeating: _mm512_setzero_si512()),
      zeroPoint: n > 1 ? Activation256.minus127 : nil
    ) { totals, block, x, pair, place in
      let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
      var quads = threeBits(place)
      guard n > 1 else {
        return addPair(&totals, quads, both, zeroPoint: 2, x, pair, groups, a.groupStride)
      }
      let scales = twice(both)
      for half in 0..<2 {
        let scale = half == 0 ? scales.0 : scales.1
        // 127 - 4 * scale for both bytes of a 16-bit lane. Neither byte's sum leaves 0...255, so that none reaches the
        // other.
        let offset = _mm512_add_epi16(
          _mm512_mullo_epi16(scale, _mm512_set1_epi16(-4 * 257)), _mm512_set1_epi16(127 * 257))
        for j in 4 &* half..<4 &* half &+ 4 {
          quads[j] = _mm512_add_epi16(_mm512_mullo_epi16(quads[j], scale), offset)
        }
      }
      totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, _ in
        dot(quads, x + (Activation256.quants &+ 32 &* pair), from: total)
      }
    }
  }

  /// Two lines of bit pairs and one of top bits.
  @inline(__always)
  private static func threeBits(_ lines: UnsafeRawPointer) -> Quads {
    let (low, high) = (_mm512_set1_epi8(3), _mm512_set1_epi8(4))
    let tops = line(lines, 2)
    var quads = Quads(repeating: low)
    for half in 0..<2 {
      let pairs = line(lines, half)
      for j in 0..<4 {
        let bit = 4 &* half &+ j
        let top =
          bit < 2
          ? _mm512_slli_epi16(tops, UInt32(truncatingIfNeeded: 2 &- bit))
          : _mm512_srli_epi16(tops, UInt32(truncatingIfNeeded: bit &- 2))
        let two = _mm512_and_si512(_mm512_srli_epi16(pairs, UInt32(truncatingIfNeeded: 2 &* j)), low)
        quads[bit] = _mm512_or_si512(two, _mm512_and_si512(top, high))
      }
    }
    return quads
  }
}

/// Adds two sub-blocks of 16 columns, whose scales are the halves of `both`, less their zero point.
/// - Parameter zeroPoint: of the weights, a power of two's exponent.
@inline(__always)
private func addPair<let n: Int>(
  _ totals: inout Tile<n, __m512i>, _ quads: Quads, _ both: __m512i, zeroPoint: UInt32, _ x: UnsafeRawPointer,
  _ pair: Int, _ groups: Int, _ groupStride: Int
) {
  let scales0 = _mm512_srai_epi32(_mm512_slli_epi32(both, 16), 16)
  let scales1 = _mm512_srai_epi32(both, 16)
  // -zero point * scale, times the activation sums below.
  let zeroPoints = _mm512_sub_epi16(_mm512_setzero_si512(), _mm512_slli_epi16(both, zeroPoint))
  totals.update(groups, x, groupStride, record: Activation256.bytes) { total, x, _ in
    let quants = x + (Activation256.quants &+ 32 &* pair)
    let sum = _mm512_dpwssd_epi32(total, zeroPoints, broadcast(x, Activation256.sums16 &+ 4 &* pair))
    let product0 = dot(quads, quants, from: _mm512_setzero_si512(), first: 0, count: 4)
    let product1 = dot(quads, quants, from: _mm512_setzero_si512(), first: 4, count: 4)
    return _mm512_add_epi32(
      _mm512_add_epi32(sum, _mm512_mullo_epi32(product0, scales0)), _mm512_mullo_epi32(product1, scales1))
  }
}

enum TileIQ4_XS: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    let values = table(Codebook.iq4)
    signedBlocks(a, groups, pairs: 4, lines: 4, from: Tile<n, __m512i>(repeating: _mm512_setzero_si512())) {
      totals, block, x, s, place in
      let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* (s >> 1)))
      let left = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: 16 &- 16 &* (s & 1)))
      let scales = _mm512_srai_epi32(_mm512_sll_epi32(both, left), 16)
      let quads = chosen(place, values)
      totals.update(groups, x + 32 &* s, a.groupStride, record: Activation256.bytes) { total, x, _ in
        let product = dot(quads, x + Activation256.quants, from: _mm512_setzero_si512())
        return _mm512_add_epi32(total, _mm512_mullo_epi32(product, scales))
      }
    } finish: { totals, block, x in
      // -128 * scale: the zero point, times the activations' sums.
      var zeroPoints = InlineArray<4, __m512i>(repeating: _mm512_setzero_si512())
      for pair in 0..<4 {
        let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
        zeroPoints[pair] = _mm512_sub_epi16(_mm512_setzero_si512(), _mm512_slli_epi16(both, 7))
      }
      totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, _ in
        var total = total
        for pair in 0..<4 {
          total = _mm512_dpwssd_epi32(total, zeroPoints[pair], broadcast(x, Activation256.sums32 &+ 4 &* pair))
        }
        return total
      }
    }
  }
}

/// Super-blocks without mins: scales are applied to integers, floats touched once in 256 columns. Each has eight steps of
/// 32 columns.
/// - Parameters:
///   - pairs: of sub-blocks.
///   - lines: of a step.
///   - zero: no sums.
///   - zeroPoint: the activation field that sums begin with, if any.
///   - add: adds a step to the sums: (sums, block, activations, step, lines).
///   - finish: called with the sums of a super-block: (sums, block, activations).
@inline(__always)
private func signedBlocks<let n: Int>(
  _ a: TileArguments, _ groups: Int, pairs: Int, lines: Int, from zero: Tile<n, __m512i>, zeroPoint: Int? = nil,
  _ add: (inout Tile<n, __m512i>, UnsafeRawPointer, UnsafeRawPointer, Int, UnsafeRawPointer) -> Void,
  finish: (inout Tile<n, __m512i>, UnsafeRawPointer, UnsafeRawPointer) -> Void = { _, _, _ in }
) {
  Tile<n, __m512>(repeating: _mm512_setzero_ps()).forEach(groups) { store($0, a.out, $1) }
  let quants = SignedPanel.quants(pairs: pairs)
  let bytes = quants &+ 8 &* lines &* PanelLayout.line
  var totals = zero
  // One loop over all steps: nested ones would be unrolled, and lines read out of their order.
  for index in 0..<a.columns / 32 {
    let (b, step) = (index >> 3, index & 7)
    let block = a.panel + b &* bytes
    let x = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
    if step == 0 {
      totals = zero
      if let zeroPoint {
        totals.update(groups, x, a.groupStride, record: Activation256.bytes) { _, x, _ in broadcast(x, zeroPoint) }
      }
    }
    let place = block + (quants &+ step &* lines &* PanelLayout.line)
    prefetchWeights(place, lines: lines)
    add(&totals, block, x, step, place)
    guard step == 7 else { continue }
    finish(&totals, block, x)
    let d = (block + SignedPanel.d).load(as: __m512.self)
    totals.update(groups, x, a.groupStride, record: Activation256.bytes) { total, x, token in
      let scale = _mm512_mul_ps(d, broadcastFloat(x, Activation256.scale))
      store(_mm512_fmadd_ps(_mm512_cvtepi32_ps(total), scale, stored(a.out, token)), a.out, token)
      return total
    }
  }
}

/// 16 rows of two signed bytes -> 16-bit lanes.
@inline(__always)
private func pairs(signed bytes: UnsafeRawPointer) -> __m512i { _mm512_cvtepi8_epi16(bytes.load(as: __m256i.self)) }
