/// An inverse DCT that yields the block at `size` x `size` samples, 1, 2, 4 or 8.
///
/// Parameters as `inverseDCT`; the caller guarantees `size` x `size` samples at `target`.
@inline(__always)
func inverseDCT(
  _ block: UnsafePointer<Int16>, _ quant: UnsafePointer<Int32>, into target: UnsafeMutablePointer<UInt8>, stride: Int,
  size: Int
) {
  switch size {
  case 8: inverseDCT(block, quant, into: target, stride: stride)
  case 4: inverseDCT4(block, quant, into: target, stride: stride)
  case 2: inverseDCT2(block, quant, into: target, stride: stride)
  default: inverseDCOnly(block[0], quant, into: target, stride: stride, size: 1)
  }
}

/// Half the resolution: libjpeg's reduced 4 x 4 transform, in which the eight-point DCT's highest even term takes no
/// part.
private func inverseDCT4(
  _ block: UnsafePointer<Int16>, _ quant: UnsafePointer<Int32>, into target: UnsafeMutablePointer<UInt8>, stride: Int
) {
  withUnsafeTemporaryAllocation(of: Int32.self, capacity: 32) { buffer in
    guard let work = buffer.baseAddress else { return }
    for column in 0..<8 where column != 4 {
      let (c, q) = (block + column, quant + column)
      @inline(__always)
      func term(_ row: Int) -> Int32 { Int32(c[8 &* row]) &* q[8 &* row] }
      let values = transform4(term(0), term(1), term(2), term(3), term(5), term(6), term(7))
      let rounded = (values &+ (1 &<< 11)) &>> 12
      for row in 0..<4 { work[8 &* row &+ column] = rounded[row] }
    }
    for row in 0..<4 {
      let w = work + 8 &* row
      let values = transform4(w[0], w[1], w[2], w[3], w[5], w[6], w[7])
      store4(((values &+ (1 &<< 18)) &>> 19) &+ 128, target + row &* stride)
    }
  }
}

@inline(__always)
private func store4(_ samples: SIMD4<Int32>, _ target: UnsafeMutablePointer<UInt8>) {
  let bytes = SIMD4<UInt8>(
    truncatingIfNeeded: samples.clamped(lowerBound: .zero, upperBound: .init(repeating: 255)))
  UnsafeMutableRawPointer(target).storeBytes(of: bytes, as: SIMD4<UInt8>.self)
}

/// Four points of the 8-point inverse DCT, scaled by 2^14. Wraps where damaged data would overflow.
@inline(__always)
private func transform4(
  _ x0: Int32, _ x1: Int32, _ x2: Int32, _ x3: Int32, _ x5: Int32, _ x6: Int32, _ x7: Int32
) -> SIMD4<Int32> {
  // round(c * 2^13), c = sqrt(2) times sums of cosines of multiples of pi / 16.
  let level = x0 &<< 14
  let even = x2 &* 15137 &- x6 &* 6270  // 1.847759065, 0.765366865
  let (outer, inner) = (level &+ even, level &- even)
  // 1.451774981, 0.211164243, 2.172734803, 1.061594337
  let odd0 = x5 &* 11893 &- x7 &* 1730 &- x3 &* 17799 &+ x1 &* 8697
  // 0.899976223, 0.509795579, 0.601344887, 2.562915447
  let odd2 = x3 &* 7373 &- x7 &* 4176 &- x5 &* 4926 &+ x1 &* 20995
  return SIMD4(outer &+ odd2, inner &+ odd0, inner &- odd0, outer &- odd2)
}

/// A quarter of the resolution: libjpeg's reduced 2 x 2 transform, from the level and the odd terms.
private func inverseDCT2(
  _ block: UnsafePointer<Int16>, _ quant: UnsafePointer<Int32>, into target: UnsafeMutablePointer<UInt8>, stride: Int
) {
  var top = SIMD8<Int32>.zero
  var bottom = SIMD8<Int32>.zero
  for column in [0, 1, 3, 5, 7] {
    let (c, q) = (block + column, quant + column)
    @inline(__always)
    func term(_ row: Int) -> Int32 { Int32(c[8 &* row]) &* q[8 &* row] }
    let (sum, difference) = transform2(term(0), term(1), term(3), term(5), term(7))
    top[column] = (sum &+ (1 &<< 12)) &>> 13
    bottom[column] = (difference &+ (1 &<< 12)) &>> 13
  }
  for (row, w) in [top, bottom].enumerated() {
    let (left, right) = transform2(w[0], w[1], w[3], w[5], w[7])
    for (column, value) in [left, right].enumerated() {
      let sample = ((value &+ (1 &<< 19)) &>> 20) &+ 128
      target[row &* stride &+ column] = UInt8(truncatingIfNeeded: min(max(sample, 0), 255))
    }
  }
}

/// Two points of the 8-point inverse DCT, scaled by 2^15.
@inline(__always)
private func transform2(_ x0: Int32, _ x1: Int32, _ x3: Int32, _ x5: Int32, _ x7: Int32) -> (Int32, Int32) {
  let level = x0 &<< 15
  // 3.624509785, 1.272758580, 0.850430095, 0.720959822
  let odd = x1 &* 29692 &- x3 &* 10426 &+ x5 &* 6967 &- x7 &* 5906
  return (level &+ odd, level &- odd)
}
