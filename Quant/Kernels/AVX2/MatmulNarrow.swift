import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a sub-block: 3 * 127 * 2 * 4 = 3,048.
enum TileQ2_K: NarrowKernel {
  @inline(__always) static var lines: Int { 2 }
  @inline(__always) static var hasMins: Bool { true }
  @inline(__always) static var blockBytes: Int { SuperPanel2.bytes }
  @inline(__always) static var quants: Int { SuperPanel2.quants }

  @inline(__always)
  static func factors(_ block: UnsafeRawPointer, _ pair: Int) -> (scales: Quad, offsets: Quad) {
    let both = pairs(unsigned: block + (SuperPanel2.scales &+ 32 &* pair))
    return (both & _mm256_set1_epi16(15), both >> 4)
  }

  @inline(__always)
  static func factors(_ block: UnsafeRawPointer, eight: Int) -> (d: __m256, dmin: __m256) {
    let place = block + 16 &* eight
    return (floats(halves: place + SuperPanel2.d), floats(halves: place + SuperPanel2.dmin))
  }

  @inline(__always)
  static func quad(_ lines: UnsafeRawPointer, _ half: Int, _ j: Int) -> Quad { twoBits(lines, half, j) }
}

/// Lanes hold a sub-block: 7 * 127 * 2 * 4 = 7,112.
enum TileQ3_K: NarrowKernel {
  @inline(__always) static var lines: Int { 3 }
  @inline(__always) static var hasMins: Bool { false }
  @inline(__always) static var blockBytes: Int { SignedPanel.bytes(pairs: 8, lines: 3) }
  @inline(__always) static var quants: Int { SignedPanel.quants(pairs: 8) }

  /// Offsets: -4 * scale, the zero point, times sums of activations.
  @inline(__always)
  static func factors(_ block: UnsafeRawPointer, _ pair: Int) -> (scales: Quad, offsets: Quad) {
    let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* pair))
    return (both, (both << 2).negated)
  }

  @inline(__always)
  static func factors(_ block: UnsafeRawPointer, eight: Int) -> (d: __m256, dmin: __m256) {
    (block.load(fromByteOffset: SignedPanel.d &+ 32 &* eight, as: __m256.self), _mm256_setzero_ps())
  }

  @inline(__always)
  static func quad(_ lines: UnsafeRawPointer, _ half: Int, _ j: Int) -> Quad {
    let bit = 4 &* half &+ j
    let tops = Quad(line: lines + 2 &* PanelLayout.line)
    let top = bit < 2 ? tops << Int32(truncatingIfNeeded: 2 &- bit) : tops >> Int32(truncatingIfNeeded: bit &- 2)
    return twoBits(lines, half, j) | top & _mm256_set1_epi8(4)
  }
}

/// Quad `j` of the bit pairs in line `half`.
@inline(__always)
private func twoBits(_ lines: UnsafeRawPointer, _ half: Int, _ j: Int) -> Quad {
  Quad(line: lines + half &* PanelLayout.line) >> Int32(truncatingIfNeeded: 2 &* j) & _mm256_set1_epi8(3)
}

/// Super-blocks of sub-blocks of 16 columns whose products fit 16-bit lanes.
protocol NarrowKernel: TileKernel {
  /// Lines of a pair of sub-blocks.
  static var lines: Int { get }
  /// Whether sub-blocks have offsets with a float factor of their own; else theirs are integers of the weights' scale.
  static var hasMins: Bool { get }
  /// Offset of the lines in a block.
  static var quants: Int { get }

  /// Of a pair of sub-blocks, 16 rows of two 16-bit numbers: scales, and what multiplies the sums of activations.
  static func factors(_ block: UnsafeRawPointer, _ pair: Int) -> (scales: Quad, offsets: Quad)

  /// d, and dmin if there are mins, of rows 0..<8 or, `eight` being 1, 8..<16.
  static func factors(_ block: UnsafeRawPointer, eight: Int) -> (d: __m256, dmin: __m256)

  /// Quad `j` of 0..<4 of sub-block `half` of a pair.
  static func quad(_ lines: UnsafeRawPointer, _ half: Int, _ j: Int) -> Quad
}

/// A super-block as `multiply` reads it: byte offsets.
private enum UnpackedNarrow {
  /// [16] float d, [16] float dmin.
  static var d: Int { 0 }
  static var dmin: Int { 64 }
  /// [8] pairs of sub-blocks: offsets, the first one's scales, the second one's, each twice; 8 quads.
  static var pairs: Int { 128 }
  static var pairBytes: Int { 11 &* PanelLayout.line }
  static var bytes: Int { pairs &+ 8 &* pairBytes }
}

extension NarrowKernel {
  @inline(__always) static var columns: Int { 256 }
  @inline(__always) static var recordBytes: Int { Activation256.bytes }
  @inline(__always) static var pieceBlocks: Int { 1 }
  @inline(__always) static var unpackedBytes: Int { UnpackedNarrow.bytes }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    var totals = Lanes<1>()
    var offsets = Lanes<1>()
    // One loop over all pairs of sub-blocks: nested loops of constant length would be unrolled to 30 KB of code.
    for index in 0..<blocks &* 8 {
      let (b, pair) = (index >> 3, index & 7)
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let place = block + (quants &+ pair &* lines &* PanelLayout.line)
      prefetchWeights(place, lines: lines)
      let (scales, weights) = factors(block, pair)
      offsets.add(pairs: weights, times: x + (Activation256.sums16 &+ 4 &* pair), record: Activation256.bytes)
      for half in 0..<2 {
        var lanes = Lanes<1>()
        for j in 0..<4 {
          lanes.add(
            quad(place, half, j), times: x + (Activation256.quants &+ 32 &* pair &+ 16 &* half &+ 4 &* j),
            record: Activation256.bytes)
        }
        totals.add(lanes, times: half == 0 ? scales.evenTwice : scales.oddTwice)
      }
      guard pair == 7 else { continue }
      if !hasMins { totals.add(offsets) }
      let (low, high) = (factors(block, eight: 0), factors(block, eight: 1))
      sums.add(totals, low.d, high.d, scale: x + Activation256.scale, record: Activation256.bytes)
      if hasMins {
        sums.subtract(offsets, low.dmin, high.dmin, scale: x + Activation256.scale, record: Activation256.bytes)
      }
      totals = Lanes()
      offsets = Lanes()
    }
    sums.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    for eight in 0..<2 {
      let (d, dmin) = factors(block, eight: eight)
      target.storeBytes(of: d, toByteOffset: UnpackedNarrow.d &+ 32 &* eight, as: __m256.self)
      target.storeBytes(of: dmin, toByteOffset: UnpackedNarrow.dmin &+ 32 &* eight, as: __m256.self)
    }
    for pair in 0..<8 {
      let place = block + (quants &+ pair &* lines &* PanelLayout.line)
      let target = target + (UnpackedNarrow.pairs &+ pair &* UnpackedNarrow.pairBytes)
      let (scales, offsets) = factors(block, pair)
      offsets.store(target)
      scales.evenTwice.store(target + PanelLayout.line)
      scales.oddTwice.store(target + 2 &* PanelLayout.line)
      for half in 0..<2 {
        for j in 0..<4 { quad(place, half, j).store(target + (3 &+ 4 &* half &+ j) &* PanelLayout.line) }
      }
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var totals = hasMins ? Lanes<4>() : Self.offsets(weights, x)
    for pair in 0..<8 {
      let place = weights + (UnpackedNarrow.pairs &+ pair &* UnpackedNarrow.pairBytes)
      let quants = x + (Activation256.quants &+ 32 &* pair)
      for half in 0..<2 {
        var lanes = Lanes<4>()
        addQuads(
          &lanes, place + (3 &+ 4 &* half) &* PanelLayout.line, quants + 16 &* half, count: 4,
          record: Activation256.bytes)
        totals.add(lanes, times: Quad(line: place + (1 &+ half) &* PanelLayout.line))
      }
    }
    var sums = FloatLanes<4>(out)
    let d = weights + UnpackedNarrow.d
    sums.add(
      totals, d.load(as: __m256.self), d.load(fromByteOffset: 32, as: __m256.self), scale: x + Activation256.scale,
      record: Activation256.bytes)
    sums.store(out)
    guard hasMins else { return }
    let offsets = Self.offsets(weights, x)
    let dmin = weights + UnpackedNarrow.dmin
    sums = FloatLanes(out)
    sums.subtract(
      offsets, dmin.load(as: __m256.self), dmin.load(fromByteOffset: 32, as: __m256.self),
      scale: x + Activation256.scale, record: Activation256.bytes)
    sums.store(out)
  }

  /// Offsets times sums of activations.
  @inline(__always)
  private static func offsets(_ weights: UnsafeRawPointer, _ x: UnsafeRawPointer) -> Lanes<4> {
    var offsets = Lanes<4>()
    for pair in 0..<8 {
      let place = weights + (UnpackedNarrow.pairs &+ pair &* UnpackedNarrow.pairBytes)
      offsets.add(
        pairs: Quad(line: place), times: x + (Activation256.sums16 &+ 4 &* pair), record: Activation256.bytes)
    }
    return offsets
  }
}

extension Lanes {
  /// Adds 32-bit lanes.
  @inline(__always)
  fileprivate mutating func add(_ other: Lanes<n>) {
    for t in 0..<n {
      low[t] = _mm256_add_epi32(low[t], other.low[t])
      high[t] = _mm256_add_epi32(high[t], other.high[t])
    }
  }
}
