import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// Super-blocks of 256 columns in eight steps of 32: scales are applied to integers, floats touched once in 256 columns.
protocol SuperKernel: TileKernel {
  /// Whether the halves of a step have scales of their own.
  static var hasTwoScales: Bool { get }
  /// Whether a step's bytes times their scales are bytes still: several tokens multiply with those.
  static var foldsScales: Bool { get }
  /// Lines of mins, unsigned bytes of sub-blocks in quads, which multiply the activations' sums: 0, 2 or 4.
  static var minLines: Int { get }
  /// Of the packed numbers, a power of two; nil: they are signed, or need none.
  static var zeroPoint: Int32? { get }
  /// Offset of the steps.
  static var quants: Int { get }
  /// Lines of a step.
  static var lines: Int { get }
  /// Quads whose products fit 16-bit lanes, packed or less the zero point.
  static var quadsAtOnce: Int { get }

  /// Quads 2 j and 2 j + 1 of a step, of four rows.
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Bytes, odd: Bytes)
  /// Scales of a step, of rows 4 i and the next three; the same twice where it has one.
  static func scales(_ block: UnsafeRawPointer, _ step: Int, _ i: Int) -> (first: Words, second: Words)
  /// Lines 2 j and 2 j + 1 of mins, of rows 4 i and the next three.
  static func mins(_ block: UnsafeRawPointer, _ i: Int, _ j: Int) -> (even: Bytes, odd: Bytes)
}

/// A super-block as `multiply` reads it: byte offsets.
private enum UnpackedSuper {
  static var d: Int { 0 }
  static var dmin: Int { Products.factorBytes }
  static var mins: Int { 2 &* Products.factorBytes }
  /// [8] steps: two times factors unless they are folded, 8 quads.
  static func steps(_ minLines: Int) -> Int {
    minLines > 0 ? mins &+ minLines &* PanelLayout.line : Products.factorBytes
  }
}

extension SuperKernel {
  @inline(__always) static var columns: Int { 256 }
  @inline(__always) static var recordBytes: Int { Activation256.bytes }
  @inline(__always) static var blockBytes: Int { quants &+ 8 &* lines &* PanelLayout.line }
  @inline(__always) static var pieceBlocks: Int { 1 }
  @inline(__always) static var unpackedBytes: Int { UnpackedSuper.steps(minLines) &+ 8 &* stepBytes }
  @inline(__always) private static var scaleBytes: Int {
    foldsScales ? 0 : (hasTwoScales ? 2 : 1) &* Products.factorBytes
  }
  @inline(__always) private static var stepBytes: Int { scaleBytes &+ 8 &* PanelLayout.line }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    // Results wait in memory: registers are scarce.
    clear(out, PanelLayout.rows &* 4)
    let zero = Rows<Words>(repeating: vdupq_n_s32(0))
    var totals = zero
    // One loop over all steps: nested loops of constant length would be unrolled.
    for index in 0..<blocks &* 8 {
      let (b, step) = (index >> 3, index & 7)
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let place = block + (quants &+ step &* lines &* PanelLayout.line)
      prefetchWeights(place, lines: lines)
      let x32 = x + (Activation256.quants &+ 32 &* step)
      for i in 0..<4 {
        let lines = place + 16 &* i
        let scales = scales(block, step, i)
        if hasTwoScales {
          let first = Products.single(x32, quads: 4, quadsAtOnce, from: start(x, 2 &* step)) { quads(lines, $0) }
          totals[i] = vmlaq_s32(totals[i], first, scales.first)
          let second = Products.single(x32 + 16, quads: 4, quadsAtOnce, from: start(x, 2 &* step &+ 1)) {
            quads(lines, $0 &+ 2)
          }
          totals[i] = vmlaq_s32(totals[i], second, scales.second)
        } else {
          let products = Products.single(x32, quads: 8, quadsAtOnce, from: start(x, step)) { quads(lines, $0) }
          totals[i] = vmlaq_s32(totals[i], products, scales.first)
        }
      }
      guard step == 7 else { continue }
      addTotals(totals, block, x, out)
      totals = zero
    }
  }

  /// Adds a super-block's sums of one token to its 16 results.
  @inline(__always)
  private static func addTotals(
    _ totals: Rows<Words>, _ block: UnsafeRawPointer, _ x: UnsafeRawPointer, _ out: UnsafeMutableRawPointer
  ) {
    let scale = vdupq_n_f32(x.load(fromByteOffset: Activation256.scale, as: Float.self))
    let d = factors(block, SuperPanel.d)
    var sums = d
    for i in 0..<4 {
      sums[i] = vfmaq_f32(floats(UnsafeRawPointer(out), 16 &* i), vcvtq_f32_s32(totals[i]), vmulq_f32(d[i], scale))
    }
    if minLines > 0 {
      let (offsets, dmin) = (singleOffsets(block, x), factors(block, SuperPanel.dmin))
      for i in 0..<4 { sums[i] = vfmsq_f32(sums[i], vcvtq_f32_s32(offsets[i]), vmulq_f32(dmin[i], scale)) }
    }
    for i in 0..<4 { out.storeBytes(of: sums[i], toByteOffset: 16 &* i, as: Floats.self) }
  }

  /// What sums of a sub-block begin with: what takes the zero point away.
  @inline(__always)
  private static func start(_ x: UnsafeRawPointer, _ subBlock: Int) -> Int32 {
    guard let zeroPoint else { return 0 }
    let place = (hasTwoScales ? Activation256.sums16 : Activation256.sums32) &+ 2 &* subBlock
    return Int32(x.load(fromByteOffset: place, as: Int16.self)) &* (0 &- zeroPoint)
  }

  /// 16 floats; halves where there are mins, as all panels with mins have them at the same places.
  @inline(__always)
  private static func factors(_ block: UnsafeRawPointer, _ offset: Int) -> Rows<Floats> {
    var factors = Rows<Floats>(repeating: vdupq_n_f32(0))
    for i in 0..<4 {
      factors[i] = minLines > 0 ? floats(halves: block + (offset &+ 8 &* i)) : floats(block, offset &+ 16 &* i)
    }
    return factors
  }

  // MARK: Mins. Sums of activations, up to 4,064 in magnitude, are two digits to the base of 32: bytes, so that mins
  // multiply as weights do, first with the upper digits.

  /// Bytes of a token's digits.
  @inline(__always) private static var digitBytes: Int { 32 }

  /// The upper digits of a token's sums, the lower ones in `low`, sub-block by sub-block; 8 bytes where there are 8.
  @inline(__always)
  private static func digits(_ x: UnsafeRawPointer) -> (high: SIMD16<Int8>, low: SIMD16<Int8>) {
    let place = x + (hasTwoScales ? Activation256.sums16 : Activation256.sums32)
    let first = place.load(as: SIMD8<Int16>.self)
    let second = hasTwoScales ? place.load(fromByteOffset: 16, as: SIMD8<Int16>.self) : first
    let (right, mask) = (vdupq_n_s16(-5), vdupq_n_s16(31))
    return (
      vmovn_high_s16(vmovn_s16(vshlq_s16(first, right)), vshlq_s16(second, right)),
      vmovn_high_s16(vmovn_s16(vandq_s16(first, mask)), vandq_s16(second, mask))
    )
  }

  @inline(__always)
  private static func singleOffsets(_ block: UnsafeRawPointer, _ x: UnsafeRawPointer) -> Rows<Words> {
    let digits = digits(x)
    return withUnsafeBytes(of: digits) { digits -> Rows<Words> in
      var sums = Rows<Words>(repeating: vdupq_n_s32(0))
      guard let high = digits.baseAddress else { return sums }
      for i in 0..<4 {
        let upper = Products.single(high, quads: minLines, quadsAtOnce, from: 0) { mins(block, i, $0) }
        let lower = Products.single(high + 16, quads: minLines, quadsAtOnce, from: 0) { mins(block, i, $0) }
        sums[i] = vaddq_s32(vshlq_s32(upper, vdupq_n_s32(5)), lower)
      }
      return sums
    }
  }

  // MARK: Several tokens

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    var d = factors(block, SuperPanel.d)
    if foldsScales { for i in 0..<4 { d[i] = vnegq_f32(d[i]) } }
    Products.storeFactors(d, target + UnpackedSuper.d)
    if minLines > 0 {
      Products.storeFactors(factors(block, SuperPanel.dmin), target + UnpackedSuper.dmin)
      for j in 0..<minLines / 2 {
        for i in 0..<4 {
          let (even, odd) = mins(block, i, j)
          Products.storeQuads(even, odd, target + (UnpackedSuper.mins &+ 2 &* j &* PanelLayout.line), i)
        }
      }
    }
    for step in 0..<8 {
      let place = block + (quants &+ step &* lines &* PanelLayout.line)
      let target = target + (UnpackedSuper.steps(minLines) &+ step &* stepBytes)
      if !foldsScales { storeScales(block, step, target) }
      let zero = vdupq_n_u8(UInt8(truncatingIfNeeded: zeroPoint ?? 0))
      for i in 0..<4 {
        let scales = scales(block, step, i)
        for j in 0..<4 {
          var (even, odd) = quads(place + 16 &* i, j)
          (even, odd) = (vsubq_u8(even, zero), vsubq_u8(odd, zero))
          if foldsScales {
            let factors = negated(j < 2 ? scales.first : scales.second)
            (even, odd) = (vmulq_u8(even, factors), vmulq_u8(odd, factors))
          }
          Products.storeQuads(even, odd, target + (scaleBytes &+ 2 &* j &* PanelLayout.line), i)
        }
      }
    }
  }

  /// The scales s of a step, or what is left of each by the next one: sums over all sub-blocks so far need not begin anew,
  /// since s1 p1 + s2 p2 + s3 p3 = (s1 - s2) p1 + (s2 - s3) (p1 + p2) + s3 (p1 + p2 + p3).
  @inline(__always)
  private static func storeScales(_ block: UnsafeRawPointer, _ step: Int, _ target: UnsafeMutableRawPointer) {
    var first = Rows<Floats>(repeating: vdupq_n_f32(0))
    var second = first
    for i in 0..<4 {
      var scales = scales(block, step, i)
      if Products.accumulates {
        let next = step < 7 ? Self.scales(block, step &+ 1, i).first : vdupq_n_s32(0)
        scales.first = vsubq_s32(scales.first, hasTwoScales ? scales.second : next)
        scales.second = vsubq_s32(scales.second, next)
      }
      first[i] = unsafeBitCast(scales.first, to: Floats.self)
      second[i] = unsafeBitCast(scales.second, to: Floats.self)
    }
    Products.storeFactors(first, target)
    if hasTwoScales { Products.storeFactors(second, target + Products.factorBytes) }
  }

  /// Minus the scales, -128...127, for each of a row's four bytes.
  @inline(__always)
  private static func negated(_ scales: Words) -> Bytes {
    bytes(vmulq_s32(vandq_s32(vnegq_s32(scales), vdupq_n_s32(0xff)), vdupq_n_s32(0x0101_0101)))
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer,
    _ memory: UnsafeMutableRawPointer
  ) {
    if minLines > 0 {
      for t in 0..<4 {
        let digits = digits(x + t &* Activation256.bytes)
        memory.storeBytes(of: digits.high, toByteOffset: digitBytes &* t, as: SIMD16<Int8>.self)
        memory.storeBytes(of: digits.low, toByteOffset: digitBytes &* t &+ 16, as: SIMD16<Int8>.self)
      }
    }
    for part in 0..<Products.parts {
      let (half, token) = (Products.half(part), Products.token(part))
      let factors = weights + half &* (Products.factorBytes / 2)
      let x = x + token &* Activation256.bytes
      var sums = Sums<Floats>(out, part: part)
      sums.add(
        totals(weights, half: half, x).asFloats(start: 0), factors + UnpackedSuper.d, scale: x + Activation256.scale,
        record: Activation256.bytes)
      if minLines > 0 {
        let offsets = offsets(
          weights + UnpackedSuper.mins, half: half, UnsafeRawPointer(memory + token &* digitBytes))
        sums.subtract(
          offsets.asFloats(start: 0), factors + UnpackedSuper.dmin, scale: x + Activation256.scale,
          record: Activation256.bytes)
      }
      sums.store(out, part: part)
    }
  }

  @inline(__always)
  private static func totals(_ weights: UnsafeRawPointer, half: Int, _ x: UnsafeRawPointer) -> Sums<Words> {
    let zero = Sums<Words>(repeating: vdupq_n_s32(0))
    var totals = zero
    var sums = zero
    for step in 0..<8 {
      let scales = weights + (UnpackedSuper.steps(minLines) &+ step &* stepBytes)
      let factors = scales + half &* (Products.factorBytes / 2)
      let (quads, x32) = (scales + scaleBytes, x + (Activation256.quants &+ 32 &* step))
      if foldsScales {
        totals = Products.several(
          quads, half: half, x32, record: Activation256.bytes, quads: 8, quadsAtOnce, from: totals)
      } else if hasTwoScales {
        sums = Products.several(
          quads, half: half, x32, record: Activation256.bytes, quads: 4, quadsAtOnce,
          from: Products.accumulates ? sums : zero)
        totals.add(sums, times: factors)
        sums = Products.several(
          quads + 4 &* PanelLayout.line, half: half, x32 + 16, record: Activation256.bytes, quads: 4, quadsAtOnce,
          from: Products.accumulates ? sums : zero)
        totals.add(sums, times: factors + Products.factorBytes)
      } else {
        sums = Products.several(
          quads, half: half, x32, record: Activation256.bytes, quads: 8, quadsAtOnce,
          from: Products.accumulates ? sums : zero)
        totals.add(sums, times: factors)
      }
    }
    return totals
  }

  @inline(__always)
  private static func offsets(_ mins: UnsafeRawPointer, half: Int, _ digits: UnsafeRawPointer) -> Sums<Words> {
    var high = Products.several(
      mins, half: half, digits, record: digitBytes, quads: minLines, quadsAtOnce, from: Sums(repeating: vdupq_n_s32(0)))
    for i in high.lanes.indices { high.lanes[i] = vshlq_s32(high.lanes[i], vdupq_n_s32(5)) }
    return Products.several(mins, half: half, digits + 16, record: digitBytes, quads: minLines, quadsAtOnce, from: high)
  }
}
