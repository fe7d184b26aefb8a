import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

/// Blocks of 32 columns of at most five bits, unsigned. 16-bit lanes begin with what takes the zero point of their own
/// columns away, so that they end within the sums of the signed weights, whatever wrapped on the way.
protocol BlockKernel: TileKernel {
  static var zeroPoint: BlockZeroPoint { get }
  /// Whether blocks have an offset, which multiplies the activations' sum.
  static var hasOffsets: Bool { get }
  /// Lines of a block.
  static var lines: Int { get }

  /// Eight scales.
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256

  /// The quads of line `j`.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad)
}

enum BlockZeroPoint { case zero, eight, twelve, sixteen }

/// Lanes hold a block: 8 * 127 * 2 * 8 = 16,256.
enum TileQ4_0: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .eight }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

/// Lanes hold a block: 15 * 127 * 2 * 8 = 30,480.
enum TileQ4_1: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .zero }
  @inline(__always) static var hasOffsets: Bool { true }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

/// Lanes hold a block: 16 * 127 * 2 * 8 = 32,512.
enum TileQ5_0: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .sixteen }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, fifths)
  }
}

/// d * q + m as d * (q - 16) + (m + 16 * d), which fits lanes as Q5_0 does.
enum TileQ5_1: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .sixteen }
  @inline(__always) static var hasOffsets: Bool { true }
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, fifths)
  }
}

/// Lanes hold a block of values plus 12: 12 * 127 * 2 * 8 = 24,384.
enum TileMXFP4: BlockKernel {
  @inline(__always) static var zeroPoint: BlockZeroPoint { .twelve }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

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
  @inline(__always) static var heads: Int { hasOffsets ? 2 : 1 }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(heads: heads, lines: lines) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { (8 &+ heads) &* PanelLayout.line }

  @inline(__always)
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256 { floats(halves: scales) }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    for b in 0..<blocks {
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      let place = block + BlockPanel.quants(heads: heads)
      // The line of fifth bits is read out of turn, which the processor's own prefetching does not follow.
      if lines > 4 { prefetchWeights(block, lines: 6) }
      let fifths = lines > 4 ? Quad(line: place + 4 &* PanelLayout.line) : Quad.zero
      var lanes = zeroPoints(Lanes<1>.self, x)
      for j in 0..<4 {
        let (even, odd) = quads(place, j, fifths)
        let quants = x + (Activation32.quants &+ 8 &* j)
        lanes.add(even, times: quants, record: Activation32.bytes)
        lanes.add(odd, times: quants + 4, record: Activation32.bytes)
      }
      sum(&lanes)
      let scales = block + BlockPanel.scales
      sums.add(
        lanes, floatScales(scales), floatScales(scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
      if hasOffsets {
        sums.add(
          offsets(block, 0), offsets(block, 1), times: x + Activation32.scaledSum, record: Activation32.bytes)
      }
    }
    sums.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    let scales = block + BlockPanel.scales
    target.storeBytes(of: floatScales(scales), as: __m256.self)
    target.storeBytes(of: floatScales(scales + 16), toByteOffset: 32, as: __m256.self)
    if hasOffsets {
      target.storeBytes(of: offsets(block, 0), toByteOffset: UnpackedBlock.offsets, as: __m256.self)
      target.storeBytes(of: offsets(block, 1), toByteOffset: UnpackedBlock.offsets &+ 32, as: __m256.self)
    }
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
    var sums = FloatLanes<4>(out)
    for b in 0..<blocks {
      let block = weights + b &* unpackedBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var lanes = zeroPoints(Lanes<4>.self, x)
      addQuads(
        &lanes, block + UnpackedBlock.quads, x + Activation32.quants, count: 8, record: Activation32.bytes)
      sum(&lanes)
      sums.add(
        lanes, block.load(as: __m256.self), block.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation32.scale, record: Activation32.bytes)
      if hasOffsets {
        let offsets = block + UnpackedBlock.offsets
        sums.add(
          offsets.load(as: __m256.self), offsets.load(fromByteOffset: 32, as: __m256.self),
          times: x + Activation32.scaledSum, record: Activation32.bytes)
      }
    }
    sums.store(out)
  }

  /// What multiplies the activations' sum, rows 0..<8 or 8..<16.
  @inline(__always)
  private static func offsets(_ block: UnsafeRawPointer, _ eight: Int) -> __m256 {
    let place = block + 16 &* eight
    let mins = floats(halves: place + BlockPanel.mins)
    guard zeroPoint == .sixteen else { return mins }
    return _mm256_fmadd_ps(floats(halves: place + BlockPanel.scales), _mm256_set1_ps(16), mins)
  }

  /// Both 16-bit lanes of a row -> 32 bits.
  @inline(__always)
  private static func sum<let n: Int>(_ lanes: inout Lanes<n>) {
    let ones = _mm256_set1_epi16(1)
    for t in 0..<n {
      lanes.low[t] = _mm256_madd_epi16(lanes.low[t], ones)
      lanes.high[t] = _mm256_madd_epi16(lanes.high[t], ones)
    }
  }

  /// What takes the zero point away, in 16-bit lanes.
  @inline(__always)
  private static func zeroPoints<let n: Int>(_: Lanes<n>.Type, _ x: UnsafeRawPointer) -> Lanes<n> {
    var lanes = Lanes<n>()
    guard zeroPoint != .zero else { return lanes }
    for t in 0..<n {
      let eight = broadcast(x, t &* Activation32.bytes &+ Activation32.minus8Lanes)
      switch zeroPoint {
      case .twelve: lanes.low[t] = _mm256_add_epi16(eight, _mm256_srai_epi16(eight, 1))
      case .sixteen: lanes.low[t] = _mm256_add_epi16(eight, eight)
      default: lanes.low[t] = eight
      }
      lanes.high[t] = lanes.low[t]
    }
    return lanes
  }
}
