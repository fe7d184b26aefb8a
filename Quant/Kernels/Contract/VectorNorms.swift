extension VectorRows {
  /// Sum of body(x[i]) over one row: four independent vectors of lanes, i.e. 64 partial sums, which keeps both the
  /// dependency chain and the rounding error short.
  @inlinable @inline(__always)
  public static func sum(
    _ x: UnsafePointer<Float>, _ count: Int, _ body: (Lanes16, Lanes16) -> Lanes16
  ) -> Float {
    var a = Lanes16(repeating: 0)
    var b = a
    var c = a
    var d = a
    var index = 0
    while index + 64 <= count {
      a = body(load16(x + index), a)
      b = body(load16(x + index + 16), b)
      c = body(load16(x + index + 32), c)
      d = body(load16(x + index + 48), d)
      index += 64
    }
    while index + 16 <= count {
      a = body(load16(x + index), a)
      index += 16
    }
    return laneSum((a + b) + (c + d))
  }

  @inlinable
  public static func rmsNorm(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ epsilon: Float, _ out: UnsafeMutablePointer<Float>,
    _ count: Int
  ) {
    var squares = sum(x, count) { L.multiplyAdd($0, $0, $1) }
    for index in (count & ~15)..<count { squares += x[index] * x[index] }
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
    var total = sum(x, count) { $1 + $0 }
    for index in whole..<count { total += x[index] }
    let mean = total / Float(count)
    let means = Lanes16(repeating: mean)
    var squares = sum(x, count) {
      let difference = $0 - means
      return L.multiplyAdd(difference, difference, $1)
    }
    for index in whole..<count { squares += (x[index] - mean) * (x[index] - mean) }
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
