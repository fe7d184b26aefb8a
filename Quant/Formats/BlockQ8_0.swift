/// Q8_0: 32 numbers in 34 bytes, x = d * q.
///
///     offset  bytes
///     0       2      d, half
///     2       32     q, signed bytes, -127...127
@usableFromInline
package enum BlockQ8_0 {
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 34 }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var quants: Int { 2 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(as: UInt16.self))
    let quants = (block + Self.quants).assumingMemoryBound(to: Int8.self)
    for i in 0..<32 { x[i] = Float(quants[i]) * d }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var magnitude: Float = 0
    for i in 0..<32 { magnitude = x[i].magnitude > magnitude ? x[i].magnitude : magnitude }
    encode(x, largest: magnitude, into: block)
  }

  /// Like `encode`, with the scale that keeps any two neighbours (2 i, 2 i + 1) of one sign at 128 in sum: sums of two
  /// products with bytes 0...255 then fit 16 bits. The step of normal random numbers grows by a fifth.
  package static func encodePairLimited(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var largest: Float = 0
    for i in 0..<16 {
      let (a, b) = (x[2 * i], x[2 * i + 1])
      let positive = (a > 0 ? a : 0) + (b > 0 ? b : 0)
      let negative = (a < 0 ? -a : 0) + (b < 0 ? -b : 0)
      largest = positive > largest ? positive : largest
      largest = negative > largest ? negative : largest
    }
    encode(x, largest: largest, into: block)
  }

  /// - Parameter largest: the sum that becomes 127; rounding adds at most a half to each of two numbers.
  @inline(__always)
  private static func encode(_ x: UnsafePointer<Float>, largest: Float, into block: UnsafeMutableRawPointer) {
    let d = largest / 127
    let inverse = d == 0 ? 0 : 1 / d
    block.storeBytes(of: Half.bits(d), as: UInt16.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: Int8.self)
    for i in 0..<32 { quants[i] = Rounding.awayFromZero(x[i] * inverse) }
  }
}
