import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a sub-block: 15 * 127 * 2 * 8 = 30,480.
enum TileQ4_K: AffineKernel {
  @inline(__always) static var lines: Int { 4 }
  @inline(__always) static var quadsAtOnce: Int { 8 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

/// Lanes hold half a sub-block: 31 * 127 * 2 * 4 = 31,496.
enum TileQ5_K: AffineKernel {
  @inline(__always) static var lines: Int { 5 }
  @inline(__always) static var quadsAtOnce: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, fifths)
  }
}

/// Q4_K and Q5_K: sub-block scales are applied to integers, floats touched once in 256 columns.
protocol AffineKernel: TileKernel {
  /// Lines of a sub-block.
  static var lines: Int { get }
  /// Quads whose products fit 16-bit lanes.
  static var quadsAtOnce: Int { get }

  /// The quads of line `j`.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad)
}

/// A super-block of Q4_K or Q5_K as `multiply` reads it: byte offsets.
private enum UnpackedAffine {
  /// [16] float d, [16] float dmin.
  static var d: Int { 0 }
  static var dmin: Int { 64 }
  /// [4 pairs of sub-blocks][16 rows][2] 16-bit mins.
  static var mins: Int { 128 }
  /// [8] sub-blocks: [16 rows] 16-bit scales, each twice; 8 quads.
  static var subBlocks: Int { mins &+ 4 &* PanelLayout.line }
  static var subBlockBytes: Int { 9 &* PanelLayout.line }
  static var bytes: Int { subBlocks &+ 8 &* subBlockBytes }
}

extension AffineKernel {
  @inline(__always) static var columns: Int { 256 }
  @inline(__always) static var recordBytes: Int { Activation256.bytes }
  @inline(__always) static var blockBytes: Int { SuperPanel.bytes(lines: lines) }
  @inline(__always) static var pieceBlocks: Int { 1 }
  @inline(__always) static var unpackedBytes: Int { UnpackedAffine.bytes }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    var totals = Lanes<1>()
    // One loop over all sub-blocks: nested loops of constant length would be unrolled to 30 KB of code.
    for index in 0..<blocks &* 8 {
      let (b, s) = (index >> 3, index & 7)
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let place = block + (SuperPanel.quants &+ s &* lines &* PanelLayout.line)
      // The line of fifth bits is read out of turn, which the processor's own prefetching does not follow.
      prefetchWeights(place, lines: lines)
      let fifths = lines > 4 ? Quad(line: place + 4 &* PanelLayout.line) : Quad.zero
      let quants = x + (Activation256.quants &+ 32 &* s)
      let scales = twice(block + (SuperPanel.scales &+ 16 &* s))
      var lanes = Lanes<1>()
      addLine(&lanes, place, 0, fifths, quants)
      addLine(&lanes, place, 1, fifths, quants)
      if quadsAtOnce == 4 {
        totals.add(lanes, times: scales)
        lanes = Lanes()
      }
      addLine(&lanes, place, 2, fifths, quants)
      addLine(&lanes, place, 3, fifths, quants)
      totals.add(lanes, times: scales)
      guard s == 7 else { continue }
      var offsets = Lanes<1>()
      for pair in 0..<4 {
        let mins = pairs(unsigned: block + (SuperPanel.mins &+ 32 &* pair))
        offsets.add(pairs: mins, times: x + (Activation256.sums32 &+ 4 &* pair), record: Activation256.bytes)
      }
      let (d, dmin) = (block + SuperPanel.d, block + SuperPanel.dmin)
      sums.add(
        totals, floats(halves: d), floats(halves: d + 16), scale: x + Activation256.scale, record: Activation256.bytes)
      sums.subtract(
        offsets, floats(halves: dmin), floats(halves: dmin + 16), scale: x + Activation256.scale,
        record: Activation256.bytes)
      totals = Lanes()
    }
    sums.store(out)
  }

  /// Line `j` of a sub-block times its eight columns.
  @inline(__always)
  private static func addLine(
    _ lanes: inout Lanes<1>, _ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad, _ x: UnsafeRawPointer
  ) {
    let (even, odd) = quads(lines, j, fifths)
    lanes.add(even, times: x + 8 &* j, record: Activation256.bytes)
    lanes.add(odd, times: x + (8 &* j &+ 4), record: Activation256.bytes)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    storeScales(block + SuperPanel.d, target + UnpackedAffine.d)
    storeScales(block + SuperPanel.dmin, target + UnpackedAffine.dmin)
    for pair in 0..<4 {
      pairs(unsigned: block + (SuperPanel.mins &+ 32 &* pair)).store(
        target + (UnpackedAffine.mins &+ pair &* PanelLayout.line))
    }
    for s in 0..<8 {
      let place = block + (SuperPanel.quants &+ s &* lines &* PanelLayout.line)
      let sub = target + (UnpackedAffine.subBlocks &+ s &* UnpackedAffine.subBlockBytes)
      let fifths = lines > 4 ? Quad(line: place + 4 &* PanelLayout.line) : Quad.zero
      twice(block + (SuperPanel.scales &+ 16 &* s)).store(sub)
      for j in 0..<4 {
        let (even, odd) = quads(place, j, fifths)
        even.store(sub + (2 &* j &+ 1) &* PanelLayout.line)
        odd.store(sub + (2 &* j &+ 2) &* PanelLayout.line)
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
      let sub = weights + (UnpackedAffine.subBlocks &+ s &* UnpackedAffine.subBlockBytes)
      let quants = x + (Activation256.quants &+ 32 &* s)
      if quadsAtOnce == 8 {
        totals.add(eightQuads(sub + PanelLayout.line, quants, record: Activation256.bytes), times: Quad(line: sub))
      } else {
        for half in 0..<2 {
          var lanes = Lanes<4>()
          addQuads(
            &lanes, sub + (1 &+ 4 &* half) &* PanelLayout.line, quants + 16 &* half, count: 4,
            record: Activation256.bytes)
          totals.add(lanes, times: Quad(line: sub))
        }
      }
    }
    let (d, dmin) = (weights + UnpackedAffine.d, weights + UnpackedAffine.dmin)
    var sums = FloatLanes<4>(out)
    sums.add(
      totals, d.load(as: __m256.self), d.load(fromByteOffset: 32, as: __m256.self), scale: x + Activation256.scale,
      record: Activation256.bytes)
    sums.store(out)
    var offsets = Lanes<4>()
    for pair in 0..<4 {
      let mins = Quad(line: weights + (UnpackedAffine.mins &+ pair &* PanelLayout.line))
      offsets.add(pairs: mins, times: x + (Activation256.sums32 &+ 4 &* pair), record: Activation256.bytes)
    }
    sums = FloatLanes(out)
    sums.subtract(
      offsets, dmin.load(as: __m256.self), dmin.load(fromByteOffset: 32, as: __m256.self),
      scale: x + Activation256.scale, record: Activation256.bytes)
    sums.store(out)
  }
}
