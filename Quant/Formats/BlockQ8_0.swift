/// Q8_0: 32 numbers in 34 bytes, x = d * q.
///
///     offset  bytes
///     0       2      d, half
///     2       32     q, signed bytes, -127...127
@usableFromInline
package enum BlockQ8_0: BlockFormat {
  package static var name: String { "Q8_0" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 34 }
  package static var factors: BlockFactors? { .half(d) }
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

  /// Like `encode`, with a scale that keeps sums of products with activations of -104...104 within 16 bits: neighbours
  /// (2 i, 2 i + 1) of one sign add up to 157 at most, and the magnitudes of four such pairs, every other one of a half
  /// block, to 315. The step of normal random numbers grows by two fifths.
  package static func encodeSumLimited(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var largest: Float = 0
    var magnitudes = InlineArray<16, Float>(repeating: 0)
    for i in 0..<16 {
      let (a, b) = (x[2 * i], x[2 * i + 1])
      let positive = (a > 0 ? a : 0) + (b > 0 ? b : 0)
      let negative = (a < 0 ? -a : 0) + (b < 0 ? -b : 0)
      let pair = (positive > negative ? positive : negative) * SumLimit.pairScale
      largest = max(largest, max(pair, max(a.magnitude, b.magnitude)))
      magnitudes[i] = positive + negative
    }
    for first in 0..<16 where first & 6 == 0 {
      let ends = magnitudes[first] + magnitudes[first + 4]
      let eight = (ends + (magnitudes[first + 2] + magnitudes[first + 6])) * SumLimit.eightScale
      largest = max(largest, eight)
    }
    encode(x, largest: largest, into: block)
  }

  /// - Parameter largest: what becomes 127.
  @inline(__always)
  private static func encode(_ x: UnsafePointer<Float>, largest: Float, into block: UnsafeMutableRawPointer) {
    let d = largest / 127
    let inverse = d == 0 ? 0 : 1 / d
    block.storeBytes(of: Half.bits(d), as: UInt16.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: Int8.self)
    for i in 0..<32 { quants[i] = Rounding.awayFromZero(x[i] * inverse) }
  }
}

/// What sums of Q8_0 weights and their activations may reach so that sums of products fit 16 bits.
@usableFromInline
package enum SumLimit {
  /// Magnitude of an activation; offset by as much it becomes 0...208.
  @inlinable @inline(__always) package static var activation: Int32 { 104 }
  /// Two neighbours of one sign: 208 * 157 = 32,656.
  @inlinable @inline(__always) package static var pair: Int32 { 157 }
  /// Magnitudes of eight: 104 * 315 = 32,760.
  @inlinable @inline(__always) package static var eight: Int32 { 315 }

  /// A sum before rounding -> what becomes 127. Rounding adds at most a half to each number.
  @inlinable @inline(__always) package static var pairScale: Float { 127 / 156 }
  @inlinable @inline(__always) package static var eightScale: Float { 127 / 311 }
}
