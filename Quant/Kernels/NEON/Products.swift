import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// What every NEON processor makes of unpacked weights: bytes times bytes are summed in 16-bit lanes as long as they fit,
/// which the comment beside each format proves, then the four lanes of a row are added into 32 bits. Results lie as
/// [token][4 rows], unpacked quads as lines.
enum Products {
  /// What sums of blocks of 32 begin with: nothing, since their 32-bit part comes last.
  @inline(__always) static var start: Int32 { 0 }
  /// Sums of 8 rows and two tokens.
  typealias Registers<Element: BitwiseCopyable> = InlineArray<4, Element>
  /// Parts of a group, and of each the half of the rows and the first token.
  @inline(__always) static var parts: Int { 4 }
  @inline(__always) static func half(_ part: Int) -> Int { part >> 1 }
  @inline(__always) static func token(_ part: Int) -> Int { 2 &* (part & 1) }
  /// Whether products are added to what sums begin with for nothing.
  @inline(__always) static var accumulates: Bool { false }
  /// Bytes of 16 rows' factors.
  @inline(__always) static var factorBytes: Int { 64 }

  /// Products of four rows and one token.
  /// - Parameters:
  ///   - x: the first of its activations.
  ///   - count: of quads: 2, 4 or 8.
  ///   - atOnce: quads whose products fit 16-bit lanes.
  ///   - start: what the sums begin with.
  ///   - quads: quads 2 j and 2 j + 1, bytes of either sign.
  @inline(__always)
  static func single(
    _ x: UnsafeRawPointer, quads count: Int, _ atOnce: Int, from start: Int32,
    _ quads: (_ j: Int) -> (even: Bytes, odd: Bytes)
  ) -> Words {
    // No loop: what a quad is made of depends on constants.
    var sum = RowSum(quads(0), times: x)
    if count > 2 {
      if atOnce == 2 { sum.widen() }
      sum.add(quads(1), times: x + 8)
    }
    if count > 4 {
      if atOnce == 2 { sum.widen() }
      sum.add(quads(2), times: x + 16)
      if atOnce == 2 { sum.widen() }
      sum.add(quads(3), times: x + 24)
    }
    return vaddq_s32(vdupq_n_s32(start), sum.total(atOnce < count))
  }

  /// Products of 8 rows and two tokens.
  /// - Parameters:
  ///   - lines: the quads, as `storeQuads` wrote them.
  ///   - x: the first token's activations, the next ones `record` bytes further.
  ///   - count: of quads: 2, 4 or 8.
  ///   - atOnce: quads whose products fit 16-bit lanes.
  @inline(__always)
  static func several(
    _ lines: UnsafeRawPointer, half: Int, _ x: UnsafeRawPointer, record: Int, quads count: Int, _ atOnce: Int,
    from start: Sums<Words>
  ) -> Sums<Words> {
    let lines = lines + 32 &* half
    guard atOnce == 4, count == 8 else { return added(lines, x, record, count, atOnce, to: start) }
    let first = added(lines, x, record, 4, atOnce, to: start)
    return added(lines + 4 &* PanelLayout.line, x + 16, record, 4, atOnce, to: first)
  }

  @inline(__always)
  private static func added(
    _ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, _ record: Int, _ count: Int, _ atOnce: Int,
    to start: Sums<Words>
  ) -> Sums<Words> {
    // No loop: what is done with a quad depends on constants.
    var tile = TokenPair(lines, x, record)
    if count > 2 {
      if atOnce == 2 { tile.widen() }
      tile.add(lines, x, record, 2)
    }
    if count > 4 {
      if atOnce == 2 { tile.widen() }
      tile.add(lines, x, record, 4)
      if atOnce == 2 { tile.widen() }
      tile.add(lines, x, record, 6)
    }
    var sums = start
    let isWide = atOnce < count
    sums.lanes[0] = vaddq_s32(sums.lanes[0], tile.a.total(isWide))
    sums.lanes[1] = vaddq_s32(sums.lanes[1], tile.b.total(isWide))
    sums.lanes[2] = vaddq_s32(sums.lanes[2], tile.c.total(isWide))
    sums.lanes[3] = vaddq_s32(sums.lanes[3], tile.d.total(isWide))
    return sums
  }
}

/// Sums of 8 rows and two tokens.
private struct TokenPair {
  var a: RowSum
  var b: RowSum
  var c: RowSum
  var d: RowSum

  /// Quads 0 and 1.
  @inline(__always)
  init(_ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, _ record: Int) {
    let (low, high) = (FourRows(lines), FourRows(lines + 16))
    let (one, two) = (twice(x, 0), twice(x + record, 0))
    a = RowSum(low, one)
    b = RowSum(high, one)
    c = RowSum(low, two)
    d = RowSum(high, two)
    add(lines, x, record, quad: 1)
  }

  /// Quads j and j + 1.
  @inline(__always)
  mutating func add(_ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, _ record: Int, _ j: Int) {
    add(lines, x, record, quad: j)
    add(lines, x, record, quad: j &+ 1)
  }

  @inline(__always)
  private mutating func add(_ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, _ record: Int, quad j: Int) {
    let place = lines + j &* PanelLayout.line
    let (low, high) = (FourRows(place), FourRows(place + 16))
    let (one, two) = (twice(x, j), twice(x + record, j))
    a.add(low, one)
    b.add(high, one)
    c.add(low, two)
    d.add(high, two)
  }

  @inline(__always)
  mutating func widen() {
    a.widen()
    b.widen()
    c.widen()
    d.widen()
  }
}

/// A quad of four rows in two registers, for the instruction takes eight bytes. Loaded so, they need not be taken apart.
private struct FourRows {
  let low: SIMD8<Int8>
  let high: SIMD8<Int8>

  @inline(__always)
  init(_ place: UnsafeRawPointer) {
    low = place.load(as: SIMD8<Int8>.self)
    high = place.load(fromByteOffset: 8, as: SIMD8<Int8>.self)
  }

}

/// A token's quad for four rows.
@inline(__always)
private func fourTimes(_ x: UnsafeRawPointer, _ j: Int) -> SIMD16<Int8> {
  unsafeBitCast(vdupq_n_s32(x.load(fromByteOffset: 4 &* j, as: Int32.self)), to: SIMD16<Int8>.self)
}

/// A token's quad for two rows.
@inline(__always)
private func twice(_ x: UnsafeRawPointer, _ j: Int) -> SIMD8<Int8> {
  unsafeBitCast(vdup_n_s32(x.load(fromByteOffset: 4 &* j, as: Int32.self)), to: SIMD8<Int8>.self)
}

/// Sums of four rows: 16-bit lanes of the columns of two rows each, and what was added up of them.
private struct RowSum {
  var low: SIMD8<Int16>
  var high: SIMD8<Int16>
  var wideLow: Words
  var wideHigh: Words

  @inline(__always)
  init(_ weights: FourRows, _ quad: SIMD8<Int8>) {
    low = vmull_s8(weights.low, quad)
    high = vmull_s8(weights.high, quad)
    wideLow = vdupq_n_s32(0)
    wideHigh = wideLow
  }

  /// Two quads times those of a token.
  @inline(__always)
  init(_ quads: (even: Bytes, odd: Bytes), times x: UnsafeRawPointer) {
    let (even, quad) = (signed(quads.even), fourTimes(x, 0))
    low = vmull_s8(vget_low_s8(even), vget_low_s8(quad))
    high = vmull_high_s8(even, quad)
    wideLow = vdupq_n_s32(0)
    wideHigh = wideLow
    add(signed(quads.odd), fourTimes(x, 1))
  }

  @inline(__always)
  mutating func add(_ weights: FourRows, _ quad: SIMD8<Int8>) {
    low = vmlal_s8(low, weights.low, quad)
    high = vmlal_s8(high, weights.high, quad)
  }

  /// Adds two quads times those of a token.
  @inline(__always)
  mutating func add(_ quads: (even: Bytes, odd: Bytes), times x: UnsafeRawPointer) {
    add(signed(quads.even), fourTimes(x, 0))
    add(signed(quads.odd), fourTimes(x, 1))
  }

  @inline(__always)
  private mutating func add(_ weights: SIMD16<Int8>, _ quad: SIMD16<Int8>) {
    low = vmlal_s8(low, vget_low_s8(weights), vget_low_s8(quad))
    high = vmlal_high_s8(high, weights, quad)
  }

  /// Pairs of 16-bit lanes become 32-bit ones.
  @inline(__always)
  mutating func widen() {
    wideLow = vpadalq_s16(wideLow, low)
    wideHigh = vpadalq_s16(wideHigh, high)
    (low, high) = (vdupq_n_s16(0), vdupq_n_s16(0))
  }

  /// - Parameter isWide: something was widened.
  @inline(__always)
  func total(_ isWide: Bool) -> Words {
    isWide
      ? vpaddq_s32(vpadalq_s16(wideLow, low), vpadalq_s16(wideHigh, high))
      : vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))
  }
}
