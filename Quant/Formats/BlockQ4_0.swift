/// Q4_0: 32 numbers in 18 bytes, x = d * (q - 8).
///
///     offset  bytes
///     0       2      d, half
///     2       16     q: byte i holds number i in its low nibble and number i + 16 in its high nibble
@usableFromInline
package enum BlockQ4_0: BlockFormat {
  package static var name: String { "Q4_0" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 18 }
  package static var factors: BlockFactors? { .half(d) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var quants: Int { 2 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(as: UInt16.self))
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for i in 0..<16 {
      x[i] = Float(Int32(quants[i] & 15) &- 8) * d
      x[i + 16] = Float(Int32(quants[i] >> 4) &- 8) * d
    }
  }

  /// The number of largest magnitude becomes exactly -8 steps, so that the level the other sign lacks is not wasted.
  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var magnitude: Float = 0
    var extreme: Float = 0
    for i in 0..<32 where x[i].magnitude > magnitude {
      magnitude = x[i].magnitude
      extreme = x[i]
    }
    let d = extreme / -8
    let inverse = d == 0 ? 0 : 1 / d
    block.storeBytes(of: Half.bits(d), as: UInt16.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for i in 0..<16 {
      quants[i] = Rounding.floor(x[i] * inverse + 8.5, 15) | Rounding.floor(x[i + 16] * inverse + 8.5, 15) << 4
    }
  }
}
