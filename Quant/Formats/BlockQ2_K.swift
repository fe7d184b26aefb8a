/// Q2_K: 256 numbers in 84 bytes, sixteen sub-blocks of 16, x = d * scale * q - dmin * min.
///
///     offset  bytes
///     0       16     scale in the low nibble, min in the high one
///     16      64     q: byte 32 h + i (i in 0..<32), bits 2 g and 2 g + 1, belong to number 128 h + 32 g + i
///     80      2      d, half
///     82      2      dmin, half
@usableFromInline
package enum BlockQ2_K: BlockFormat {
  package static var name: String { "Q2_K" }
  @inlinable @inline(__always) package static var elements: Int { 256 }
  @inlinable @inline(__always) package static var bytes: Int { 84 }
  package static var factors: BlockFactors? { .half(d, minimum: dmin) }
  @inlinable @inline(__always) package static var scales: Int { 0 }
  @inlinable @inline(__always) package static var quants: Int { 16 }
  @inlinable @inline(__always) package static var d: Int { 80 }
  @inlinable @inline(__always) package static var dmin: Int { 82 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let dmin = Half.float(block.loadUnaligned(fromByteOffset: Self.dmin, as: UInt16.self))
    let scales = block.assumingMemoryBound(to: UInt8.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for s in 0..<16 {
      let (scale, min) = (d * Float(scales[s] & 15), dmin * Float(scales[s] >> 4))
      for i in 0..<16 { x[16 * s + i] = scale * Float(TwoBits.level(quants, s, i)) - min }
    }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    withUnsafeTemporaryAllocation(of: Lanes.self, capacity: 2 * AffineSearch.Scratch.lanes) { memory in
      guard let base = memory.baseAddress else { return }
      let search = AffineSearch(count: 16, highest: 3, first: -0.5, candidates: 15, isAbsolute: true)
      let halves = (AffineSearch.Scratch(base), AffineSearch.Scratch(base + AffineSearch.Scratch.lanes))
      search.load(x, halves.0)
      search.load(x + 128, halves.1)
      let fits = (search.search(halves.0), search.search(halves.1))
      let (scales, d) = quantize(fits.0.scales, fits.1.scales)
      let (mins, dmin) = quantize(fits.0.mins, fits.1.mins)
      block.storeBytes(of: d, toByteOffset: Self.d, as: UInt16.self)
      block.storeBytes(of: dmin, toByteOffset: Self.dmin, as: UInt16.self)
      let stored = scales | mins &<< 4
      block.storeBytes(of: stored, as: SIMD16<UInt8>.self)
      let (scale, min) = (Half.float(d), Half.float(dmin))
      let (low, high) = (stored.lowHalf, stored.highHalf)
      search.requantize(halves.0, Lanes(low & 15) * scale, Lanes(low &>> 4) * min)
      search.requantize(halves.1, Lanes(high & 15) * scale, Lanes(high &>> 4) * min)
      let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
      quants.update(repeating: 0, count: 64)
      for i in 0..<16 {
        let levels = (Rounding.bytes(halves.0.levels[i]), Rounding.bytes(halves.1.levels[i]))
        for s in 0..<8 {
          TwoBits.store(levels.0[s], quants, s, i)
          TwoBits.store(levels.1[s], quants, s + 8, i)
        }
      }
    }
  }

  /// Sixteen numbers -> 0...15 and the half that the largest becomes 15 of.
  private static func quantize(_ low: Lanes, _ high: Lanes) -> (levels: SIMD16<UInt8>, step: UInt16) {
    var largest: Float = 0
    for s in 0..<8 where low[s] > largest { largest = low[s] }
    for s in 0..<8 where high[s] > largest { largest = high[s] }
    var levels = SIMD16<UInt8>()
    guard largest > 0 else { return (levels, 0) }
    let inverse = 15 / largest
    for s in 0..<8 {
      levels[s] = UInt8(truncatingIfNeeded: Rounding.nearest(inverse * low[s]))
      levels[s + 8] = UInt8(truncatingIfNeeded: Rounding.nearest(inverse * high[s]))
    }
    return (levels, Half.bits(largest / 15))
  }
}

/// 256 numbers of two bits in 64 bytes, as Q2_K and Q3_K hold them; `s`: sub-block of 16, `i`: number of it.
enum TwoBits {
  @inline(__always)
  private static func place(_ s: Int, _ i: Int) -> (byte: Int, shift: UInt8) {
    (32 * (s / 8) + 16 * (s & 1) + i, UInt8(truncatingIfNeeded: s / 2 & 3) &* 2)
  }

  @inline(__always)
  static func level(_ quants: UnsafePointer<UInt8>, _ s: Int, _ i: Int) -> UInt8 {
    let (byte, shift) = place(s, i)
    return (quants[byte] &>> shift) & 3
  }

  /// Into bits that are zero.
  @inline(__always)
  static func store(_ level: UInt8, _ quants: UnsafeMutablePointer<UInt8>, _ s: Int, _ i: Int) {
    let (byte, shift) = place(s, i)
    quants[byte] |= (level & 3) &<< shift
  }
}
