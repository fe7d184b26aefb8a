import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

enum TileQ8_0: ByteKernel {
  @inline(__always) static var lines: Int { 8 }
  @inline(__always) static var hasLowest: Bool { true }

  @inline(__always)
  static func quad(_ lines: UnsafeRawPointer, _ j: Int) -> Quad { Quad(line: lines + j &* PanelLayout.line) }
}

enum TileIQ4_NL: ByteKernel {
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var hasLowest: Bool { false }

  @inline(__always)
  static func quad(_ lines: UnsafeRawPointer, _ j: Int) -> Quad { chosenQuad(lines, j) }
}

/// Quad `j` of four lines of nibbles as values of IQ4_NL.
@inline(__always)
func chosenQuad(_ lines: UnsafeRawPointer, _ j: Int) -> Quad {
  let (even, odd) = nibbles(lines + (j >> 1) &* PanelLayout.line)
  return (j & 1 == 0 ? even : odd).choosing(from: table(Codebook.iq4))
}

/// Blocks of 32 columns of signed bytes, stored or chosen by nibbles.
///
/// A single token takes one side as magnitudes, its signs given to the other one; a lane holds one pair:
/// 128 * 127 * 2 = 32,512. The activations' magnitudes serve all rows, but a weight of -128 has no negative.
///
/// Several tokens: both sides are widened to 16 bits.
protocol ByteKernel: TileKernel {
  /// Lines of a block.
  static var lines: Int { get }
  /// Whether a weight may be -128.
  static var hasLowest: Bool { get }

  /// Quad `j` of a block.
  static func quad(_ lines: UnsafeRawPointer, _ j: Int) -> Quad
}

extension ByteKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(lines: lines) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { UnpackedBytes.bytes }
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
        let quad = Self.quad(block + BlockPanel.quants(heads: 1), j)
        let four = signed(broadcast(x, Activation32.quants &+ 4 &* j))
        let (first, second) =
          hasLowest
          ? (pairs(_mm256_abs_epi8(quad.low), four, quad.low), pairs(_mm256_abs_epi8(quad.high), four, quad.high))
          : (pairs(_mm256_abs_epi8(four), quad.low, four), pairs(_mm256_abs_epi8(four), quad.high, four))
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
    storeScales(block + BlockPanel.scales, target + UnpackedBytes.scales)
    for j in 0..<8 {
      let quad = Self.quad(block + BlockPanel.quants(heads: 1), j)
      let place = target + (UnpackedBytes.lines &+ 2 &* j &* PanelLayout.line)
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
        widen(x + (record &* Activation32.bytes &+ Activation32.quants), target + record &* 64)
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
      let scales = block + UnpackedBytes.scales
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
      let pairs = block + (UnpackedBytes.lines &+ 2 &* j &* PanelLayout.line)
      sums.add(pairs: Quad(line: pairs), times: x + 4 &* j, record: 64)
      sums.add(pairs: Quad(line: pairs + PanelLayout.line), times: x + (4 &* j &+ 32), record: 64)
    }
    return sums
  }
}

/// Magnitudes times bytes that get the signs of `signs`, pairs of products in 16-bit lanes.
@inline(__always)
func pairs(_ magnitudes: __m256i, _ bytes: __m256i, _ signs: __m256i) -> __m256i {
  _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(bytes, signs))
}

/// 32 signed bytes -> 16-bit lanes: of each quad columns 0 and 2, then 1 and 3.
@inline(__always)
func widen(_ bytes: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
  let quants = bytes.loadUnaligned(as: __m256i.self)
  target.storeBytes(of: _mm256_srai_epi16(_mm256_slli_epi16(quants, 8), 8), as: __m256i.self)
  target.storeBytes(of: _mm256_srai_epi16(quants, 8), toByteOffset: 32, as: __m256i.self)
}

/// A block as `multiply` reads it: byte offsets.
private enum UnpackedBytes {
  /// [16] float.
  static var scales: Int { 0 }
  /// Widened to 16 bits, of each quad columns 0 and 2, then 1 and 3.
  static var lines: Int { 64 }
  static var bytes: Int { lines &+ 16 &* PanelLayout.line }
}
