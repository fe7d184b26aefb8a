import OccamCore

/// The coefficients of one macroblock, read and transformed back to differences (RFC 6386, sections 13 and 14).
struct VP8Residuals {
  /// 16 luma blocks, 4 of U and 4 of V, 16 coefficients each in natural order.
  let coefficients = AlignedBuffer<Int16>(count: 24 * 16)
  /// Whether any block has a coefficient.
  private(set) var isEmpty = true

  /// What the blocks beside and above had: bit 0...3 luma, 4...5 U, 6...7 V, 8 the luma averages.
  struct Context {
    var bits = 0
    /// A macroblock without coefficients leaves the state of the averages alone if it has none.
    mutating func clear(averages: Bool) { bits &= averages ? 0 : 0x100 }
  }

  mutating func clear() {
    if !isEmpty { coefficients.buffer.update(repeating: 0) }
    isEmpty = true
  }

  mutating func read(
    _ reader: inout VP8BoolDecoder, _ probabilities: UnsafePointer<UInt8>, _ steps: VP8Quantiser, subblocks: Bool,
    above: inout Context, left: inout Context
  ) {
    let out = coefficients.pointer
    var any = false
    var first = 0
    if !subblocks {
      first = 1
      any = readAverages(&reader, probabilities, steps, &above, &left)
    }
    @inline(__always)
    func block(_ number: Int, _ type: Int, _ steps: SIMD2<Int32>, _ first: Int, _ x: Int, _ y: Int) {
      let context = (above.bits >> x & 1) + (left.bits >> y & 1)
      let target = out + number &* 16
      let end = readBlock(&reader, probabilities + type &* 264, context, steps, first, target)
      let bit = end > first ? 1 : 0
      above.bits = above.bits & ~(1 << x) | bit << x
      left.bits = left.bits & ~(1 << y) | bit << y
      any = any || bit == 1
    }
    for y in 0..<4 {
      for x in 0..<4 { block(y * 4 + x, subblocks ? 3 : 0, steps.luma, first, x, y) }
    }
    for plane in 0..<2 {
      for y in 0..<2 {
        for x in 0..<2 {
          let place = 4 + 2 * plane
          block(16 + 4 * plane + 2 * y + x, 2, steps.chroma, 0, place + x, place + y)
        }
      }
    }
    isEmpty = !any
  }

  /// The averages of the 16 luma blocks, sent as a block of their own and spread by a Walsh-Hadamard transform.
  /// - Returns: whether any is not zero.
  private func readAverages(
    _ reader: inout VP8BoolDecoder, _ probabilities: UnsafePointer<UInt8>, _ steps: VP8Quantiser,
    _ above: inout Context, _ left: inout Context
  ) -> Bool {
    var storage = SIMD16<Int16>(repeating: 0)
    return withUnsafeMutableBytes(of: &storage) { raw in
      guard let block = raw.baseAddress?.assumingMemoryBound(to: Int16.self) else { return false }
      let context = (above.bits >> 8 & 1) + (left.bits >> 8 & 1)
      let end = readBlock(&reader, probabilities + 264, context, steps.averages, 0, block)
      let bit = end > 0 ? 0x100 : 0
      above.bits = above.bits & ~0x100 | bit
      left.bits = left.bits & ~0x100 | bit
      guard end > 0 else { return false }
      return inverseWalshHadamard(block, coefficients.pointer)
    }
  }

  /// Reads tokens until the end of a block.
  /// - Parameter probabilities: of the block's type.
  /// - Returns: one past the last coefficient, in zigzag order.
  @inline(__always)
  private func readBlock(
    _ reader: inout VP8BoolDecoder, _ probabilities: UnsafePointer<UInt8>, _ context: Int, _ steps: SIMD2<Int32>,
    _ first: Int, _ out: UnsafeMutablePointer<Int16>
  ) -> Int {
    let bands = VP8Tables.bands.pointer
    let zigzag = VP8Tables.zigzag.pointer
    var n = first
    var p = probabilities + (Int(bands[n]) &* 33 &+ context &* 11)
    while n < 16 {
      if !reader.bit(p[0]) { return n }
      while !reader.bit(p[1]) {
        n &+= 1
        if n == 16 { return 16 }
        p = probabilities + Int(bands[n]) &* 33
      }
      let next = probabilities + Int(bands[n &+ 1]) &* 33
      var value: Int32 = 1
      if reader.bit(p[2]) {
        value = largeValue(&reader, p)
        p = next + 22
      } else {
        p = next + 11
      }
      if reader.bit(128) { value = 0 &- value }
      out[Int(zigzag[n])] = Int16(truncatingIfNeeded: value &* steps[n > 0 ? 1 : 0])
      n &+= 1
    }
    return 16
  }

  @inline(never)
  private func largeValue(_ reader: inout VP8BoolDecoder, _ p: UnsafePointer<UInt8>) -> Int32 {
    func bit(_ probability: UInt8) -> Int32 { reader.bit(probability) ? 1 : 0 }
    if !reader.bit(p[3]) {
      return reader.bit(p[4]) ? 3 + bit(p[5]) : 2
    }
    if !reader.bit(p[6]) {
      if !reader.bit(p[7]) { return 5 + bit(159) }
      let high = 2 * bit(165)
      return 7 + high + bit(145)
    }
    let high = Int(bit(p[8]))
    let category = 2 * high + Int(bit(p[9 + high]))
    var value: Int32 = 0
    var extra = VP8Tables.largeTokens.pointer + 12 * category
    while extra[0] != 0 {
      value = 2 * value + bit(extra[0])
      extra += 1
    }
    return value + 3 + 8 << category
  }
}

/// Section 14.3. Writes the DC coefficient of 16 blocks of 16.
/// - Returns: whether any is not zero.
private func inverseWalshHadamard(_ block: UnsafePointer<Int16>, _ out: UnsafeMutablePointer<Int16>) -> Bool {
  var rows = [Int32](repeating: 0, count: 16)
  for i in 0..<4 {
    let (x0, x1, x2, x3) = (Int32(block[i]), Int32(block[4 + i]), Int32(block[8 + i]), Int32(block[12 + i]))
    let (a, b, c, d) = (x0 &+ x3, x1 &+ x2, x1 &- x2, x0 &- x3)
    (rows[i], rows[4 + i], rows[8 + i], rows[12 + i]) = (a &+ b, d &+ c, a &- b, d &- c)
  }
  var any = false
  for i in 0..<4 {
    let base = 4 * i
    let level = rows[base] &+ 3
    let (a, b) = (level &+ rows[base + 3], rows[base + 1] &+ rows[base + 2])
    let (c, d) = (rows[base + 1] &- rows[base + 2], level &- rows[base + 3])
    for (column, value) in [a &+ b, d &+ c, a &- b, d &- c].enumerated() {
      let average = Int16(truncatingIfNeeded: value >> 3)
      out[(base + column) * 16] = average
      any = any || average != 0
    }
  }
  return any
}

/// Section 14.4: adds the inverse DCT of a block of 4 x 4 to the samples at `out`.
func addInverseDCT4(_ block: UnsafePointer<Int16>, _ out: UnsafeMutablePointer<UInt8>, stride: Int) {
  // cos(pi / 8) sqrt(2) - 1 and sin(pi / 8) sqrt(2), 16 bits behind the point.
  @inline(__always)
  func cosine(_ x: Int32) -> Int32 { (x &* 20091) &>> 16 &+ x }
  @inline(__always)
  func sine(_ x: Int32) -> Int32 { (x &* 35468) &>> 16 }
  @inline(__always)
  func transform(_ x: SIMD4<Int32>) -> SIMD4<Int32> {
    let (a, b) = (x[0] &+ x[2], x[0] &- x[2])
    let (c, d) = (sine(x[1]) &- cosine(x[3]), cosine(x[1]) &+ sine(x[3]))
    return SIMD4(a &+ d, b &+ c, b &- c, a &- d)
  }
  func column(_ i: Int) -> SIMD4<Int32> {
    transform(SIMD4(Int32(block[i]), Int32(block[4 &+ i]), Int32(block[8 &+ i]), Int32(block[12 &+ i])))
  }
  let columns = (column(0), column(1), column(2), column(3))
  for y in 0..<4 {
    let row = transform(SIMD4(columns.0[y] &+ 4, columns.1[y], columns.2[y], columns.3[y])) &>> 3
    let line = out + y &* stride
    for x in 0..<4 {
      line[x] = UInt8(truncatingIfNeeded: min(max(Int32(line[x]) &+ row[x], 0), 255))
    }
  }
}
