extension VectorRows {
  /// Each channel's sum stays in a register over all taps.
  @inlinable
  public static func convolve(
    _ rows: UnsafePointer<UnsafePointer<Float>>, _ weights: UnsafePointer<Float>, _ stride: Int, _ taps: Int,
    _ bias: UnsafePointer<Float>?, _ out: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    var index = 0
    while index < count {
      let rest = count - index
      let whole = rest >= 16
      var sum = Lanes16(repeating: 0)
      if let bias { sum = whole ? load16(bias + index) : loadTail(bias + index, rest) }
      var tap = 0
      while tap < taps {
        let x = rows[tap] + index
        let w = weights + tap * stride + index
        sum = L.multiplyAdd(whole ? load16(x) : loadTail(x, rest), whole ? load16(w) : loadTail(w, rest), sum)
        tap += 1
      }
      if whole { store16(sum, out + index) } else { storeTail(sum, out + index, rest) }
      index += 16
    }
  }
}
