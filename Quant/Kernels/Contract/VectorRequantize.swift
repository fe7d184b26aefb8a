import OccamQuantFormats

/// Floats -> Q8_0 blocks, bit for bit as `BlockQ8_0.encode` makes them of finite numbers, or `encodeSumLimited`.
public enum VectorRequantize<L: VectorLanes> {
  @inlinable
  public static func halves(
    _ x: UnsafePointer<UInt16>, _ blocks: UnsafeMutableRawPointer, _ count: Int, _ limitsSums: Bool
  ) {
    var target = blocks
    var index = 0
    while index < count {
      block(L.widen(x + index), L.widen(x + index + 16), target, limitsSums)
      index += 32
      target += 34
    }
  }

  @inlinable
  public static func floats(
    _ x: UnsafePointer<Float>, _ blocks: UnsafeMutableRawPointer, _ count: Int, _ limitsSums: Bool
  ) {
    var target = blocks
    var index = 0
    while index < count {
      block(load16(x + index), load16(x + index + 16), target, limitsSums)
      index += 32
      target += 34
    }
  }

  @inlinable @inline(__always)
  public static func block(_ low: Lanes16, _ high: Lanes16, _ target: UnsafeMutableRawPointer, _ limitsSums: Bool) {
    let magnitude = L.largestLane(L.maximum(magnitudes(low), magnitudes(high)))
    let largest = limitsSums ? largestSum(pairSums(low), pairSums(high), magnitude) : magnitude
    let d = largest / 127
    let inverse = d == 0 ? 0 : 1 / d
    target.storeBytes(of: halfBits(d), as: UInt16.self)
    store(low, inverse, target + 2)
    store(high, inverse, target + 18)
  }

  /// Of each pair of neighbours the sum of the positive ones, and of the negative ones' magnitudes; zeros of either sign.
  @inlinable @inline(__always)
  public static func pairSums(_ x: Lanes16) -> Lanes16 {
    let zero = Lanes16(repeating: 0)
    let positive = L.maximum(x, zero)
    let negative = L.maximum(zero - x, zero)
    return Lanes16(
      lowHalf: positive.evenHalf + positive.oddHalf, highHalf: negative.evenHalf + negative.oddHalf)
  }

  /// `BlockQ8_0.encodeSumLimited`'s largest number, from the sums of both halves and the largest magnitude.
  @inlinable @inline(__always)
  public static func largestSum(_ low: Lanes16, _ high: Lanes16, _ magnitude: Float) -> Float {
    // Zeros may be negative ones.
    let pair = L.largestLane(magnitudes(L.maximum(low, high))) * SumLimit.pairScale
    let (first, second) = (largestEight(low), largestEight(high))
    let eight = (first > second ? first : second) * SumLimit.eightScale
    let largest = pair > magnitude ? pair : magnitude
    return eight > largest ? eight : largest
  }

  /// The larger of a half block's two sums of eight magnitudes, from its sums of pairs.
  @inlinable @inline(__always)
  public static func largestEight(_ sums: Lanes16) -> Float {
    let pairs = sums.lowHalf + sums.highHalf
    let fours = pairs.lowHalf + pairs.highHalf
    let eights = fours.lowHalf + fours.highHalf
    return eights.x > eights.y ? eights.x : eights.y
  }

  @inlinable @inline(__always)
  public static func magnitudes(_ x: Lanes16) -> Lanes16 {
    unsafeBitCast(unsafeBitCast(x, to: SIMD16<UInt32>.self) & SIMD16(repeating: 0x7fff_ffff), to: Lanes16.self)
  }

  /// Rounds to the nearest integer, ties away from zero: adding 1.5 * 2^23 leaves the integer in the low bits, ties to
  /// even; those that went inwards are pushed out again.
  @inlinable @inline(__always)
  public static func store(_ x: Lanes16, _ inverse: Float, _ target: UnsafeMutableRawPointer) {
    let magic = Lanes16(repeating: 12_582_912)
    let value = x * Lanes16(repeating: inverse)
    let sum = value + magic
    let rest = value - (sum - magic)
    let zero = SIMD16<Int32>(repeating: 0)
    // All bits set, i.e. -1, where the value is below zero or above.
    let ones = SIMD16<Int32>(repeating: -1)
    let above = zero.replacing(with: ones, where: value .> Lanes16(repeating: 0))
    let below = zero.replacing(with: ones, where: value .< Lanes16(repeating: 0))
    let up = above & zero.replacing(with: ones, where: rest .== Lanes16(repeating: 0.5))
    let down = below & zero.replacing(with: ones, where: rest .== Lanes16(repeating: -0.5))
    let integers = unsafeBitCast(sum, to: SIMD16<Int32>.self) &- up &+ down
    // Lane by lane, which becomes one narrowing: the initialiser of `SIMD16` is a generic function that targets share.
    var bytes = SIMD16<Int8>()
    for lane in 0..<16 { bytes[lane] = Int8(truncatingIfNeeded: integers[lane]) }
    target.storeBytes(of: bytes, as: SIMD16<Int8>.self)
  }
}
