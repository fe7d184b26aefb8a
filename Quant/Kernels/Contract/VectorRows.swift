/// Row operations: one function for each field of `VectorKernels`, contracts there.
public enum VectorRows<L: VectorLanes> {
  /// e^x to about 1e-7 relative; arguments are limited to -87...88, where 2^n stays a normal number.
  ///
  /// Cody-Waite reduction x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts; e^r by its Taylor polynomial of
  /// degree 7 (remainder below 6e-9); 2^n added to the exponent bits.
  @_transparent
  public static func exp(_ argument: Lanes16) -> Lanes16 {
    let x = smaller(larger(argument, Lanes16(repeating: -87)), Lanes16(repeating: 88))
    // Adding 1.5 * 2^23 rounds to the nearest integer and leaves it in the low mantissa bits.
    let shift = Lanes16(repeating: 12_582_912)
    let shifted = L.multiplyAdd(x, Lanes16(repeating: 1.442695041), shift)
    let n = shifted - shift
    var r = L.multiplyAdd(n, Lanes16(repeating: -0.693359375), x)
    r = L.multiplyAdd(n, Lanes16(repeating: 2.12194440e-4), r)
    var p = Lanes16(repeating: 1 / 5040)
    p = L.multiplyAdd(p, r, Lanes16(repeating: 1 / 720))
    p = L.multiplyAdd(p, r, Lanes16(repeating: 1 / 120))
    p = L.multiplyAdd(p, r, Lanes16(repeating: 1 / 24))
    p = L.multiplyAdd(p, r, Lanes16(repeating: 1 / 6))
    p = L.multiplyAdd(p, r, Lanes16(repeating: 0.5))
    p = L.multiplyAdd(p, r * r, r) + Lanes16(repeating: 1)
    let exponent = unsafeBitCast(shifted, to: SIMD16<Int32>.self) &<< 23
    return unsafeBitCast(unsafeBitCast(p, to: SIMD16<Int32>.self) &+ exponent, to: Lanes16.self)
  }

  /// x * sigmoid(u). For u below -87 the limit of `exp` leaves about x * 1e-38.
  @inlinable @inline(__always)
  public static func gated(_ x: Lanes16, _ u: Lanes16) -> Lanes16 {
    x / (Lanes16(repeating: 1) + exp(Lanes16(repeating: 0) - u))
  }

  @inlinable
  public static func add(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    combineRows(y, x, count) { $0 + $1 }
  }

  @inlinable
  public static func multiply(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    combineRows(y, x, count) { $0 * $1 }
  }

  @inlinable
  public static func addScaled(
    _ x: UnsafePointer<Float>, _ factor: Float, _ y: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    combineRows(y, x, count) { L.multiplyAdd($1, Lanes16(repeating: factor), $0) }
  }

  @inlinable
  public static func scale(
    _ x: UnsafePointer<Float>, _ factor: Float, _ out: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    combineRows(out, x, count) { _, x in x * Lanes16(repeating: factor) }
  }

  @inlinable
  public static func siluMultiply(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, _ count: Int) {
    // No `combineRows`: the compiler does not inline a closure this long.
    var index = 0
    while index < count {
      let rest = count - index
      let g = rest >= 16 ? load16(gate + index) : loadTail(gate + index, rest)
      let u = rest >= 16 ? load16(up + index) : loadTail(up + index, rest)
      let product = gated(g, g) * u
      if rest >= 16 { store16(product, gate + index) } else { storeTail(product, gate + index, rest) }
      index += 16
    }
  }

  @inlinable
  public static func softmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) {
    let whole = count & ~15
    var largest = Lanes16(repeating: -Float.infinity)
    var index = 0
    while index < whole {
      largest = L.maximum(largest, load16(x + index))
      index += 16
    }
    if whole < count { largest = L.maximum(largest, loadTail(x + whole, count - whole, rest: -Float.infinity)) }
    let maximum = Lanes16(repeating: L.largestLane(largest))
    var total = Lanes16(repeating: 0)
    index = 0
    while index < count {
      let rest = count - index
      // Lanes behind the end hold the maximum, so that their exp is 1 whatever the row, and are not summed.
      let value = exp((rest >= 16 ? load16(x + index) : loadTail(x + index, rest, rest: maximum[0])) - maximum)
      if rest >= 16 {
        store16(value, x + index)
        total += value
      } else {
        storeTail(value, x + index, rest)
      }
      index += 16
    }
    var sum = laneSum(total)
    for index in whole..<count { sum += x[index] }
    scale(x, 1 / sum, x, count)
  }

  @inlinable
  public static func rotateAdjacent(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>, _ count: Int
  ) {
    let whole = count & ~15
    var index = 0
    while index < whole {
      store16(rotated(load16(x + index), load16(cosines + index), load16(sines + index)), x + index)
      index += 16
    }
    guard whole < count else { return }
    let rest = count - whole
    let value = rotated(loadTail(x + whole, rest), loadTail(cosines + whole, rest), loadTail(sines + whole, rest))
    storeTail(value, x + whole, rest)
  }

  /// Neighbours swap places as halves of 64-bit integers.
  @inlinable @inline(__always)
  public static func rotated(_ x: Lanes16, _ cosines: Lanes16, _ sines: Lanes16) -> Lanes16 {
    let pairs = unsafeBitCast(x, to: SIMD8<UInt64>.self)
    let swapped = (pairs &<< SIMD8(repeating: 32)) | (pairs &>> SIMD8(repeating: 32))
    return L.multiplyAdd(x, cosines, unsafeBitCast(swapped, to: Lanes16.self) * sines)
  }

  @inlinable
  public static func rotateHalves(
    _ x: UnsafeMutablePointer<Float>, _ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>, _ pairs: Int
  ) {
    let whole = pairs & ~15
    var index = 0
    while index < whole {
      let a = load16(x + index)
      let b = load16(x + pairs + index)
      let cosine = load16(cosines + index)
      let sine = load16(sines + index)
      store16(L.multiplyAdd(a, cosine, Lanes16(repeating: 0) - b * sine), x + index)
      store16(L.multiplyAdd(b, cosine, a * sine), x + pairs + index)
      index += 16
    }
    while index < pairs {
      let a = x[index]
      let b = x[pairs + index]
      x[index] = a * cosines[index] - b * sines[index]
      x[pairs + index] = b * cosines[index] + a * sines[index]
      index += 1
    }
  }
}
