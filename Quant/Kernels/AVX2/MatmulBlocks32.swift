import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

/// Blocks of 32 columns of at most five bits.
protocol BlockKernel: TileKernel {
  static var zeroPoint: BlockZeroPoint { get }
  /// Lines of a block.
  static var lines: Int { get }
  /// Quads whose products fit 16-bit lanes: 8 or 4.
  static var quadsAtOnce: Int { get }

  /// Eight scales.
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256

  /// The quads of line `j`.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad)
}

enum BlockZeroPoint {
  case eight, twelve, sixteen
  /// The weights have an offset of their own, which multiplies the activations' sum.
  case offset
}

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480; with -4 times the activations' sum, which takes the zero point away,
/// 8 * 127 * 16 + 4 * 127 * 32 = 32,512 at most, whatever wrapped on the way.
enum TileQ4_0: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .eight }
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var quadsAtOnce: Int { 8 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480.
enum TileQ4_1: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .offset }
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var quadsAtOnce: Int { 8 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

/// Lanes hold half a block: 31 * 127 * 2 * 4 = 31,496.
enum TileQ5_0: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .sixteen }
  @inline(__always) static var lines: Int { 5 }
  @inline(__always) static var quadsAtOnce: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, fifths)
  }
}

/// Lanes hold half a block: 31 * 127 * 2 * 4 = 31,496.
enum TileQ5_1: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .offset }
  @inline(__always) static var lines: Int { 5 }
  @inline(__always) static var quadsAtOnce: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, fifths)
  }
}

/// The values plus 12 are 0...24; lanes hold half a block: 24 * 127 * 2 * 4 = 24,384.
enum TileMXFP4: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .twelve }
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var quadsAtOnce: Int { 4 }

  @inline(__always)
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256 { floats(brains: scales) }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    let (even, odd) = nibbles(lines + j &* PanelLayout.line)
    let values = table(Codebook.fp4 &+ SIMD16(repeating: 12))
    return (even.choosing(from: values), odd.choosing(from: values))
  }
}

/// A block as `multiply` reads it: [16] float scales, 8 quads of bytes, [16] float offsets if there are any.
private enum UnpackedBlock {
  static var quads: Int { PanelLayout.line }
  static var offsets: Int { 9 &* PanelLayout.line }
}

extension BlockKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var heads: Int { zeroPoint == .offset ? 2 : 1 }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(heads: heads, lines: lines) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { (8 &+ heads) &* PanelLayout.line }

  @inline(__always)
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256 { floats(halves: scales) }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    let ones = Quad(_mm256_set1_epi16(1), _mm256_set1_epi16(1))
    for b in 0..<blocks {
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      let place = block + BlockPanel.quants(heads: heads)
      // The line of fifth bits is read out of turn, which the processor's own prefetching does not follow.
      if lines > 4 { prefetchWeights(block, lines: 6) }
      let fifths = lines > 4 ? Quad(line: place + 4 &* PanelLayout.line) : Quad.zero
      var totals = offsets(Lanes<1>.self, x)
      var lanes = Lanes<1>()
      for j in 0..<4 {
        let (even, odd) = quads(place, j, fifths)
        let quants = x + (Activation32.quants &+ 8 &* j)
        lanes.add(even, times: quants, record: Activation32.bytes)
        lanes.add(odd, times: quants + 4, record: Activation32.bytes)
        if quadsAtOnce == 4 && j == 1 {
          totals.add(lanes, times: ones)
          lanes = Lanes()
        }
      }
      totals.add(lanes, times: ones)
      let scales = block + BlockPanel.scales
      sums.add(
        totals, floatScales(scales), floatScales(scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
      if zeroPoint == .offset {
        let mins = block + BlockPanel.mins
        sums.add(
          floats(halves: mins), floats(halves: mins + 16), times: x + Activation32.scaledSum,
          record: Activation32.bytes)
      }
    }
    sums.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    let scales = block + BlockPanel.scales
    target.storeBytes(of: floatScales(scales), as: __m256.self)
    target.storeBytes(of: floatScales(scales + 16), toByteOffset: 32, as: __m256.self)
    if zeroPoint == .offset { storeScales(block + BlockPanel.mins, target + UnpackedBlock.offsets) }
    let place = block + BlockPanel.quants(heads: heads)
    let fifths = lines > 4 ? Quad(line: place + 4 &* PanelLayout.line) : Quad.zero
    for j in 0..<4 {
      let (even, odd) = quads(place, j, fifths)
      even.store(target + (UnpackedBlock.quads &+ 2 &* j &* PanelLayout.line))
      odd.store(target + (UnpackedBlock.quads &+ (2 &* j &+ 1) &* PanelLayout.line))
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
      let quads = block + UnpackedBlock.quads
      var lanes = Lanes<4>()
      if quadsAtOnce == 8 {
        if zeroPoint == .eight {
          for t in 0..<4 {
            lanes.low[t] = broadcast(x, t &* Activation32.bytes &+ Activation32.minus4)
            lanes.high[t] = lanes.low[t]
          }
        }
        addQuads(&lanes, quads, x + Activation32.quants, count: 8, record: Activation32.bytes)
        for t in 0..<4 {
          lanes.low[t] = _mm256_madd_epi16(lanes.low[t], ones)
          lanes.high[t] = _mm256_madd_epi16(lanes.high[t], ones)
        }
      } else {
        lanes = offsets(Lanes<4>.self, x)
        for half in 0..<2 {
          var part = Lanes<4>()
          addQuads(
            &part, quads + 4 &* half &* PanelLayout.line, x + (Activation32.quants &+ 16 &* half), count: 4,
            record: Activation32.bytes)
          lanes.add(part, times: Quad(ones, ones))
        }
      }
      sums.add(
        lanes, block.load(as: __m256.self), block.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation32.scale, record: Activation32.bytes)
      if zeroPoint == .offset {
        let offsets = block + UnpackedBlock.offsets
        sums.add(
          offsets.load(as: __m256.self), offsets.load(fromByteOffset: 32, as: __m256.self),
          times: x + Activation32.scaledSum, record: Activation32.bytes)
      }
    }
    sums.store(out)
  }

  /// What takes the zero point away from 32-bit sums.
  @inline(__always)
  private static func offsets<let n: Int>(_: Lanes<n>.Type, _ x: UnsafeRawPointer) -> Lanes<n> {
    var lanes = Lanes<n>()
    guard zeroPoint != .offset else { return lanes }
    for t in 0..<n {
      let eight = broadcast(x, t &* Activation32.bytes &+ Activation32.minus8)
      switch zeroPoint {
      case .twelve: lanes.low[t] = _mm256_add_epi32(eight, _mm256_srai_epi32(eight, 1))
      case .sixteen: lanes.low[t] = _mm256_add_epi32(eight, eight)
      default: lanes.low[t] = eight
      }
      lanes.high[t] = lanes.low[t]
    }
    return lanes
  }
}
