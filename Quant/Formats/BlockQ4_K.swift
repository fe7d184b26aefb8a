/// Q4_K: 256 numbers in 144 bytes, eight sub-blocks of 32, x = d * scale * q - dmin * min.
///
///     offset  bytes
///     0       2      d, half
///     2       2      dmin, half
///     4       12     scales and mins, 6 bits each: SixBitScales
///     16      128    q: byte 32 p + i holds number i of sub-block 2 p in its low nibble and number i of
///                    sub-block 2 p + 1 in its high nibble
@usableFromInline
package enum BlockQ4_K: BlockFormat {
  package static var name: String { "Q4_K" }
  @inlinable @inline(__always) package static var elements: Int { 256 }
  @inlinable @inline(__always) package static var bytes: Int { 144 }
  package static var factors: BlockFactors? { .half(d, minimum: dmin) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var dmin: Int { 2 }
  @inlinable @inline(__always) package static var scales: Int { 4 }
  @inlinable @inline(__always) package static var quants: Int { 16 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let dmin = Half.float(block.loadUnaligned(fromByteOffset: Self.dmin, as: UInt16.self))
    let (scales, mins) = SixBitScales.unpack(block + Self.scales)
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for pair in 0..<4 {
      let (low, high) = (2 * pair, 2 * pair + 1)
      let (lowScale, lowMin) = (d * Float(scales[low]), dmin * Float(mins[low]))
      let (highScale, highMin) = (d * Float(scales[high]), dmin * Float(mins[high]))
      for i in 0..<32 {
        let q = quants[32 * pair + i]
        x[64 * pair + i] = lowScale * Float(q & 15) - lowMin
        x[64 * pair + 32 + i] = highScale * Float(q >> 4) - highMin
      }
    }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    withUnsafeTemporaryAllocation(of: Lanes.self, capacity: AffineSearch.Scratch.lanes) { memory in
      guard let base = memory.baseAddress else { return }
      let scratch = AffineSearch.Scratch(base)
      AffineSearch(count: 32, highest: 15, first: -1, candidates: 20, isAbsolute: false)
        .encode(x, scratch, head: block)
      let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
      for i in 0..<32 {
        let levels = Rounding.bytes(scratch.levels[i])
        for pair in 0..<4 { quants[32 * pair + i] = levels[2 * pair] | levels[2 * pair + 1] << 4 }
      }
    }
  }
}
