import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480.
enum TileQ4_0: TileKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(lines: 4) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  /// [16] float scales, 8 quads of bytes.
  @inline(__always) static var unpackedBytes: Int { 9 &* PanelLayout.line }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    for b in 0..<blocks {
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var lanes = Lanes<1>()
      for j in 0..<4 {
        let (even, odd) = nibbles(block + (BlockPanel.quants &+ j &* PanelLayout.line))
        let quants = x + (Activation32.quants &+ 8 &* j)
        lanes.add(even, times: quants, record: Activation32.bytes)
        lanes.add(odd, times: quants + 4, record: Activation32.bytes)
      }
      let ones = _mm256_set1_epi16(1)
      let offset = broadcast(x, Activation32.minus8)
      lanes.low[0] = _mm256_add_epi32(_mm256_madd_epi16(lanes.low[0], ones), offset)
      lanes.high[0] = _mm256_add_epi32(_mm256_madd_epi16(lanes.high[0], ones), offset)
      let scales = block + BlockPanel.scales
      sums.add(
        lanes, floats(halves: scales), floats(halves: scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
    }
    sums.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    storeScales(block + BlockPanel.scales, target)
    for j in 0..<4 {
      let (even, odd) = nibbles(block + (BlockPanel.quants &+ j &* PanelLayout.line))
      even.store(target + (2 &* j &+ 1) &* PanelLayout.line)
      odd.store(target + (2 &* j &+ 2) &* PanelLayout.line)
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    let ones = _mm256_set1_epi16(1)
    var sums = FloatLanes<4>(out)
    for b in 0..<blocks {
      let block = weights + b &* unpackedBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var lanes = Lanes<4>()
      for t in 0..<4 {
        lanes.low[t] = broadcast(x, t &* Activation32.bytes &+ Activation32.minus4)
        lanes.high[t] = lanes.low[t]
      }
      addQuads(&lanes, block + PanelLayout.line, x + Activation32.quants, count: 8, record: Activation32.bytes)
      for t in 0..<4 {
        lanes.low[t] = _mm256_madd_epi16(lanes.low[t], ones)
        lanes.high[t] = _mm256_madd_epi16(lanes.high[t], ones)
      }
      sums.add(
        lanes, block.load(as: __m256.self), block.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation32.scale, record: Activation32.bytes)
    }
    sums.store(out)
  }
}
