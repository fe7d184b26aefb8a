import OccamKernelContract
import _Builtin_intrinsics.intel

/// Super-blocks of 256 columns in eight steps of 32, as unsigned bytes: scales are applied to integers, floats touched
/// once in 256 columns.
protocol SuperKernel: TileKernel {
  /// Whether the halves of a step have scales of their own.
  static var hasTwoScales: Bool { get }
  /// Whether corrections are mins, with a float factor of their own; else they take a zero point away.
  static var hasMins: Bool { get }
  /// Offset of the steps.
  static var quants: Int { get }
  /// Lines of a step.
  static var lines: Int { get }

  /// Quads 2 j and 2 j + 1 of a step.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad)
  /// Scales of a step in 32-bit lanes; the same twice where it has one.
  static func scales(_ block: UnsafeRawPointer, _ step: Int) -> (first: Quad, second: Quad)
  /// What multiplies the activations' sums of two neighbours that share a scale, in 16-bit lanes.
  static func corrections(_ block: UnsafeRawPointer, _ pair: Int) -> Quad
}

/// A super-block as `multiply` reads it: byte offsets.
private enum UnpackedSuper {
  /// [16] float d, [16] float dmin.
  static var d: Int { 0 }
  static var dmin: Int { PanelLayout.line }
  /// [8 pairs][16 rows][2] 16-bit corrections.
  static var corrections: Int { 2 &* PanelLayout.line }
  /// [8] steps: [2][16] 32-bit scales, 8 quads.
  static var steps: Int { 10 &* PanelLayout.line }
  static var stepBytes: Int { 10 &* PanelLayout.line }
  static var bytes: Int { steps &+ 8 &* stepBytes }
}

extension SuperKernel {
  @inline(__always) static var columns: Int { 256 }
  @inline(__always) static var recordBytes: Int { Activation256.bytes }
  @inline(__always) static var blockBytes: Int { quants &+ 8 &* lines &* PanelLayout.line }
  @inline(__always) static var pieceBlocks: Int { 1 }
  @inline(__always) static var unpackedBytes: Int { UnpackedSuper.bytes }
  @inline(__always) private static var pairCount: Int { hasTwoScales ? 8 : 4 }
  @inline(__always) private static var activationSums: Int {
    hasTwoScales ? Activation256.sums16 : Activation256.sums32
  }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    var totals = Lanes<1>()
    // One loop over all steps: nested loops of constant length would be unrolled to 30 KB of code.
    for index in 0..<blocks &* 8 {
      let (b, step) = (index >> 3, index & 7)
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let place = block + (quants &+ step &* lines &* PanelLayout.line)
      prefetchWeights(place, lines: lines)
      let x32 = x + (Activation256.quants &+ 32 &* step)
      let scales = scales(block, step)
      var lanes = Lanes<1>()
      for j in 0..<4 {
        if j == 2, hasTwoScales {
          totals.add(lanes, times: scales.first)
          lanes = Lanes()
        }
        let (even, odd) = quads(place, j)
        lanes.add(even, times: x32 + 8 &* j, record: Activation256.bytes)
        lanes.add(odd, times: x32 + (8 &* j &+ 4), record: Activation256.bytes)
      }
      totals.add(lanes, times: scales.second)
      guard step == 7 else { continue }
      var offsets = hasMins ? Lanes<1>() : totals
      for pair in 0..<pairCount {
        offsets.add(
          pairs: corrections(block, pair), times: x + (activationSums &+ 4 &* pair), record: Activation256.bytes)
      }
      let d = factors(block, SuperPanel.d)
      sums.add(
        hasMins ? totals : offsets, d.low, d.high, scale: x + Activation256.scale, record: Activation256.bytes)
      if hasMins {
        let dmin = factors(block, SuperPanel.dmin)
        sums.subtract(offsets, dmin.low, dmin.high, scale: x + Activation256.scale, record: Activation256.bytes)
      }
      totals = Lanes()
    }
    sums.store(out)
  }

  /// 16 floats; halves where there are mins, as all panels with mins have them at the same places.
  @inline(__always)
  private static func factors(_ block: UnsafeRawPointer, _ offset: Int) -> (low: __m256, high: __m256) {
    let place = block + offset
    return hasMins
      ? (floats(halves: place), floats(halves: place + 16))
      : (place.load(as: __m256.self), place.load(fromByteOffset: 32, as: __m256.self))
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    if hasMins {
      storeScales(block + SuperPanel.d, target + UnpackedSuper.d)
      storeScales(block + SuperPanel.dmin, target + UnpackedSuper.dmin)
    } else {
      Quad(line: block + SignedPanel.d).store(target + UnpackedSuper.d)
    }
    for pair in 0..<pairCount {
      corrections(block, pair).store(target + (UnpackedSuper.corrections &+ pair &* PanelLayout.line))
    }
    for step in 0..<8 {
      let place = block + (quants &+ step &* lines &* PanelLayout.line)
      let target = target + (UnpackedSuper.steps &+ step &* UnpackedSuper.stepBytes)
      let scales = scales(block, step)
      scales.first.store(target)
      scales.second.store(target + PanelLayout.line)
      for j in 0..<4 {
        let (even, odd) = quads(place, j)
        even.store(target + (2 &+ 2 &* j) &* PanelLayout.line)
        odd.store(target + (3 &+ 2 &* j) &* PanelLayout.line)
      }
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var totals = Lanes<4>()
    for step in 0..<8 {
      let lines = weights + (UnpackedSuper.steps &+ step &* UnpackedSuper.stepBytes)
      let (quads, x32) = (lines + 2 &* PanelLayout.line, x + (Activation256.quants &+ 32 &* step))
      var lanes = Lanes<4>()
      if hasTwoScales {
        addQuads(&lanes, quads, x32, count: 4, record: Activation256.bytes)
        totals.add(lanes, times: Quad(line: lines))
        lanes = Lanes()
        addQuads(&lanes, quads + 4 &* PanelLayout.line, x32 + 16, count: 4, record: Activation256.bytes)
      } else {
        addQuads(&lanes, quads, x32, count: 8, record: Activation256.bytes)
      }
      totals.add(lanes, times: Quad(line: lines + PanelLayout.line))
    }
    var offsets = hasMins ? Lanes<4>() : totals
    for pair in 0..<pairCount {
      offsets.add(
        pairs: Quad(line: weights + (UnpackedSuper.corrections &+ pair &* PanelLayout.line)),
        times: x + (activationSums &+ 4 &* pair), record: Activation256.bytes)
    }
    let (d, dmin) = (weights + UnpackedSuper.d, weights + UnpackedSuper.dmin)
    var sums = FloatLanes<4>(out)
    sums.add(
      hasMins ? totals : offsets, d.load(as: __m256.self), d.load(fromByteOffset: 32, as: __m256.self),
      scale: x + Activation256.scale, record: Activation256.bytes)
    if hasMins {
      sums.subtract(
        offsets, dmin.load(as: __m256.self), dmin.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation256.scale, record: Activation256.bytes)
    }
    sums.store(out)
  }
}
