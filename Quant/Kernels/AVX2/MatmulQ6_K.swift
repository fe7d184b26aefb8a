import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold half a sub-block: 63 * 127 * 2 * 2 = 32,004.
enum TileQ6_K: TileKernel {
  @inline(__always) static var columns: Int { 256 }
  @inline(__always) static var recordBytes: Int { Activation256.bytes }
  @inline(__always) static var blockBytes: Int { SignedPanel.bytes(pairs: 8, lines: 6) }
  @inline(__always) static var pieceBlocks: Int { 1 }
  /// [16] float d; [8 pairs of sub-blocks]: the pair's zero points, its first and its second scales, each twice,
  /// 16 rows of 16-bit numbers; 8 quads.
  @inline(__always) static var unpackedBytes: Int { PanelLayout.line &+ 8 &* pairBytes }
  @inline(__always) private static var pairBytes: Int { 11 &* PanelLayout.line }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    var totals = Lanes<1>()
    // One loop over all pairs of sub-blocks: nested loops of constant length would be unrolled to 30 KB of code.
    for index in 0..<blocks &* 8 {
      let (b, pair) = (index >> 3, index & 7)
      let block = panel + b &* SignedPanel.bytes(pairs: 8, lines: 6)
      let x = x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let lines = block + (SignedPanel.quants(pairs: 8) &+ pair &* (6 &* PanelLayout.line))
      prefetchWeights(lines, lines: 6)
      let scales = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
      totals.add(
        pairs: zeroPoints(scales), times: x + (Activation256.sums16 &+ 4 &* pair), record: Activation256.bytes)
      let quants = x + (Activation256.quants &+ 32 &* pair)
      for half in 0..<2 {
        let factors = half == 0 ? scales.evenTwice : scales.oddTwice
        for j in 0..<2 {
          let (even, odd) = quads(lines, half, j)
          addTwo(&totals, even, odd, factors, quants + (16 &* half &+ 8 &* j))
        }
      }
      guard pair == 7 else { continue }
      let d = block + SignedPanel.d
      sums.add(
        totals, d.load(as: __m256.self), d.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation256.scale, record: Activation256.bytes)
      totals = Lanes()
    }
    sums.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    Quad(line: block + SignedPanel.d).store(target)
    for pair in 0..<8 {
      let lines = block + (SignedPanel.quants(pairs: 8) &+ pair &* (6 &* PanelLayout.line))
      let place = target + (PanelLayout.line &+ pair &* pairBytes)
      let scales = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
      zeroPoints(scales).store(place)
      scales.evenTwice.store(place + PanelLayout.line)
      scales.oddTwice.store(place + 2 &* PanelLayout.line)
      for half in 0..<2 {
        for j in 0..<2 {
          let (even, odd) = quads(lines, half, j)
          even.store(place + (3 &+ 4 &* half &+ 2 &* j) &* PanelLayout.line)
          odd.store(place + (4 &+ 4 &* half &+ 2 &* j) &* PanelLayout.line)
        }
      }
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var totals = Lanes<4>()
    for pair in 0..<8 {
      let place = weights + (PanelLayout.line &+ pair &* pairBytes)
      totals.add(
        pairs: Quad(line: place), times: x + (Activation256.sums16 &+ 4 &* pair), record: Activation256.bytes)
      let quants = x + (Activation256.quants &+ 32 &* pair)
      for two in 0..<4 {
        let quad = place + (3 &+ 2 &* two) &* PanelLayout.line
        addTwo(
          &totals, Quad(line: quad), Quad(line: quad + PanelLayout.line),
          Quad(line: place + (1 &+ two >> 1) &* PanelLayout.line), quants + 8 &* two)
      }
    }
    var sums = FloatLanes<4>(out)
    sums.add(
      totals, weights.load(as: __m256.self), weights.load(fromByteOffset: 32, as: __m256.self),
      scale: x + Activation256.scale, record: Activation256.bytes)
    sums.store(out)
  }

  /// Two quads times eight activations of each token, times the rows' 16-bit scales.
  @inline(__always)
  private static func addTwo<let n: Int>(
    _ totals: inout Lanes<n>, _ even: Quad, _ odd: Quad, _ scales: Quad, _ x: UnsafeRawPointer
  ) {
    for t in 0..<n {
      let (first, second) = (broadcast(x, t &* Activation256.bytes), broadcast(x, t &* Activation256.bytes &+ 4))
      let low = _mm256_add_epi16(_mm256_maddubs_epi16(even.low, first), _mm256_maddubs_epi16(odd.low, second))
      totals.low[t] = _mm256_add_epi32(totals.low[t], _mm256_madd_epi16(low, scales.low))
      let high = _mm256_add_epi16(_mm256_maddubs_epi16(even.high, first), _mm256_maddubs_epi16(odd.high, second))
      totals.high[t] = _mm256_add_epi32(totals.high[t], _mm256_madd_epi16(high, scales.high))
    }
  }

  /// -32 * scale: what sums of activations are multiplied with.
  @inline(__always)
  private static func zeroPoints(_ scales: Quad) -> Quad { (scales << 5).negated }

  /// Line `j` of sub-block `half`'s nibbles with the high bits of the sub-block's own line.
  @inline(__always)
  private static func quads(_ lines: UnsafeRawPointer, _ half: Int, _ j: Int) -> (even: Quad, odd: Quad) {
    let tops = Quad(line: lines + (4 &+ half) &* PanelLayout.line)
    let mask = _mm256_set1_epi8(0x30)
    let (even, odd) = nibbles(lines + (2 &* half &+ j) &* PanelLayout.line)
    if j == 0 { return (even | tops << 4 & mask, odd | tops << 2 & mask) }
    return (even | tops & mask, odd | tops >> 2 & mask)
  }
}
