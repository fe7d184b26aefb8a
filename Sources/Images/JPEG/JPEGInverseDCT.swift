/// The accurate integer inverse DCT of libjpeg ("islow"): Loeffler, Ligtenberg and Moschytz 1989, 13 fractional bits,
/// two more kept between the passes. Same additions, same rounding, same samples.
///
/// - Parameters:
///   - block, quant: 64 coefficients and steps in natural order.
///   - target: the block's first sample in a plane with rows `stride` apart; the caller guarantees 8 x 8 samples.
func inverseDCT(
  _ block: UnsafePointer<Int16>, _ quant: UnsafePointer<Int32>, into target: UnsafeMutablePointer<UInt8>, stride: Int
) {
  withUnsafeTemporaryAllocation(of: Int32.self, capacity: 64) { buffer in
    guard let work = buffer.baseAddress else { return }
    for column in 0..<8 {
      let (c, q, w) = (block + column, quant + column, work + column)
      if c[8] | c[16] | c[24] | c[32] | c[40] | c[48] | c[56] == 0 {
        let value = (Int32(c[0]) &* q[0]) &<< 2
        for row in 0..<8 { w[row &* 8] = value }
        continue
      }
      let values = transform8(
        Int32(c[0]) &* q[0], Int32(c[8]) &* q[8], Int32(c[16]) &* q[16], Int32(c[24]) &* q[24], Int32(c[32]) &* q[32],
        Int32(c[40]) &* q[40], Int32(c[48]) &* q[48], Int32(c[56]) &* q[56])
      let half: Int32 = 1 << 10
      for row in 0..<8 { w[row &* 8] = (values[row] &+ half) &>> 11 }
    }
    for row in 0..<8 {
      let w = work + row &* 8
      let out = target + row &* stride
      let values = transform8(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
      let half: Int32 = 1 << 17
      let samples = ((values &+ half) &>> 18) &+ 128
      let bytes = SIMD8<UInt8>(
        truncatingIfNeeded: samples.clamped(lowerBound: .zero, upperBound: .init(repeating: 255)))
      UnsafeMutableRawPointer(out).storeBytes(of: bytes, as: SIMD8<UInt8>.self)
    }
  }
}

/// The same for a block whose other 63 coefficients are zero: one level everywhere.
///
/// - Parameter size: samples per side, 1, 2, 4 or 8.
@inline(__always)
func inverseDCOnly(
  _ coefficient: Int16, _ quant: UnsafePointer<Int32>, into target: UnsafeMutablePointer<UInt8>, stride: Int, size: Int
) {
  let level = (((Int32(coefficient) &* quant[0]) &+ 4) &>> 3) &+ 128
  let byte = UInt8(truncatingIfNeeded: min(max(level, 0), 255))
  if size == 8 {
    let bytes = SIMD8<UInt8>(repeating: byte)
    for row in 0..<8 {
      UnsafeMutableRawPointer(target + row &* stride).storeBytes(of: bytes, as: SIMD8<UInt8>.self)
    }
    return
  }
  for row in 0..<size {
    for column in 0..<size { target[row &* stride &+ column] = byte }
  }
}

/// One 8-point inverse DCT, scaled up by sqrt(8) and 2^13. Wraps where damaged data would overflow.
@inline(__always)
private func transform8(
  _ x0: Int32, _ x1: Int32, _ x2: Int32, _ x3: Int32, _ x4: Int32, _ x5: Int32, _ x6: Int32, _ x7: Int32
) -> SIMD8<Int32> {
  // Constants are round(c * 2^13), named by their value as in the literature.
  let rotated = (x2 &+ x6) &* 4433  // 0.541196100
  let even2 = rotated &- x6 &* 15137  // 1.847759065
  let even3 = rotated &+ x2 &* 6270  // 0.765366865
  let even0 = (x0 &+ x4) &<< 13
  let even1 = (x0 &- x4) &<< 13
  let (a0, a3) = (even0 &+ even3, even0 &- even3)
  let (a1, a2) = (even1 &+ even2, even1 &- even2)

  let common = (x7 &+ x3 &+ x5 &+ x1) &* 9633  // 1.175875602
  let z1 = (x7 &+ x1) &* -7373  // -0.899976223
  let z2 = (x5 &+ x3) &* -20995  // -2.562915447
  let z3 = (x7 &+ x3) &* -16069 &+ common  // -1.961570560
  let z4 = (x5 &+ x1) &* -3196 &+ common  // -0.390180644
  let b0 = x7 &* 2446 &+ z1 &+ z3  // 0.298631336
  let b1 = x5 &* 16819 &+ z2 &+ z4  // 2.053119869
  let b2 = x3 &* 25172 &+ z2 &+ z3  // 3.072711026
  let b3 = x1 &* 12299 &+ z1 &+ z4  // 1.501321110
  return SIMD8(a0 &+ b3, a1 &+ b2, a2 &+ b1, a3 &+ b0, a3 &- b0, a2 &- b1, a1 &- b2, a0 &- b3)
}
