import OccamKernelContract
import _Builtin_intrinsics.intel

/// Lanes hold a sub-block: 15 * 127 * 2 * 8 = 30,480.
enum TileQ4_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type) {
    affineBlocks(a, tokens, lines: 4) { lines, x, scales, totals in
      var lanes = Lanes<n>()
      for j in 0..<4 {
        let (even, odd) = nibbles(lines + j &* PanelLayout.line)
        lanes.add(even, times: x + 8 &* j, record: Activation256.bytes)
        lanes.add(odd, times: x + (8 &* j &+ 4), record: Activation256.bytes)
      }
      totals.add(lanes, times: scales)
    }
  }
}

/// Lanes hold half a sub-block: 31 * 127 * 2 * 4 = 31,496.
enum TileQ5_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type) {
    affineBlocks(a, tokens, lines: 5) { lines, x, scales, totals in
      let fifths = Quad(line: lines + 4 &* PanelLayout.line)
      let bit = _mm256_set1_epi8(16)
      var lanes = Lanes<n>()
      addLine(&lanes, lines, 0, fifths << 4 & bit, fifths << 3 & bit, x)
      addLine(&lanes, lines, 1, fifths << 2 & bit, fifths << 1 & bit, x)
      totals.add(lanes, times: scales)
      lanes = Lanes()
      addLine(&lanes, lines, 2, fifths & bit, fifths >> 1 & bit, x)
      addLine(&lanes, lines, 3, fifths >> 2 & bit, fifths >> 3 & bit, x)
      totals.add(lanes, times: scales)
    }
  }
}

/// Lanes hold half a sub-block: 63 * 127 * 2 * 2 = 32,004.
enum TileQ6_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type) {
    var out = FloatLanes<n>()
    var totals = Lanes<n>()
    // One loop over all pairs of sub-blocks: nested loops of constant length would be unrolled to 30 KB of code.
    for index in 0..<a.columns / 32 {
      let (b, pair) = (index >> 3, index & 7)
      let block = a.panel + b &* SuperPanel6.bytes
      let x = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      let lines = block + (SuperPanel6.quants &+ pair &* (6 &* PanelLayout.line))
      if n > 1 { prefetchWeights(lines, lines: 6) }
      let scales = pairs(signed: block + (SuperPanel6.scales &+ 32 &* pair))
      // -32 * scale: the zero point, times the sums of activations.
      totals.add(
        pairs: (scales << 5).negated, times: x + (Activation256.sums16 &+ 4 &* pair), record: Activation256.bytes)
      addSixteen(&totals, lines, 0, scales.evenTwice, x + (Activation256.quants &+ 32 &* pair))
      addSixteen(&totals, lines, 1, scales.oddTwice, x + (Activation256.quants &+ 32 &* pair))
      guard pair == 7 else { continue }
      let d = block + SuperPanel6.d
      out.add(
        totals, d.load(as: __m256.self), d.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation256.scale, record: Activation256.bytes)
      totals = Lanes()
    }
    out.store(a.out)
  }

  /// A sub-block of 16 columns: two lines of nibbles, one line of bit pairs.
  @inline(__always)
  private static func addSixteen<let n: Int>(
    _ totals: inout Lanes<n>, _ lines: UnsafeRawPointer, _ half: Int, _ scales: Quad, _ x: UnsafeRawPointer
  ) {
    let tops = Quad(line: lines + (4 &+ half) &* PanelLayout.line)
    let mask = _mm256_set1_epi8(0x30)
    var lanes = Lanes<n>()
    addLine(&lanes, lines, 2 &* half, tops << 4 & mask, tops << 2 & mask, x)
    totals.add(lanes, times: scales)
    lanes = Lanes()
    addLine(&lanes, lines, 2 &* half &+ 1, tops & mask, tops >> 2 & mask, x)
    totals.add(lanes, times: scales)
  }
}

/// Line `j` of a sub-block's nibbles with higher bits added, times its eight columns.
@inline(__always)
private func addLine<let n: Int>(
  _ lanes: inout Lanes<n>, _ lines: UnsafeRawPointer, _ j: Int, _ evenTops: Quad, _ oddTops: Quad,
  _ x: UnsafeRawPointer
) {
  let (even, odd) = nibbles(lines + j &* PanelLayout.line)
  lanes.add(even | evenTops, times: x + 8 &* j, record: Activation256.bytes)
  lanes.add(odd | oddTops, times: x + (8 &* j &+ 4), record: Activation256.bytes)
}

/// Q4_K and Q5_K: sub-block scales are applied to integers, floats touched once in 256 columns.
/// - Parameter subBlock: adds 16 rows of a sub-block times 32 activations, times the rows' 16-bit scales.
@inline(__always)
private func affineBlocks<let n: Int>(
  _ a: TileArguments, _ tokens: Tokens<n>.Type, lines: Int,
  _ subBlock: (_ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, _ scales: Quad, _ totals: inout Lanes<n>) -> Void
) {
  var out = FloatLanes<n>()
  var totals = Lanes<n>()
  // One loop over all sub-blocks: nested loops of constant length would be unrolled to 30 KB of code.
  for index in 0..<a.columns / 32 {
    let (b, s) = (index >> 3, index & 7)
    let block = a.panel + b &* SuperPanel.bytes(lines: lines)
    let x = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
    let place = block + (SuperPanel.quants &+ s &* lines &* PanelLayout.line)
    if n > 1 { prefetchWeights(place, lines: lines) }
    subBlock(
      place, x + (Activation256.quants &+ 32 &* s),
      twice(block + (SuperPanel.scales &+ 16 &* s)), &totals)
    guard s == 7 else { continue }
    var offsets = Lanes<n>()
    for pair in 0..<4 {
      let mins = pairs(unsigned: block + (SuperPanel.mins &+ 32 &* pair))
      offsets.add(pairs: mins, times: x + (Activation256.sums32 &+ 4 &* pair), record: Activation256.bytes)
    }
    let (d, dmin) = (block + SuperPanel.d, block + SuperPanel.dmin)
    out.add(
      totals, floats(halves: d), floats(halves: d + 16), scale: x + Activation256.scale, record: Activation256.bytes)
    out.subtract(
      offsets, floats(halves: dmin), floats(halves: dmin + 16), scale: x + Activation256.scale,
      record: Activation256.bytes)
    totals = Lanes()
  }
  out.store(a.out)
}

/// 16 bytes -> each row's number twice, in 16-bit lanes.
@inline(__always)
private func twice(_ bytes: UnsafeRawPointer) -> Quad {
  @inline(__always)
  func eight(_ offset: Int) -> __m256i {
    let single = _mm256_cvtepu8_epi32(_mm_set_epi64x(0, bytes.load(fromByteOffset: offset, as: Int64.self)))
    return _mm256_or_si256(single, _mm256_slli_epi32(single, 16))
  }
  return Quad(eight(0), eight(8))
}

/// 16 rows of two bytes -> 16-bit lanes.
@inline(__always)
private func pairs(unsigned bytes: UnsafeRawPointer) -> Quad {
  Quad(
    _mm256_cvtepu8_epi16(bytes.load(as: __m128i.self)),
    _mm256_cvtepu8_epi16(bytes.load(fromByteOffset: 16, as: __m128i.self)))
}

@inline(__always)
private func pairs(signed bytes: UnsafeRawPointer) -> Quad {
  Quad(
    _mm256_cvtepi8_epi16(bytes.load(as: __m128i.self)),
    _mm256_cvtepi8_epi16(bytes.load(fromByteOffset: 16, as: __m128i.self)))
}

extension Quad {
  /// 16-bit lanes.
  @inline(__always)
  fileprivate var negated: Quad {
    let zero = _mm256_setzero_si256()
    return Quad(_mm256_sub_epi16(zero, low), _mm256_sub_epi16(zero, high))
  }

  /// Of each row's two 16-bit numbers the first, twice.
  @inline(__always)
  fileprivate var evenTwice: Quad {
    let mask = _mm256_set1_epi32(0xffff)
    return Quad(
      _mm256_or_si256(_mm256_and_si256(low, mask), _mm256_slli_epi32(low, 16)),
      _mm256_or_si256(_mm256_and_si256(high, mask), _mm256_slli_epi32(high, 16)))
  }

  /// Of each row's two 16-bit numbers the second, twice.
  @inline(__always)
  fileprivate var oddTwice: Quad {
    let (first, second) = (_mm256_srli_epi32(low, 16), _mm256_srli_epi32(high, 16))
    return Quad(
      _mm256_or_si256(first, _mm256_slli_epi32(first, 16)), _mm256_or_si256(second, _mm256_slli_epi32(second, 16)))
  }
}
