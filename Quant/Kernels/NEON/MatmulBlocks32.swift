import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.arm.neon

/// Blocks of 32 columns.
protocol BlockKernel: TileKernel {
  /// Of the packed numbers, a power of two's exponent, at least 3; nil: they are signed, or need none.
  static var zeroPoint: Int32? { get }
  /// Whether blocks have an offset, which multiplies the activations' sum.
  static var hasOffsets: Bool { get }
  /// Lines of a block.
  static var lines: Int { get }
  /// Quads whose products fit 16-bit lanes, packed or less the zero point.
  static var quadsAtOnce: Int { get }

  /// Four scales.
  static func floatScales(_ scales: UnsafeRawPointer) -> Floats

  /// Quads 2 j and 2 j + 1 of four rows.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes)
}

/// 15 * 127 * 8 = 15,240.
enum TileQ4_0: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { 3 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    nibbles(lines, j)
  }
}

/// 15 * 127 * 8 = 15,240.
enum TileQ4_1: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var hasOffsets: Bool { true }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    nibbles(lines, j)
  }
}

/// 31 * 127 * 8 = 31,496.
enum TileQ5_0: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { 4 }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) { fiveBits(lines, j) }
}

/// 31 * 127 * 8 = 31,496.
enum TileQ5_1: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var hasOffsets: Bool { true }
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) { fiveBits(lines, j) }
}

/// 128 * 127 * 2 = 32,512.
enum TileQ8_0: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 8 }
  @inline(__always) static var quadsAtOnce: Int { 2 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    (line(lines, 2 &* j), line(lines, 2 &* j &+ 1))
  }
}

/// 127 * 127 * 2 = 32,258.
enum TileIQ4_NL: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var quadsAtOnce: Int { 2 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    chosen(lines, j, Codebook.iq4)
  }
}

/// 12 * 127 * 8 = 12,192.
enum TileMXFP4: BlockKernel {
  @inline(__always) static var zeroPoint: Int32? { nil }
  @inline(__always) static var hasOffsets: Bool { false }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func floatScales(_ scales: UnsafeRawPointer) -> Floats { floats(brains: scales) }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes) {
    chosen(lines, j, Codebook.fp4)
  }
}

/// A block as `multiply` reads it: factors, 8 quads, factors of the offsets if there are any, what sums begin with.
private enum UnpackedBlock {
  static var quads: Int { Products.factorBytes }
  static var offsets: Int { Products.factorBytes &+ 8 &* PanelLayout.line }

  /// Eight registers. Of each block its own: loading them costs no slot of the pipelines that multiply, where moving a
  /// register to each sum costs one, and the compiler would move one that it loads once.
  static func starts(heads: Int) -> Int { heads &* Products.factorBytes &+ 8 &* PanelLayout.line }
  static var startBytes: Int { Products.accumulates ? 128 : 0 }
}

extension BlockKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var heads: Int { hasOffsets ? 2 : 1 }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(heads: heads, lines: lines) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { UnpackedBlock.starts(heads: heads) &+ UnpackedBlock.startBytes }
  @inline(__always) static var quadsAtOnce: Int { 8 }

  @inline(__always)
  static func floatScales(_ scales: UnsafeRawPointer) -> Floats { floats(halves: scales) }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = Rows<Floats>(repeating: vdupq_n_f32(0))
    for b in 0..<blocks {
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      let place = block + BlockPanel.quants(heads: heads)
      prefetchWeights(block, lines: lines &+ 1)
      var start = Products.start
      if let zeroPoint { start &+= x.load(fromByteOffset: Activation32.minus8, as: Int32.self) &<< (zeroPoint &- 3) }
      let scale = vdupq_n_f32(x.load(fromByteOffset: Activation32.scale, as: Float.self))
      let sum = vdupq_n_f32(x.load(fromByteOffset: Activation32.scaledSum, as: Float.self))
      for i in 0..<4 {
        let products = Products.single(x + Activation32.quants, quads: 8, quadsAtOnce, from: start) {
          quads(place + 16 &* i, $0)
        }
        let factor = vmulq_f32(floatScales(block + (BlockPanel.scales &+ 8 &* i)), scale)
        sums[i] = vfmaq_f32(sums[i], converted(products, start: Products.start), factor)
        if hasOffsets { sums[i] = vfmaq_f32(sums[i], floats(halves: block + (BlockPanel.mins &+ 8 &* i)), sum) }
      }
    }
    for i in 0..<4 { out.storeBytes(of: sums[i], toByteOffset: 16 &* i, as: Floats.self) }
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    var factors = Rows<Floats>(repeating: vdupq_n_f32(0))
    for i in 0..<4 { factors[i] = floatScales(block + (BlockPanel.scales &+ 8 &* i)) }
    Products.storeFactors(factors, target)
    if hasOffsets {
      for i in 0..<4 { factors[i] = floats(halves: block + (BlockPanel.mins &+ 8 &* i)) }
      Products.storeFactors(factors, target + UnpackedBlock.offsets)
    }
    let place = block + BlockPanel.quants(heads: heads)
    let zero = vdupq_n_u8(zeroPoint.map { UInt8(1) &<< UInt8(truncatingIfNeeded: $0) } ?? 0)
    for j in 0..<4 {
      for i in 0..<4 {
        let (even, odd) = quads(place + 16 &* i, j)
        let lines = target + (UnpackedBlock.quads &+ 2 &* j &* PanelLayout.line)
        Products.storeQuads(vsubq_u8(even, zero), vsubq_u8(odd, zero), lines, i)
      }
    }
    for i in 0..<UnpackedBlock.startBytes / 16 {
      let place = UnpackedBlock.starts(heads: heads) &+ 16 &* i
      target.storeBytes(of: vdupq_n_s32(Products.start), toByteOffset: place, as: Words.self)
    }
  }

  @inline(__always)
  private static func start(_ block: UnsafeRawPointer) -> Sums<Words> {
    Products.accumulates
      ? Sums(block + UnpackedBlock.starts(heads: heads)) : Sums(repeating: vdupq_n_s32(Products.start))
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer,
    _ memory: UnsafeMutableRawPointer
  ) {
    for part in 0..<Products.parts {
      let factors = Products.half(part) &* (Products.factorBytes / 2)
      let x = x + Products.token(part) &* Activation32.bytes
      var sums = Sums<Floats>(out, part: part)
      for b in 0..<blocks {
        let block = weights + b &* unpackedBytes
        let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
        let products = Products.several(
          block + UnpackedBlock.quads, half: Products.half(part), x + Activation32.quants, record: Activation32.bytes,
          quads: 8, quadsAtOnce, from: start(block))
        sums.add(
          products.asFloats(start: Products.start), block + factors, scale: x + Activation32.scale,
          record: Activation32.bytes)
        if hasOffsets {
          sums.add(
            block + (UnpackedBlock.offsets &+ factors), times: x + Activation32.scaledSum, record: Activation32.bytes)
        }
      }
      sums.store(out, part: part)
    }
  }
}
