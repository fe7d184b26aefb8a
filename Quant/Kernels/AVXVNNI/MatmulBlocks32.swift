import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

/// Blocks of 32 columns as unsigned bytes. Sums begin with what takes the zero point away.
protocol BlockKernel: TileKernel {
  /// The activation field of that; nil: there is none.
  static var zeroPoint: Int? { get }
  /// Whether blocks have an offset, which multiplies the activations' sum.
  static var hasOffsets: Bool { get }
  /// Lines of a block.
  static var lines: Int { get }

  /// Eight scales.
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256

  /// Quads 2 j and 2 j + 1.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad)
}

enum TileQ4_0: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { Activation32.minus8 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

enum TileQ4_1: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { nil }
  @inline(__always) static var hasOffsets: Bool { true }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

/// Zero point 16 + 112: the sums that Q8_0 takes away serve here, too.
enum TileQ5_0: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { Activation32.minus128 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    let (even, odd) = fiveBits(lines, j, Quad(line: lines + 4 &* PanelLayout.line))
    let offset = Quad(repeating: 112)
    return (even.addingBytes(offset), odd.addingBytes(offset))
  }
}

enum TileQ5_1: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { nil }
  @inline(__always) static var hasOffsets: Bool { true }
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, Quad(line: lines + 4 &* PanelLayout.line))
  }
}

enum TileQ8_0: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { Activation32.minus128 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 8 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    let (sign, line) = (Quad(repeating: -128), lines + 2 &* j &* PanelLayout.line)
    return (Quad(line: line) ^ sign, Quad(line: line + PanelLayout.line) ^ sign)
  }
}

enum TileIQ4_NL: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { Activation32.minus128 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    chosen(lines + j &* PanelLayout.line, Codebook.iq4)
  }
}

enum TileMXFP4: BlockKernel {
  @inline(__always) static var zeroPoint: Int? { Activation32.minus128 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func floatScales(_ scales: UnsafeRawPointer) -> __m256 { floats(brains: scales) }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    chosen(lines + j &* PanelLayout.line, Codebook.fp4)
  }
}

/// The two quads of a line of nibbles, as the values that they choose, plus 128.
@inline(__always)
func chosen(_ line: UnsafeRawPointer, _ values: SIMD16<Int8>) -> (even: Quad, odd: Quad) {
  let (even, odd) = nibbles(line)
  let values = table(values ^ SIMD16(repeating: -128))
  return (even.choosing(from: values), odd.choosing(from: values))
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
      prefetchWeights(block, lines: lines &+ 1)
      var lanes = zeroPoints(Lanes<1>.self, x)
      for j in 0..<4 {
        let (even, odd) = quads(place, j)
        let quants = x + (Activation32.quants &+ 8 &* j)
        lanes.add(even, times: quants, record: Activation32.bytes)
        lanes.add(odd, times: quants + 4, record: Activation32.bytes)
      }
      let scales = block + BlockPanel.scales
      sums.add(
        lanes, floatScales(scales), floatScales(scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
      if hasOffsets {
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
    if hasOffsets { storeScales(block + BlockPanel.mins, target + UnpackedBlock.offsets) }
    for j in 0..<4 {
      let (even, odd) = quads(block + BlockPanel.quants(heads: heads), j)
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

  @inline(__always)
  private static func zeroPoints<let n: Int>(_: Lanes<n>.Type, _ x: UnsafeRawPointer) -> Lanes<n> {
    guard let zeroPoint else { return Lanes() }
    return Lanes(numbers: x + zeroPoint, record: Activation32.bytes)
  }
}
