/// Functions of one number, applied to a whole row.
public enum LaneFunction {
  case exponential, gelu, geluErf, geluQuick, silu, relu
}

extension VectorRows {
  @inlinable
  public static func exponential(_ x: UnsafeMutablePointer<Float>, _ count: Int) { map(.exponential, x, count) }
  @inlinable
  public static func gelu(_ x: UnsafeMutablePointer<Float>, _ count: Int) { map(.gelu, x, count) }
  @inlinable
  public static func geluErf(_ x: UnsafeMutablePointer<Float>, _ count: Int) { map(.geluErf, x, count) }
  @inlinable
  public static func geluQuick(_ x: UnsafeMutablePointer<Float>, _ count: Int) { map(.geluQuick, x, count) }
  @inlinable
  public static func silu(_ x: UnsafeMutablePointer<Float>, _ count: Int) { map(.silu, x, count) }
  @inlinable
  public static func relu(_ x: UnsafeMutablePointer<Float>, _ count: Int) { map(.relu, x, count) }

  /// The function is a constant at every call and disappears. A closure in its place, this long, would not be
  /// inlined: one indirect call for every 16 numbers.
  @inlinable @inline(__always)
  public static func map(_ function: LaneFunction, _ x: UnsafeMutablePointer<Float>, _ count: Int) {
    var index = 0
    while index < count {
      let rest = count - index
      let value = apply(function, rest >= 16 ? load16(x + index) : loadTail(x + index, rest))
      if rest >= 16 { store16(value, x + index) } else { storeTail(value, x + index, rest) }
      index += 16
    }
  }

  @inlinable @inline(__always)
  public static func apply(_ function: LaneFunction, _ x: Lanes16) -> Lanes16 {
    switch function {
    case .exponential: exp(x)
    // (1 + tanh(u)) / 2 = sigmoid(2u), with u = sqrt(2 / pi) * (x + 0.044715 x³).
    case .gelu:
      gated(
        x,
        L.multiplyAdd(x * x, Lanes16(repeating: 0.044715), Lanes16(repeating: 1)) * x * Lanes16(repeating: 1.595769122))
    case .geluErf: geluErf(x)
    case .geluQuick: gated(x, x * Lanes16(repeating: 1.702))
    case .silu: gated(x, x)
    case .relu: larger(x, Lanes16(repeating: 0))
    }
  }

  /// erfc(z) = t * (a1 + t * (a2 + ...)) * e^(-z²) with t = 1 / (1 + p z), z >= 0: Abramowitz and Stegun 7.1.26, error
  /// at most 1.5e-7. Coefficients halved, since only erfc / 2 is used.
  @inlinable @inline(__always)
  public static func geluErf(_ x: Lanes16) -> Lanes16 {
    let negative = x .< Lanes16(repeating: 0)
    let z = x.replacing(with: Lanes16(repeating: 0) - x, where: negative) * Lanes16(repeating: 0.70710678)
    let one = Lanes16(repeating: 1)
    let t = one / L.multiplyAdd(z, Lanes16(repeating: 0.3275911), one)
    var p = Lanes16(repeating: 0.5307027145)
    p = L.multiplyAdd(p, t, Lanes16(repeating: -0.7265760135))
    p = L.multiplyAdd(p, t, Lanes16(repeating: 0.7107068705))
    p = L.multiplyAdd(p, t, Lanes16(repeating: -0.142248368))
    p = L.multiplyAdd(p, t, Lanes16(repeating: 0.127414796))
    let tail = p * t * exp(Lanes16(repeating: 0) - z * z)
    return x * (one - tail).replacing(with: tail, where: negative)
  }
}
