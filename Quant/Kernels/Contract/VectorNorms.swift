extension VectorRows {
  /// Sum of x[i] - shift, or of its squares, over one row: four independent vectors of lanes, i.e. 64 partial sums,
  /// which keeps both the dependency chain and the rounding error short.
  @inlinable @inline(__always)
  public static func sum(_ x: UnsafePointer<Float>, _ count: Int, shift: Float, squared: Bool) -> Float {
    let shifts = Lanes16(repeating: shift)
    var a = Lanes16(repeating: 0)
    var b = a
    var c = a
    var d = a
    var index = 0
    while index + 64 <= count {
      let x0 = load16(x + index) - shifts
      let x1 = load16(x + index + 16) - shifts
      let x2 = load16(x + index + 32) - shifts
      let x3 = load16(x + index + 48) - shifts
      a = squared ? L.multiplyAdd(x0, x0, a) : a + x0
      b = squared ? L.multiplyAdd(x1, x1, b) : b + x1
      c = squared ? L.multiplyAdd(x2, x2, c) : c + x2
      d = squared ? L.multiplyAdd(x3, x3, d) : d + x3
      index += 64
    }
    while index < count {
      let rest = count - index
      let x0 = (rest >= 16 ? load16(x + index) : loadTail(x + index, rest, rest: shift)) - shifts
      a = squared ? L.multiplyAdd(x0, x0, a) : a + x0
      index += 16
    }
    return laneSum((a + b) + (c + d))
  }

  @inlinable
  public static func rmsNorm(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ epsilon: Float, _ out: UnsafeMutablePointer<Float>,
    _ count: Int
  ) {
    let squares = sum(x, count, shift: 0, squared: true)
    let factor = 1 / (squares / Float(count) + epsilon).squareRoot()
    let factors = Lanes16(repeating: factor)
    let whole = count & ~15
    var index = 0
    while index < whole {
      store16(load16(x + index) * factors * load16(weight + index), out + index)
      index += 16
    }
    while index < count {
      out[index] = x[index] * factor * weight[index]
      index += 1
    }
  }

  /// Two passes over the row, mean first: the one-pass formula cancels where the mean is far from 0.
  @inlinable
  public static func layerNorm(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ bias: UnsafePointer<Float>, _ epsilon: Float,
    _ out: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    let whole = count & ~15
    let mean = sum(x, count, shift: 0, squared: false) / Float(count)
    let means = Lanes16(repeating: mean)
    let squares = sum(x, count, shift: mean, squared: true)
    let factor = 1 / (squares / Float(count) + epsilon).squareRoot()
    let factors = Lanes16(repeating: factor)
    var index = 0
    while index < whole {
      let normal = (load16(x + index) - means) * factors
      store16(L.multiplyAdd(normal, load16(weight + index), load16(bias + index)), out + index)
      index += 16
    }
    while index < count {
      out[index] = (x[index] - mean) * factor * weight[index] + bias[index]
      index += 1
    }
  }
}
