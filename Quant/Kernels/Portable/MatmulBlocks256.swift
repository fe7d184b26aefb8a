import OccamKernelContract
import OccamQuantFormats

/// Lanes hold a sub-block of 32: 15 * 127 * 8 = 15,240.
enum TileQ4_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    affineBlocks(a, zero, fifthBits: false)
  }
}

/// Lanes hold a sub-block of 32: 31 * 127 * 8 = 31,496.
enum TileQ5_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    affineBlocks(a, zero, fifthBits: true)
  }
}

@inline(__always)
private func affineBlocks<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>, fifthBits: Bool) {
  let lines = fifthBits ? 5 : 4
  superBlocks(a, zero, bytes: SuperPanel.bytes(lines: lines)) { block, record, x, totals in
    for s in 0..<8 {
      x.load(record + (Activation256.quants &+ 32 &* s), Activation256.bytes, n)
      for quarter in 0..<4 {
        let lines = block + (SuperPanel.quants &+ s &* lines &* PanelLayout.line &+ 16 &* quarter)
        let fifths = fifthBits ? bytes(lines, 4) : Bytes()
        var lanes = zero
        accumulate(&lanes, x, first: 0, count: 8) { j in
          Lanes(fifthBits ? fiveBits(lines, j, fifths) : nibbles(lines, j))
        }
        let scales = block.load(fromByteOffset: SuperPanel.scales &+ 16 &* s &+ 4 &* quarter, as: SIMD4<UInt8>.self)
        let wide = SIMD4<Int32>(truncatingIfNeeded: scales)
        for token in 0..<n { totals[quarter][token] &+= lanes[token].rows &* wide }
      }
    }
  } finish: { block, record, quarter, total, out in
    let scale = record.load(fromByteOffset: Activation256.scale, as: Float.self)
    addScaled(total, halves(block, SuperPanel.d, quarter), scale, out)
    let mins = pairSums(record + Activation256.sums32, pairs: 4) { pair in
      SIMD8<Int32>(
        truncatingIfNeeded: block.load(
          fromByteOffset: SuperPanel.mins &+ 32 &* pair &+ 8 &* quarter, as: SIMD8<UInt8>.self))
    }
    addScaled(mins, halves(block, SuperPanel.dmin, quarter), -scale, out)
  }
}

/// Lanes hold a sub-block of 16: 3 * 127 * 4 = 1,524.
enum TileQ2_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    superBlocks(a, zero, bytes: SuperPanel2.bytes) { block, record, x, totals in
      for s in 0..<16 {
        let (pair, half) = (s >> 1, s & 1)
        if half == 0 { x.load(record + (Activation256.quants &+ 32 &* pair), Activation256.bytes, n) }
        for quarter in 0..<4 {
          let line = bytes(block + (SuperPanel2.quants &+ 16 &* quarter), s)
          var lanes = zero
          accumulate(&lanes, x, first: 4 &* half, count: 4) { j in twoBits(line, j) }
          let scales = factors(block, pair, quarter) & 15
          let wide = half == 0 ? scales.evenHalf : scales.oddHalf
          for token in 0..<n { totals[quarter][token] &+= lanes[token].rows &* wide }
        }
      }
    } finish: { block, record, quarter, total, out in
      let scale = record.load(fromByteOffset: Activation256.scale, as: Float.self)
      addScaled(total, halves(block, SuperPanel2.d, quarter), scale, out)
      let mins = pairSums(record + Activation256.sums16, pairs: 8) { pair in factors(block, pair, quarter) &>> 4 }
      addScaled(mins, halves(block, SuperPanel2.dmin, quarter), -scale, out)
    }
  }

  /// Scale and min of a pair of sub-blocks for 4 rows.
  @inline(__always)
  private static func factors(_ block: UnsafeRawPointer, _ pair: Int, _ quarter: Int) -> SIMD8<Int32> {
    let place = SuperPanel2.scales &+ 32 &* pair &+ 8 &* quarter
    return SIMD8(truncatingIfNeeded: block.load(fromByteOffset: place, as: SIMD8<UInt8>.self))
  }
}

/// Lanes hold a sub-block of 16: 63 * 127 * 4 = 32,004.
enum TileQ6_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    signedBlocks(a, zero, pairs: 8, lines: 6, zeroPoint: 5, sums: Activation256.sums16) {
      lines, record, x, pair, half, quarter in
      if quarter == 0 && half == 0 {
        x.load(record + (Activation256.quants &+ 32 &* pair), Activation256.bytes, n)
      }
      let tops = bytes(lines, 4 &+ half)
      var lanes = zero
      accumulate(&lanes, x, first: 4 &* half, count: 4) { j in
        let top = (tops &>> UInt16(truncatingIfNeeded: 2 &* j)) & 0x0303
        return Lanes(nibbles(lines, 4 &* half &+ j) | top &<< 4)
      }
      return rows(lanes)
    }
  }
}

/// Lanes hold a sub-block of 16: 7 * 127 * 4 = 3,556.
enum TileQ3_K: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    signedBlocks(a, zero, pairs: 8, lines: 3, zeroPoint: 2, sums: Activation256.sums16) {
      lines, record, x, pair, half, quarter in
      if quarter == 0 && half == 0 {
        x.load(record + (Activation256.quants &+ 32 &* pair), Activation256.bytes, n)
      }
      let (line, tops) = (bytes(lines, half), bytes(lines, 2))
      var lanes = zero
      accumulate(&lanes, x, first: 4 &* half, count: 4) { j in
        let top = (tops &>> UInt16(truncatingIfNeeded: 4 &* half &+ j)) & 0x0101
        return Lanes((line &>> UInt16(truncatingIfNeeded: 2 &* j)) & 0x0303 | top &<< 2)
      }
      return rows(lanes)
    }
  }
}

enum TileIQ4_XS: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>) {
    withUnsafeTemporaryAllocation(byteCount: ByteTable.bytes, alignment: 16) { memory in
      guard let base = memory.baseAddress else { return }
      let table = ByteTable(base, Codebook.iq4, offset: 128)
      signedBlocks(a, zero, pairs: 4, lines: 8, zeroPoint: 7, sums: Activation256.sums32) {
        lines, record, x, pair, half, quarter in
        if quarter == 0 {
          x.load(record + (Activation256.quants &+ 64 &* pair &+ 32 &* half), Activation256.bytes, n)
        }
        let chosen = table.chosen(lines + 4 &* half &* PanelLayout.line)
        return accumulateBytes(zero, x) { j, shift in chosen.nibbles(j, shift) }
      }
    }
  }
}

/// Super-blocks without mins.
/// - Parameters:
///   - zeroPoint: of the weights, a power of two's exponent.
///   - sums: the activation field of the sub-blocks' sums.
///   - product: the sums of a sub-block for 4 rows of each token: (lines of the pair, activations, working memory for
///     them, pair, sub-block of the pair, quarter); quarters follow each other.
@inline(__always)
private func signedBlocks<let n: Int>(
  _ a: TileArguments, _ zero: InlineArray<n, Lanes>, pairs: Int, lines: Int, zeroPoint: Int32, sums: Int,
  _ product: (UnsafeRawPointer, UnsafeRawPointer, WideActivations, Int, Int, Int) -> InlineArray<n, SIMD4<Int32>>
) {
  superBlocks(a, zero, bytes: SignedPanel.bytes(pairs: pairs, lines: lines)) { block, record, x, totals in
    for s in 0..<2 &* pairs {
      let (pair, half) = (s >> 1, s & 1)
      for quarter in 0..<4 {
        let lines = block + (SignedPanel.quants(pairs: pairs) &+ pair &* lines &* PanelLayout.line &+ 16 &* quarter)
        let sums = product(lines, record, x, pair, half, quarter)
        let scales = scales(block, pair, quarter)
        let wide = half == 0 ? scales.evenHalf : scales.oddHalf
        for token in 0..<n { totals[quarter][token] &+= sums[token] &* wide }
      }
    }
  } finish: { block, record, quarter, total, out in
    let d = block.load(fromByteOffset: SignedPanel.d &+ 16 &* quarter, as: SIMD4<Float>.self)
    let scale = record.load(fromByteOffset: Activation256.scale, as: Float.self)
    let offset = pairSums(record + sums, pairs: pairs) { pair in scales(block, pair, quarter) }
    addScaled(total &- (offset &<< zeroPoint), d, scale, out)
  }
}

/// Scales of a pair of sub-blocks for 4 rows.
@inline(__always)
private func scales(_ block: UnsafeRawPointer, _ pair: Int, _ quarter: Int) -> SIMD8<Int32> {
  let place = SignedPanel.scales &+ 32 &* pair &+ 8 &* quarter
  return SIMD8(truncatingIfNeeded: block.load(fromByteOffset: place, as: SIMD8<Int8>.self))
}

/// - Parameters:
///   - bytes: of a packed super-block.
///   - add: adds a super-block's products: (block, activations, working memory for them, totals of 4 rows each).
///   - finish: adds what comes of 4 rows' totals of one token to the output: (block, activations, quarter, total, out).
@inline(__always)
private func superBlocks<let n: Int>(
  _ a: TileArguments, _ zero: InlineArray<n, Lanes>, bytes: Int,
  _ add: (
    UnsafeRawPointer, UnsafeRawPointer, WideActivations, inout InlineArray<4, InlineArray<n, SIMD4<Int32>>>
  ) -> Void,
  finish: (UnsafeRawPointer, UnsafeRawPointer, Int, SIMD4<Int32>, UnsafeMutablePointer<Float>) -> Void
) {
  clear(a.out, n)
  withUnsafeTemporaryAllocation(byteCount: WideActivations.bytes, alignment: 16) { memory in
    guard let base = memory.baseAddress else { return }
    let x = WideActivations(base)
    for b in 0..<a.columns / 256 {
      let block = a.panel + b &* bytes
      let record = a.x + b &* (Activation256.bytes &* ActivationLayout.tokens)
      var totals = InlineArray<4, InlineArray<n, SIMD4<Int32>>>(repeating: InlineArray(repeating: SIMD4()))
      add(block, record, x, &totals)
      for quarter in 0..<4 {
        for token in 0..<n {
          finish(
            block, record + token &* Activation256.bytes, quarter, totals[quarter][token],
            a.out + (token &* PanelLayout.rows &+ 4 &* quarter))
        }
      }
    }
  }
}

/// Quad j of the bit pairs of 4 rows.
@inline(__always)
private func twoBits(_ line: Bytes, _ j: Int) -> Lanes {
  Lanes((line &>> UInt16(truncatingIfNeeded: 2 &* j)) & 0x0303)
}

/// Four halves of a super-block's head.
@inline(__always)
private func halves(_ block: UnsafeRawPointer, _ offset: Int, _ quarter: Int) -> SIMD4<Float> {
  floats(halves: block.load(fromByteOffset: offset &+ 8 &* quarter, as: SIMD4<UInt16>.self))
}

/// For 4 rows: the sum over pairs p of factors(p)[row][0] * sums[2 p] + factors(p)[row][1] * sums[2 p + 1].
@inline(__always)
private func pairSums(_ sums: UnsafeRawPointer, pairs: Int, _ factors: (Int) -> SIMD8<Int32>) -> SIMD4<Int32> {
  var total = SIMD4<Int32>()
  for pair in 0..<pairs {
    let both = factors(pair)
    let first = Int32(sums.load(fromByteOffset: 4 &* pair, as: Int16.self))
    let second = Int32(sums.load(fromByteOffset: 4 &* pair &+ 2, as: Int16.self))
    total &+= both.evenHalf &* first &+ both.oddHalf &* second
  }
  return total
}
