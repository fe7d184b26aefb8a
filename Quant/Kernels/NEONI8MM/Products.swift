import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// What products of matrices of bytes make of unpacked weights: one instruction multiplies two rows with two tokens over
/// eight columns. Results lie as [two rows][two tokens] squares until `finish`, unpacked quads as [two rows][8 columns].
enum Products {
  /// What sums of blocks of 32 begin with (`converted`): |products| <= 128 * 127 * 32 < 2^22.
  @inline(__always) static var start: Int32 { conversionStart }
  /// Sums of 8 rows and four tokens.
  typealias Registers<Element: BitwiseCopyable> = InlineArray<8, Element>
  /// Parts of a group, and of each the half of the rows and the first token.
  @inline(__always) static var parts: Int { 2 }
  @inline(__always) static func half(_ part: Int) -> Int { part }
  @inline(__always) static func token(_ part: Int) -> Int { 0 }
  /// Whether products are added to what sums begin with for nothing.
  @inline(__always) static var accumulates: Bool { true }
  /// Bytes of 16 rows' factors, each of them for two tokens.
  @inline(__always) static var factorBytes: Int { 128 }

  /// Stores two quads of rows 4 i and the next three.
  @inline(__always)
  static func storeQuads(_ even: Bytes, _ odd: Bytes, _ squares: UnsafeMutableRawPointer, _ i: Int) {
    let (first, second) = (unsafeBitCast(even, to: Words.self), unsafeBitCast(odd, to: Words.self))
    squares.storeBytes(of: vzip1q_s32(first, second), toByteOffset: 32 &* i, as: Words.self)
    squares.storeBytes(of: vzip2q_s32(first, second), toByteOffset: 32 &* i &+ 16, as: Words.self)
  }

  @inline(__always)
  static func storeFactors(_ factors: Rows<Floats>, _ target: UnsafeMutableRawPointer) {
    for i in 0..<4 {
      target.storeBytes(of: vzip1q_f32(factors[i], factors[i]), toByteOffset: 32 &* i, as: Floats.self)
      target.storeBytes(of: vzip2q_f32(factors[i], factors[i]), toByteOffset: 32 &* i &+ 16, as: Floats.self)
    }
  }

  /// The factors that register i of a part's sums multiplies with: of rows 2 (i / 2) and the next one.
  @inline(__always)
  static func factor(_ factors: UnsafeRawPointer, _ i: Int) -> Floats { floats(factors, 16 &* (i >> 1)) }

  /// The tokens' floats for register i, `record` bytes apart: of tokens 2 (i % 2) and the next one, for two rows.
  @inline(__always)
  static func token(_ x: UnsafeRawPointer, _ record: Int, _ i: Int) -> Floats {
    let x = x + 2 &* (i & 1) &* record
    let first = vdupq_n_f32(x.load(as: Float.self))
    return vzip1q_f32(first, vdupq_n_f32(x.load(fromByteOffset: record, as: Float.self)))
  }

  /// Where register i of a part's results lies in those of a group, bytes.
  @inline(__always)
  static func place(_ part: Int, _ i: Int) -> Int { 128 &* part &+ 16 &* i }

  /// Brings results in order: squares to [token][16 rows].
  @inline(__always)
  static func finish(_ out: UnsafeMutableRawPointer, groups: Int) {
    for group in 0..<groups {
      let results = out + 256 &* group
      let (upper, lower) = (Sums<Floats>(results, part: 0), Sums<Floats>(results, part: 1))
      store(upper.lanes, results)
      store(lower.lanes, results + 32)
    }
  }

  /// Half the rows of four tokens.
  @inline(__always)
  private static func store(_ squares: Registers<Floats>, _ rows: UnsafeMutableRawPointer) {
    for four in 0..<2 {
      for two in 0..<2 {
        let (first, second) = (squares[4 &* four &+ two], squares[4 &* four &+ 2 &+ two])
        let place = rows + (128 &* two &+ 16 &* four)
        place.storeBytes(of: vuzp1q_f32(first, second), as: Floats.self)
        place.storeBytes(of: vuzp2q_f32(first, second), toByteOffset: 64, as: Floats.self)
      }
    }
  }

  /// Products of 8 rows and four tokens.
  /// - Parameters:
  ///   - lines: the quads, as `storeQuads` wrote them.
  ///   - x: the first token's activations, the next ones `record` bytes further.
  ///   - count: of quads: 2, 4 or 8.
  ///   - atOnce: of no account where sums have 32 bits.
  @inline(__always)
  static func several(
    _ lines: UnsafeRawPointer, half: Int, _ x: UnsafeRawPointer, record: Int, quads count: Int, _ atOnce: Int,
    from start: Sums<Words>
  ) -> Sums<Words> {
    var sums = start
    for four in 0..<(count &+ 3) / 4 {
      let place = lines + (4 &* four &* PanelLayout.line &+ 64 &* half)
      for two in 0..<2 {
        let x = x + (16 &* four &+ 2 &* two &* record)
        let (first, second) = (fourQuads(x, of: count), fourQuads(x + record, of: count))
        let (low, high) = (unsafeBitCast(first, to: SIMD2<Int64>.self), unsafeBitCast(second, to: SIMD2<Int64>.self))
        add(&sums, place, times: vzip1q_s64(low, high), two)
        if count > 2 { add(&sums, place + 2 &* PanelLayout.line, times: vzip2q_s64(low, high), two) }
      }
    }
    return sums
  }

  /// Adds eight rows times eight columns of two tokens.
  @inline(__always)
  private static func add(
    _ sums: inout Sums<Words>, _ squares: UnsafeRawPointer, times columns: SIMD2<Int64>, _ two: Int
  ) {
    for i in 0..<4 {
      let rows = squares.load(fromByteOffset: 16 &* i, as: SIMD16<Int8>.self)
      sums.lanes[2 &* i &+ two] = vmmlaq_s32(
        sums.lanes[2 &* i &+ two], rows, unsafeBitCast(columns, to: SIMD16<Int8>.self))
    }
  }
}
