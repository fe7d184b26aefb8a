import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// What the dot product instruction makes of unpacked weights: one multiplies four rows with a quad of one token.
/// Results lie as [token][4 rows], unpacked quads as lines.
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
  /// Bytes of 16 rows' factors.
  @inline(__always) static var factorBytes: Int { 64 }

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
      let place = lines + (4 &* four &* PanelLayout.line &+ 32 &* half)
      let x = x + 16 &* four
      let tokens: InlineArray<4, Words> = [
        fourQuads(x, of: count), fourQuads(x + record, of: count), fourQuads(x + 2 &* record, of: count),
        fourQuads(x + 3 &* record, of: count),
      ]
      add(&sums, place, times: tokens, lane: 0)
      add(&sums, place + PanelLayout.line, times: tokens, lane: 1)
      guard count > 2 else { continue }
      add(&sums, place + 2 &* PanelLayout.line, times: tokens, lane: 2)
      add(&sums, place + 3 &* PanelLayout.line, times: tokens, lane: 3)
    }
    return sums
  }

  /// Adds half a line times a quad of each token.
  @inline(__always)
  private static func add(
    _ sums: inout Sums<Words>, _ line: UnsafeRawPointer, times tokens: InlineArray<4, Words>, lane: Int
  ) {
    for i in 0..<2 {
      let rows = line.load(fromByteOffset: 16 &* i, as: SIMD16<Int8>.self)
      for t in 0..<4 {
        sums.lanes[2 &* t &+ i] = vdotq_s32(sums.lanes[2 &* t &+ i], rows, fourTimes(tokens[t][lane]))
      }
    }
  }
}
