import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a sub-block: 15 * 127 * 2 * 8 = 30,480.
func tileQ4_K(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  affineBlocks(panel, activations, tokens, columns, out, lines: 4) { lines in
    nibbles(lines)
  } dot: { quads, x, scales in
    _mm256_madd_epi16(dot(quads, x, first: 0, count: 8), scales)
  }
}

/// Lanes hold half a sub-block: 31 * 127 * 2 * 4 = 31,496.
func tileQ5_K(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  affineBlocks(panel, activations, tokens, columns, out, lines: 5) { lines in
    var quads = nibbles(lines)
    let fifths = line(lines, 4)
    let bit = _mm256_set1_epi8(16)
    for j in 0..<8 {
      // Bit j of each byte to bit 4; what 16-bit shifts carry across bytes is masked away.
      let count = Int32(truncatingIfNeeded: j < 4 ? 4 &- j : j &- 4)
      let shifted = j < 4 ? _mm256_slli_epi16(fifths, count) : _mm256_srli_epi16(fifths, count)
      quads[j] = _mm256_or_si256(quads[j], _mm256_and_si256(shifted, bit))
    }
    return quads
  } dot: { quads, x, scales in
    _mm256_add_epi32(
      _mm256_madd_epi16(dot(quads, x, first: 0, count: 4), scales),
      _mm256_madd_epi16(dot(quads, x, first: 4, count: 4), scales))
  }
}

/// The 32-bit sums of a tile: [token][half].
private typealias Totals = InlineArray<8, __m256i>

/// Q4_K and Q5_K: sub-block scales are applied to integers, floats touched once in 256 columns.
/// - Parameter dot: eight rows times 32 activations, each row's sum times its 16-bit scale (given twice).
@inline(__always)
private func affineBlocks(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>, lines: Int, unpack: (UnsafeRawPointer) -> Quads,
  dot: (Quads, UnsafeRawPointer, __m256i) -> __m256i
) {
  clear(out, tokens)
  for b in 0..<columns / 256 {
    let block = panel + b &* SuperPanel.bytes(lines: lines)
    let record = activations + b &* (Activation256.bytes &* ActivationLayout.tokens)
    var totals = Totals(repeating: _mm256_setzero_si256())
    for s in 0..<8 {
      for half in 0..<2 {
        let quads = unpack(block + (SuperPanel.quants &+ s &* lines &* PanelLayout.line &+ half &* 32))
        let eight = (block + (SuperPanel.scales &+ 16 &* s &+ 8 &* half)).load(as: Int64.self)
        let single = _mm256_cvtepu8_epi32(_mm_set_epi64x(0, eight))
        let scales = _mm256_or_si256(single, _mm256_slli_epi32(single, 16))
        for token in 0..<tokens {
          let x = record + (token &* Activation256.bytes &+ Activation256.quants &+ 32 &* s)
          totals[2 &* token &+ half] = _mm256_add_epi32(totals[2 &* token &+ half], dot(quads, x, scales))
        }
      }
    }
    for half in 0..<2 {
      let d = floats(halves: block + (SuperPanel.d &+ 16 &* half))
      let dmin = floats(halves: block + (SuperPanel.dmin &+ 16 &* half))
      var mins = InlineArray<4, __m256i>(repeating: _mm256_setzero_si256())
      for pair in 0..<4 {
        mins[pair] = _mm256_cvtepu8_epi16(
          (block + (SuperPanel.mins &+ 32 &* pair &+ 16 &* half)).load(as: __m128i.self))
      }
      for token in 0..<tokens {
        let x = record + token &* Activation256.bytes
        let scale = broadcastFloat(x, Activation256.scale)
        var offset = _mm256_madd_epi16(mins[0], broadcast(x, Activation256.sums32))
        for pair in 1..<4 {
          offset = _mm256_add_epi32(
            offset, _mm256_madd_epi16(mins[pair], broadcast(x, Activation256.sums32 &+ 4 &* pair)))
        }
        let sum = rows(out, token, half)
        let total = _mm256_cvtepi32_ps(totals[2 &* token &+ half])
        let scaled = _mm256_fmadd_ps(total, _mm256_mul_ps(d, scale), sum.pointee)
        sum.pointee = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(offset), _mm256_mul_ps(dmin, scale), scaled)
      }
    }
  }
}

/// Lanes hold half a sub-block: 63 * 127 * 2 * 2 = 32,004.
func tileQ6_K(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  clear(out, tokens)
  for b in 0..<columns / 256 {
    let block = panel + b &* SuperPanel6.bytes
    let record = activations + b &* (Activation256.bytes &* ActivationLayout.tokens)
    var totals = Totals(repeating: _mm256_setzero_si256())
    for pair in 0..<8 {
      for half in 0..<2 {
        let quads = sixBits(block + (SuperPanel6.quants &+ pair &* (6 &* PanelLayout.line) &+ half &* 32))
        let both = _mm256_cvtepi8_epi16(
          (block + (SuperPanel6.scales &+ 32 &* pair &+ 16 &* half)).load(as: __m128i.self))
        // The scale of either sub-block, twice over in each row's 32 bits.
        let low = _mm256_and_si256(both, _mm256_set1_epi32(0xffff))
        let scales0 = _mm256_or_si256(low, _mm256_slli_epi32(both, 16))
        let high = _mm256_srli_epi32(both, 16)
        let scales1 = _mm256_or_si256(high, _mm256_slli_epi32(high, 16))
        // -32 * scale: the zero point, times the activation sums below.
        let zeroPoints = _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_slli_epi16(both, 5))
        for token in 0..<tokens {
          let x = record + token &* Activation256.bytes
          let quants = x + (Activation256.quants &+ 32 &* pair)
          let offset = _mm256_madd_epi16(zeroPoints, broadcast(x, Activation256.sums16 &+ 4 &* pair))
          var sum = _mm256_add_epi32(totals[2 &* token &+ half], offset)
          for j in 0..<4 {
            let lanes = dot(quads, quants, first: 2 &* j, count: 2)
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(lanes, j < 2 ? scales0 : scales1))
          }
          totals[2 &* token &+ half] = sum
        }
      }
    }
    for half in 0..<2 {
      let d = (block + (SuperPanel6.d &+ 32 &* half)).load(as: __m256.self)
      for token in 0..<tokens {
        let x = record + token &* Activation256.bytes
        let sum = rows(out, token, half)
        let total = _mm256_cvtepi32_ps(totals[2 &* token &+ half])
        sum.pointee = _mm256_fmadd_ps(
          total, _mm256_mul_ps(d, broadcastFloat(x, Activation256.scale)), sum.pointee)
      }
    }
  }
}

/// Two sub-blocks of 16 columns: four lines of nibbles, then a line of bit pairs for each.
@inline(__always)
private func sixBits(_ lines: UnsafeRawPointer) -> Quads {
  var quads = nibbles(lines)
  let mask = _mm256_set1_epi8(0x30)
  for half in 0..<2 {
    let tops = line(lines, 4 &+ half)
    let places: InlineArray<4, __m256i> = [
      _mm256_slli_epi16(tops, 4), _mm256_slli_epi16(tops, 2), tops, _mm256_srli_epi16(tops, 2),
    ]
    for j in 0..<4 {
      quads[4 &* half &+ j] = _mm256_or_si256(quads[4 &* half &+ j], _mm256_and_si256(places[j], mask))
    }
  }
  return quads
}
