import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480.
enum TileQ4_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type) {
    var out = FloatLanes<n>()
    for b in 0..<a.columns / 32 {
      let block = a.panel + b &* BlockPanel.bytes(lines: 4)
      if n > 1 { prefetchWeights(block, lines: 4) }
      let x = a.x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var lanes = Lanes<n>()
      for j in 0..<4 {
        let (even, odd) = nibbles(block + (BlockPanel.quants &+ j &* PanelLayout.line))
        let quants = x + (Activation32.quants &+ 8 &* j)
        lanes.add(even, times: quants, record: Activation32.bytes)
        lanes.add(odd, times: quants + 4, record: Activation32.bytes)
      }
      let ones = _mm256_set1_epi16(1)
      for t in 0..<n {
        let offset = broadcast(x, t &* Activation32.bytes &+ Activation32.minus8)
        lanes.low[t] = _mm256_add_epi32(_mm256_madd_epi16(lanes.low[t], ones), offset)
        lanes.high[t] = _mm256_add_epi32(_mm256_madd_epi16(lanes.high[t], ones), offset)
      }
      let scales = block + BlockPanel.scales
      out.add(
        lanes, floats(halves: scales), floats(halves: scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
    }
    out.store(a.out)
  }
}

/// Weights as magnitudes, their signs given to the activations; a lane holds one pair: 128 * 127 * 2 = 32,512.
enum TileQ8_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type) {
    var out = FloatLanes<n>()
    let ones = _mm256_set1_epi16(1)
    for b in 0..<a.columns / 32 {
      let block = a.panel + b &* BlockPanel.bytes(lines: 8)
      if n > 1 { prefetchWeights(block, lines: 8) }
      let x = a.x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var sums = Lanes<n>()
      for j in 0..<8 {
        let quad = Quad(line: block + (BlockPanel.quants &+ j &* PanelLayout.line))
        let (low, high) = (_mm256_abs_epi8(quad.low), _mm256_abs_epi8(quad.high))
        for t in 0..<n {
          let four = broadcast(x, t &* Activation32.bytes &+ Activation32.quants &+ 4 &* j)
          let first = _mm256_maddubs_epi16(low, _mm256_sign_epi8(four, quad.low))
          let second = _mm256_maddubs_epi16(high, _mm256_sign_epi8(four, quad.high))
          sums.low[t] = _mm256_add_epi32(sums.low[t], _mm256_madd_epi16(first, ones))
          sums.high[t] = _mm256_add_epi32(sums.high[t], _mm256_madd_epi16(second, ones))
        }
      }
      let scales = block + BlockPanel.scales
      out.add(
        sums, floats(halves: scales), floats(halves: scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
    }
    out.store(a.out)
  }
}
