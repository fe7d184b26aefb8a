import OccamKernelContract
import _Builtin_intrinsics.intel

/// A single token takes activations as magnitudes, their signs given to the weights; a lane holds one pair:
/// 127 * 127 * 2 = 32,258.
///
/// Several tokens: both sides are widened to 16 bits, the weights with their scale: 127 * 32 = 4,064.
enum TileIQ4_XS: TileKernel {
  @inline(__always) static var columns: Int { 256 }
  @inline(__always) static var recordBytes: Int { Activation256.bytes }
  @inline(__always) static var blockBytes: Int { SignedPanel.bytes(pairs: 4, lines: 8) }
  @inline(__always) static var pieceBlocks: Int { 1 }
  /// [16] float d; [8 sub-blocks][16 lines] 16-bit weights, of each quad columns 0 and 2, then 1 and 3.
  @inline(__always) static var unpackedBytes: Int { PanelLayout.line &+ 8 &* subBlockBytes }
  @inline(__always) private static var subBlockBytes: Int { 16 &* PanelLayout.line }
  /// [8 sub-blocks][4 tokens] 32 activations, widened as weights are.
  @inline(__always) static var preparedBytes: Int { 8 &* 256 }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    var totals = Lanes<1>()
    // One loop over all sub-blocks: nested loops of constant length would be unrolled to 30 KB of code.
    for index in 0..<blocks &* 8 {
      let (b, s) = (index >> 3, index & 7)
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let place = block + (SignedPanel.quants(pairs: 4) &+ s &* (4 &* PanelLayout.line))
      prefetchWeights(place, lines: 4)
      let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* (s >> 1)))
      // The wanted one of each row's two scales to both 16-bit lanes.
      let shift = Int32(truncatingIfNeeded: 16 &* (s & 1))
      let scales = Quad(
        twice(_mm256_srl_epi32(both.low, _mm_cvtsi32_si128(shift))),
        twice(_mm256_srl_epi32(both.high, _mm_cvtsi32_si128(shift))))
      for j in 0..<8 {
        let quad = chosenQuad(place, j)
        let four = broadcast(x, Activation256.quants &+ 32 &* s &+ 4 &* j)
        let magnitudes = _mm256_abs_epi8(four)
        var lanes = Lanes<1>()
        lanes.low[0] = pairs(magnitudes, quad.low, four)
        lanes.high[0] = pairs(magnitudes, quad.high, four)
        totals.add(lanes, times: scales)
      }
      guard s == 7 else { continue }
      let d = block + SignedPanel.d
      sums.add(
        totals, d.load(as: __m256.self), d.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation256.scale, record: Activation256.bytes)
      totals = Lanes()
    }
    sums.store(out)
  }

  /// Of each 32-bit lane the lower half, twice.
  @inline(__always)
  private static func twice(_ lanes: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(lanes, _mm256_set1_epi32(0xffff)), _mm256_slli_epi32(lanes, 16))
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    Quad(line: block + SignedPanel.d).store(target)
    for pair in 0..<4 {
      let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
      for half in 0..<2 {
        let s = 2 &* pair &+ half
        let scales = half == 0 ? both.evenTwice : both.oddTwice
        let place = block + (SignedPanel.quants(pairs: 4) &+ s &* (4 &* PanelLayout.line))
        let target = target + (PanelLayout.line &+ s &* subBlockBytes)
        for j in 0..<8 {
          let quad = chosenQuad(place, j)
          quad.evenBytes.times(scales).store(target + 2 &* j &* PanelLayout.line)
          quad.oddBytes.times(scales).store(target + (2 &* j &+ 1) &* PanelLayout.line)
        }
      }
    }
  }

  @inline(__always)
  static func prepare(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ target: UnsafeMutableRawPointer
  ) {
    for s in 0..<8 {
      for t in 0..<4 {
        widen(
          x + (t &* Activation256.bytes &+ Activation256.quants &+ 32 &* s),
          target + (s &* ActivationLayout.tokens &+ t) &* 64)
      }
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var totals = Lanes<4>()
    for s in 0..<8 {
      let place = weights + (PanelLayout.line &+ s &* subBlockBytes)
      let x = prepared + s &* 256
      for j in 0..<8 {
        let pairs = place + 2 &* j &* PanelLayout.line
        totals.add(pairs: Quad(line: pairs), times: x + 4 &* j, record: 64)
        totals.add(pairs: Quad(line: pairs + PanelLayout.line), times: x + (4 &* j &+ 32), record: 64)
      }
    }
    var sums = FloatLanes<4>(out)
    sums.add(
      totals, weights.load(as: __m256.self), weights.load(fromByteOffset: 32, as: __m256.self),
      scale: x + Activation256.scale, record: Activation256.bytes)
    sums.store(out)
  }
}

extension Quad {
  /// 16-bit lanes.
  @inline(__always)
  fileprivate func times(_ factors: Quad) -> Quad {
    Quad(_mm256_mullo_epi16(low, factors.low), _mm256_mullo_epi16(high, factors.high))
  }
}
