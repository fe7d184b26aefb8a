/// Q4_1: 32 numbers in 20 bytes, x = d * q + m.
///
///     offset  bytes
///     0       2      d, half
///     2       2      m, half
///     4       16     q: byte i holds number i in its low nibble and number i + 16 in its high nibble
@usableFromInline
package enum BlockQ4_1: BlockFormat {
  package static var name: String { "Q4_1" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 20 }
  package static var factors: BlockFactors? { .half(d, minimum: m) }
  @inlinable @inline(__always) package static var d: Int { 0 }
  @inlinable @inline(__always) package static var m: Int { 2 }
  @inlinable @inline(__always) package static var quants: Int { 4 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let m = Half.float(block.loadUnaligned(fromByteOffset: Self.m, as: UInt16.self))
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for i in 0..<16 {
      x[i] = Float(quants[i] & 15) * d + m
      x[i + 16] = Float(quants[i] >> 4) * d + m
    }
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    let range = BlockRange(x, steps: 15)
    block.storeBytes(of: Half.bits(range.step), toByteOffset: Self.d, as: UInt16.self)
    block.storeBytes(of: Half.bits(range.lowest), toByteOffset: Self.m, as: UInt16.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    for i in 0..<16 { quants[i] = range.level(x[i], 15) | range.level(x[i + 16], 15) << 4 }
  }
}

/// The grid of Q4_1 and Q5_1: even steps from the smallest of 32 numbers to the largest.
struct BlockRange {
  let lowest: Float
  let step: Float
  private let inverse: Float

  init(_ x: UnsafePointer<Float>, steps: Float) {
    var lowest = Float.greatestFiniteMagnitude
    var largest = -Float.greatestFiniteMagnitude
    for i in 0..<32 {
      if x[i] < lowest { lowest = x[i] }
      if x[i] > largest { largest = x[i] }
    }
    self.lowest = lowest
    step = (largest - lowest) / steps
    inverse = step == 0 ? 0 : 1 / step
  }

  /// The nearest step, halves upwards, within 0...highest.
  @inline(__always)
  func level(_ v: Float, _ highest: Float) -> UInt8 { Rounding.floor((v - lowest) * inverse + 0.5, highest) }
}
