/// Q5_K: 256 numbers in 176 bytes, eight sub-blocks of 32, x = d * scale * q - dmin * min.
///
///     offset  bytes
///     0       2      d, half
///     2       2      dmin, half
///     4       12     scales and mins, 6 bits each: SixBitScales
///     16      32     fifth bits: bit j of byte i belongs to number i of sub-block j
///     48      128    low four bits, as in Q4_K
@usableFromInline
package enum BlockQ5_K: BlockFormat {
  package static var name: String { "Q5_K" }
  @inlinable @inline(__always) package static var elements: Int { 256 }
  @inlinable @inline(__always) package static var bytes: Int { 176 }
  package static var factors: BlockFactors? { .half(d, minimum: dmin) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var dmin: Int { 2 }
  @inlinable @inline(__always) package static var scales: Int { 4 }
  @inlinable @inline(__always) package static var highBits: Int { 16 }
  @inlinable @inline(__always) package static var quants: Int { 48 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let dmin = Half.float(block.loadUnaligned(fromByteOffset: Self.dmin, as: UInt16.self))
    let (scales, mins) = SixBitScales.unpack(block + Self.scales)
    let high = (block + Self.highBits).assumingMemoryBound(to: UInt8.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for j in 0..<8 {
      let (scale, min) = (d * Float(scales[j]), dmin * Float(mins[j]))
      let shift = UInt8(j & 1) &* 4
      for i in 0..<32 {
        let q = (quants[32 * (j / 2) + i] &>> shift) & 15 | ((high[i] &>> UInt8(j)) & 1) << 4
        x[32 * j + i] = scale * Float(q) - min
      }
    }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    withUnsafeTemporaryAllocation(of: Lanes.self, capacity: AffineSearch.Scratch.lanes) { memory in
      guard let base = memory.baseAddress else { return }
      let scratch = AffineSearch.Scratch(base)
      AffineSearch(count: 32, highest: 31, first: -0.5, candidates: 15, isAbsolute: false)
        .encode(x, scratch, head: block)
      let high = (block + Self.highBits).assumingMemoryBound(to: UInt8.self)
      let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
      for i in 0..<32 {
        let levels = Rounding.bytes(scratch.levels[i])
        var bits: UInt8 = 0
        for j in 0..<8 { bits |= (levels[j] >> 4) &<< UInt8(j) }
        high[i] = bits
        for pair in 0..<4 { quants[32 * pair + i] = (levels[2 * pair] & 15) | (levels[2 * pair + 1] & 15) << 4 }
      }
    }
  }
}
