import OccamCore

/// Prediction modes of whole blocks (RFC 6386, section 12.2), numbered as those of `VP8SubblockMode`.
enum VP8BlockMode: UInt8 { case average = 0, trueMotion = 1, vertical = 2, horizontal = 3 }

/// Prediction modes of 4 x 4 subblocks (section 12.3). A whole block counts as the subblock mode of its number for its
/// neighbours.
enum VP8SubblockMode: UInt8 {
  case average = 0, trueMotion, vertical, horizontal, downRight, verticalRight, downLeft, verticalLeft, horizontalDown,
    horizontalUp
}

/// One plane of a frame, whole macroblocks, with the samples that stand in for those outside: a row above of 127 and a
/// column to the left of 129. Their corner is 127 in the row above, 129 below.
struct VP8Plane {
  let stride: Int
  let rows: Int
  private let buffer: AlignedBuffer<UInt8>
  /// Sample (0, 0).
  let origin: UnsafeMutablePointer<UInt8>

  /// Samples left of each row, and beyond the last column for subblocks that look up and to the right.
  private static let margin = 16

  init(width: Int, rows: Int) {
    stride = width + 2 * Self.margin
    self.rows = rows
    buffer = AlignedBuffer(count: (rows + 1) * stride, zeroed: false)
    origin = buffer.pointer + stride + Self.margin
    buffer.buffer.update(repeating: 129)
    buffer.pointer.update(repeating: 127, count: stride)
  }
}

/// Predicts a square of 16 or 8 samples from the row above and the column to the left.
func predictBlock(
  _ out: UnsafeMutablePointer<UInt8>, stride: Int, size: Int, mode: VP8BlockMode, hasAbove: Bool, hasLeft: Bool
) {
  let above = out - stride
  switch mode {
  case .average:
    var sum = 0
    if hasAbove { for x in 0..<size { sum += Int(above[x]) } }
    if hasLeft { for y in 0..<size { sum += Int(out[y * stride - 1]) } }
    let count = (hasAbove ? size : 0) + (hasLeft ? size : 0)
    let level = count == 0 ? 128 : UInt8(truncatingIfNeeded: (sum + count / 2) / count)
    for y in 0..<size { (out + y * stride).update(repeating: level, count: size) }
  case .trueMotion: predictTrueMotion(out, stride: stride, size: size)
  case .vertical: for y in 0..<size { (out + y * stride).update(from: above, count: size) }
  case .horizontal:
    for y in 0..<size { (out + y * stride).update(repeating: out[y * stride - 1], count: size) }
  }
}

private func predictTrueMotion(_ out: UnsafeMutablePointer<UInt8>, stride: Int, size: Int) {
  let above = out - stride
  let corner = Int32(above[-1])
  for y in 0..<size {
    let line = out + y &* stride
    let step = Int32(line[-1]) &- corner
    for x in 0..<size { line[x] = UInt8(truncatingIfNeeded: min(max(Int32(above[x]) &+ step, 0), 255)) }
  }
}

/// Predicts a subblock.
/// - Parameter aboveRight: the four samples right of the row above.
func predictSubblock(
  _ out: UnsafeMutablePointer<UInt8>, stride: Int, mode: VP8SubblockMode, aboveRight: UnsafePointer<UInt8>
) {
  let above = out - stride
  /// The edge from the lower left over the corner (number 4) to the upper right, as the standard numbers it.
  var edge = SIMD16<Int32>.zero
  for i in 0..<4 {
    edge[i] = Int32(out[(3 - i) &* stride - 1])
    edge[5 + i] = Int32(above[i])
    edge[9 + i] = Int32(aboveRight[i])
  }
  edge[4] = Int32(above[-1])
  @inline(__always)
  func mean2(_ i: Int) -> UInt8 { UInt8(truncatingIfNeeded: (edge[i] &+ edge[i &+ 1] &+ 1) &>> 1) }
  /// Weighted 1, 2, 1 around `i`.
  @inline(__always)
  func mean3(_ i: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: (edge[i &- 1] &+ 2 &* edge[i] &+ edge[i &+ 1] &+ 2) &>> 2)
  }
  @inline(__always)
  func set(_ value: UInt8, _ x: Int, _ y: Int) { out[y &* stride &+ x] = value }
  /// The lower left sample repeated where it has no neighbour below.
  @inline(__always)
  func lowest() -> UInt8 { UInt8(truncatingIfNeeded: (edge[1] &+ 3 &* edge[0] &+ 2) &>> 2) }
  switch mode {
  case .average:
    var sum: Int32 = 4
    for i in 0..<4 { sum &+= edge[i] &+ edge[5 &+ i] }
    for y in 0..<4 { (out + y &* stride).update(repeating: UInt8(truncatingIfNeeded: sum &>> 3), count: 4) }
  case .trueMotion: predictTrueMotion(out, stride: stride, size: 4)
  case .vertical:
    for x in 0..<4 {
      let value = mean3(5 &+ x)
      for y in 0..<4 { out[y &* stride &+ x] = value }
    }
  case .horizontal:
    for y in 0..<4 { (out + y &* stride).update(repeating: y == 3 ? lowest() : mean3(3 &- y), count: 4) }
  case .downRight:
    for y in 0..<4 { for x in 0..<4 { out[y &* stride &+ x] = mean3(4 &+ x &- y) } }
  case .downLeft:
    for y in 0..<4 { for x in 0..<4 where x + y < 6 { out[y &* stride &+ x] = mean3(6 &+ x &+ y) } }
    set(UInt8(truncatingIfNeeded: (edge[11] &+ 3 &* edge[12] &+ 2) &>> 2), 3, 3)
  case .verticalRight:
    for x in 0..<4 { set(mean2(4 + x), x, 0) }
    for x in 0..<3 { set(mean2(4 + x), x + 1, 2) }
    for x in 0..<4 { set(mean3(4 + x), x, 1) }
    for x in 0..<3 { set(mean3(4 + x), x + 1, 3) }
    set(mean3(3), 0, 2)
    set(mean3(2), 0, 3)
  case .verticalLeft:
    for x in 0..<4 {
      set(mean2(5 + x), x, 0)
      set(mean3(6 + x), x, 1)
    }
    for x in 0..<3 {
      set(mean2(6 + x), x, 2)
      set(mean3(7 + x), x, 3)
    }
    // The lower right corner does not follow the pattern.
    set(mean3(10), 3, 2)
    set(mean3(11), 3, 3)
  case .horizontalDown:
    for y in 0..<4 {
      set(mean2(3 - y), 0, y)
      set(mean3(4 - y), 1, y)
    }
    for y in 1..<4 {
      set(mean2(4 - y), 2, y)
      set(mean3(5 - y), 3, y)
    }
    set(mean3(5), 2, 0)
    set(mean3(6), 3, 0)
  case .horizontalUp:
    set(mean2(2), 0, 0)
    set(mean3(2), 1, 0)
    set(mean2(1), 2, 0)
    set(mean2(1), 0, 1)
    set(mean3(1), 3, 0)
    set(mean3(1), 1, 1)
    set(mean2(0), 2, 1)
    set(mean2(0), 0, 2)
    set(lowest(), 3, 1)
    set(lowest(), 1, 2)
    set(UInt8(truncatingIfNeeded: edge[0]), 2, 2)
    set(UInt8(truncatingIfNeeded: edge[0]), 3, 2)
    set(UInt8(truncatingIfNeeded: edge[0]), 0, 3)
    set(UInt8(truncatingIfNeeded: edge[0]), 1, 3)
    set(UInt8(truncatingIfNeeded: edge[0]), 2, 3)
    set(UInt8(truncatingIfNeeded: edge[0]), 3, 3)
  }
}
