/// Q6_K: 256 numbers in 210 bytes, sixteen sub-blocks of 16, x = d * scale * (q - 32).
///
///     offset  bytes
///     0       128    low four bits: byte 64 h + i (i in 0..<64) holds number 128 h + i in its low nibble and number
///                    128 h + 64 + i in its high nibble
///     128     64     high two bits: byte 32 h + i (i in 0..<32), bits 2 g and 2 g + 1, belong to number
///                    128 h + 32 g + i
///     192     16     scales, signed bytes
///     208     2      d, half
@usableFromInline
package enum BlockQ6_K: BlockFormat {
  package static var name: String { "Q6_K" }
  @inlinable @inline(__always) package static var elements: Int { 256 }
  @inlinable @inline(__always) package static var bytes: Int { 210 }
  package static var factors: BlockFactors? { .half(d) }
  @inlinable @inline(__always) package static var lowBits: Int { 0 }
  @inlinable @inline(__always) package static var highBits: Int { 128 }
  @inlinable @inline(__always) package static var scales: Int { 192 }
  @inlinable @inline(__always) package static var d: Int { 208 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let low = block.assumingMemoryBound(to: UInt8.self)
    let high = (block + Self.highBits).assumingMemoryBound(to: UInt8.self)
    let scales = (block + Self.scales).assumingMemoryBound(to: Int8.self)
    for half in 0..<2 {
      for group in 0..<4 {
        let base = 128 * half + 32 * group
        let (first, second) = (d * Float(scales[base / 16]), d * Float(scales[base / 16 + 1]))
        let nibbles = low + 64 * half + 32 * (group & 1)
        let nibbleShift = UInt8(group / 2) &* 4
        let pairs = high + 32 * half
        let pairShift = UInt8(group) &* 2
        for i in 0..<32 {
          let q = (nibbles[i] &>> nibbleShift) & 15 | ((pairs[i] &>> pairShift) & 3) << 4
          x[base + i] = (i < 16 ? first : second) * Float(Int32(q) &- 32)
        }
      }
    }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { memory in
      guard let levels = memory.baseAddress else { return }
      var scales = (Lanes(), Lanes())
      scales.0 = SymmetricSearch.search(x, levels)
      scales.1 = SymmetricSearch.search(x + 128, levels + 128)
      var extreme: Float = 0
      for j in 0..<8 where scales.0[j].magnitude > extreme.magnitude { extreme = scales.0[j] }
      for j in 0..<8 where scales.1[j].magnitude > extreme.magnitude { extreme = scales.1[j] }
      guard extreme.magnitude >= SymmetricSearch.smallest else {
        block.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
        return
      }
      let inverse = -128 / extreme
      let d = Half.bits(1 / inverse)
      block.storeBytes(of: d, toByteOffset: Self.d, as: UInt16.self)
      let stored = (block + Self.scales).assumingMemoryBound(to: Int8.self)
      for j in 0..<8 {
        stored[j] = Int8(truncatingIfNeeded: min(Rounding.nearest(inverse * scales.0[j]), 127))
        stored[j + 8] = Int8(truncatingIfNeeded: min(Rounding.nearest(inverse * scales.1[j]), 127))
      }
      SymmetricSearch.requantize(x, d: Half.float(d), scales: stored, levels)
      SymmetricSearch.requantize(x + 128, d: Half.float(d), scales: stored + 8, levels + 128)
      pack(levels, into: block)
    }
  }

  private static func pack(_ levels: UnsafeMutablePointer<UInt8>, into block: UnsafeMutableRawPointer) {
    let low = block.assumingMemoryBound(to: UInt8.self)
    let high = (block + Self.highBits).assumingMemoryBound(to: UInt8.self)
    for half in 0..<2 {
      let q = levels + 128 * half
      for i in 0..<64 { low[64 * half + i] = (q[i] & 15) | (q[64 + i] & 15) << 4 }
      for i in 0..<32 {
        high[32 * half + i] = q[i] >> 4 | (q[32 + i] >> 4) << 2 | (q[64 + i] >> 4) << 4 | (q[96 + i] >> 4) << 6
      }
    }
  }
}
