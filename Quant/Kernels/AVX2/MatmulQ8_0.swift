import OccamKernelContract
import _Builtin_intrinsics.intel

/// A single token takes weights as magnitudes, their signs given to the activations; a lane holds one pair:
/// 128 * 127 * 2 = 32,512.
///
/// Several tokens: both sides are widened to 16 bits.
enum TileQ8_0: TileKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(lines: 8) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { UnpackedQ8_0.bytes }
  /// [block][4 tokens] 32 activations, widened as weights are.
  @inline(__always) static var preparedBytes: Int { pieceBlocks &* 256 }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    single(panel, x, blocks, out) { $0 }
  }

  /// - Parameter signed: four stored activations -> signed bytes.
  @inline(__always)
  static func single(
    _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer,
    signed: (__m256i) -> __m256i
  ) {
    var total = FloatLanes<1>()
    let ones = _mm256_set1_epi16(1)
    for b in 0..<blocks {
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var sums = Lanes<1>()
      for j in 0..<8 {
        let quad = Quad(line: block + (BlockPanel.quants &+ j &* PanelLayout.line))
        let (low, high) = (_mm256_abs_epi8(quad.low), _mm256_abs_epi8(quad.high))
        let four = signed(broadcast(x, Activation32.quants &+ 4 &* j))
        let first = _mm256_maddubs_epi16(low, _mm256_sign_epi8(four, quad.low))
        let second = _mm256_maddubs_epi16(high, _mm256_sign_epi8(four, quad.high))
        sums.low[0] = _mm256_add_epi32(sums.low[0], _mm256_madd_epi16(first, ones))
        sums.high[0] = _mm256_add_epi32(sums.high[0], _mm256_madd_epi16(second, ones))
      }
      let scales = block + BlockPanel.scales
      total.add(
        sums, floats(halves: scales), floats(halves: scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
    }
    total.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    storeScales(block + BlockPanel.scales, target + UnpackedQ8_0.scales)
    for j in 0..<8 {
      let quad = Quad(line: block + (BlockPanel.quants &+ j &* PanelLayout.line))
      let place = target + (UnpackedQ8_0.lines &+ 2 &* j &* PanelLayout.line)
      quad.evenBytes.store(place)
      quad.oddBytes.store(place + PanelLayout.line)
    }
  }

  @inline(__always)
  static func prepare(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ target: UnsafeMutableRawPointer
  ) {
    for b in 0..<blocks {
      for t in 0..<4 {
        let record = b &* ActivationLayout.tokens &+ t
        let quants = (x + (record &* Activation32.bytes &+ Activation32.quants)).loadUnaligned(as: __m256i.self)
        let place = target + record &* 64
        place.storeBytes(of: _mm256_srai_epi16(_mm256_slli_epi16(quants, 8), 8), as: __m256i.self)
        place.storeBytes(of: _mm256_srai_epi16(quants, 8), toByteOffset: 32, as: __m256i.self)
      }
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var total = FloatLanes<4>(out)
    for b in 0..<blocks {
      let block = weights + b &* unpackedBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      let sums = widened(block, prepared + b &* 256)
      let scales = block + UnpackedQ8_0.scales
      total.add(
        sums, scales.load(as: __m256.self), scales.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation32.scale, record: Activation32.bytes)
    }
    total.store(out)
  }

  @inline(__always)
  private static func widened(_ block: UnsafeRawPointer, _ x: UnsafeRawPointer) -> Lanes<4> {
    var sums = Lanes<4>()
    for j in 0..<8 {
      let pairs = block + (UnpackedQ8_0.lines &+ 2 &* j &* PanelLayout.line)
      sums.add(pairs: Quad(line: pairs), times: x + 4 &* j, record: 64)
      sums.add(pairs: Quad(line: pairs + PanelLayout.line), times: x + (4 &* j &+ 32), record: 64)
    }
    return sums
  }
}

/// A block of Q8_0 as `multiply` reads it: byte offsets.
private enum UnpackedQ8_0 {
  /// [16] float.
  static var scales: Int { 0 }
  /// Widened to 16 bits, of each quad columns 0 and 2, then 1 and 3.
  static var lines: Int { 64 }
  static var bytes: Int { lines &+ 16 &* PanelLayout.line }
}
