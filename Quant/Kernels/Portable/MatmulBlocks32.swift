import OccamKernelContract
import OccamQuantFormats

enum TileQ4_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    blocks32(a, zero, lines: 4, zeroPoint: 8) { lines, x in
      var lanes = zero
      accumulate(&lanes, x, first: 0, count: 8) { j in Lanes(nibbles(lines, j)) }
      return rows(lanes)
    }
  }
}

enum TileQ4_1: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    blocks32(a, zero, lines: 4, zeroPoint: nil) { lines, x in
      var lanes = zero
      accumulate(&lanes, x, first: 0, count: 8) { j in Lanes(nibbles(lines, j)) }
      return rows(lanes)
    }
  }
}

enum TileQ5_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    blocks32(a, zero, lines: 5, zeroPoint: 16) { lines, x in fiveBitRows(lines, x, zero) }
  }
}

enum TileQ5_1: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    blocks32(a, zero, lines: 5, zeroPoint: nil) { lines, x in fiveBitRows(lines, x, zero) }
  }
}

/// Bytes plus 128 are taken apart into nibbles.
enum TileQ8_0: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    blocks32(a, zero, lines: 8, zeroPoint: 128) { lines, x in
      accumulateBytes(zero, x) { j, shift in Lanes(((bytes(lines, j) ^ 0x8080) &>> shift) & 0x0f0f) }
    }
  }
}

/// Values plus 128 are taken apart into nibbles.
enum TileIQ4_NL: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    chosenBlocks(a, zero, Codebook.iq4, zeroPoint: 128, { floats(halves: $0) }) { chosen, x in
      accumulateBytes(zero, x) { j, shift in chosen.nibbles(j, shift) }
    }
  }
}

/// Lanes hold a block of values plus 12: 24 * 127 * 8 = 24,384.
enum TileMXFP4: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    chosenBlocks(a, zero, Codebook.fp4, zeroPoint: 12, { floats(brains: $0) }) { chosen, x in
      var lanes = zero
      accumulate(&lanes, x, first: 0, count: 8) { j in chosen.bytes(j) }
      return rows(lanes)
    }
  }
}

/// Lanes hold a block: 31 * 127 * 8 = 31,496.
@inline(__always)
private func fiveBitRows<let n: Int>(
  _ lines: UnsafeRawPointer, _ x: WideActivations, _ zero: InlineArray<n, Lanes>
) -> InlineArray<n, SIMD4<Int32>> {
  let fifths = bytes(lines, 4)
  var lanes = zero
  accumulate(&lanes, x, first: 0, count: 8) { j in Lanes(fiveBits(lines, j, fifths)) }
  return rows(lanes)
}

@inline(__always)
private func chosenBlocks<let n: Int>(
  _ a: TileArguments, _ zero: InlineArray<n, Lanes>, _ values: SIMD16<Int8>, zeroPoint: Int32,
  _ scales: (SIMD4<UInt16>) -> SIMD4<Float>,
  _ sums: (ChosenBytes, WideActivations) -> InlineArray<n, SIMD4<Int32>>
) {
  withUnsafeTemporaryAllocation(byteCount: ByteTable.bytes, alignment: 16) { memory in
    guard let base = memory.baseAddress else { return }
    let table = ByteTable(base, values, offset: UInt16(truncatingIfNeeded: zeroPoint))
    blocks32(a, zero, lines: 4, zeroPoint: zeroPoint, scales) { lines, x in sums(table.chosen(lines), x) }
  }
}

/// - Parameters:
///   - lines: of a block of weights.
///   - zeroPoint: nil: the weights have an offset of their own, which multiplies the activations' sum.
///   - scales: four stored scales -> floats.
///   - sums: the block's integer sums for 4 rows of each token.
@inline(__always)
private func blocks32<let n: Int>(
  _ a: TileArguments, _ zero: InlineArray<n, Lanes>, lines: Int, zeroPoint: Int32?,
  _ scales: (SIMD4<UInt16>) -> SIMD4<Float> = { floats(halves: $0) },
  _ sums: (UnsafeRawPointer, WideActivations) -> InlineArray<n, SIMD4<Int32>>
) {
  clear(a.out, n)
  let heads = zeroPoint == nil ? 2 : 1
  withUnsafeTemporaryAllocation(byteCount: WideActivations.bytes, alignment: 16) { memory in
    guard let base = memory.baseAddress else { return }
    let x = WideActivations(base)
    for b in 0..<a.columns / 32 {
      let weights = a.panel + b &* BlockPanel.bytes(heads: heads, lines: lines)
      let record = a.x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      x.load(record + Activation32.quants, Activation32.bytes, n)
      for quarter in 0..<4 {
        let scales = scales(weights.load(fromByteOffset: BlockPanel.scales &+ quarter &* 8, as: SIMD4<UInt16>.self))
        let sums = sums(weights + (BlockPanel.quants(heads: heads) &+ quarter &* 16), x)
        for token in 0..<n {
          let record = record + token &* Activation32.bytes
          let scale = record.load(fromByteOffset: Activation32.scale, as: Float.self)
          let out = a.out + (token &* PanelLayout.rows &+ quarter &* 4)
          if let zeroPoint {
            let eight = record.load(fromByteOffset: Activation32.minus8, as: Int32.self)
            addScaled(sums[token] &+ (eight &* zeroPoint) &>> 3, scales, scale, out)
          } else {
            let mins = weights.load(fromByteOffset: BlockPanel.mins &+ quarter &* 8, as: SIMD4<UInt16>.self)
            let sum = record.load(fromByteOffset: Activation32.scaledSum, as: Float.self)
            addScaled(sums[token], scales, scale, out)
            add(floats(halves: mins) * sum, out)
          }
        }
      }
    }
  }
}
