import OccamKernelContract

// A line (16 rows x 4 columns of bytes) is worked on in quarters: 4 rows, 16 bytes, widened to 16-bit lanes. Products
// are summed in these lanes as long as they fit, then the four lanes of a row are added into 32 bits.

/// 16 bytes of a line, 4 rows x 4 columns, two columns to a lane. Shifts and masks work on both at once; bytes have no
/// shift of their own in SSE2.
typealias Bytes = SIMD8<UInt16>

/// 4 rows x 4 columns: columns 0 and 2 of each row, columns 1 and 3.
struct Lanes {
  var even: SIMD8<Int16>
  var odd: SIMD8<Int16>

  @inline(__always)
  init() {
    even = SIMD8()
    odd = SIMD8()
  }

  @inline(__always)
  init(even: Bytes, odd: Bytes) {
    self.even = SIMD8(truncatingIfNeeded: even)
    self.odd = SIMD8(truncatingIfNeeded: odd)
  }

  @inline(__always)
  init(_ bytes: Bytes) {
    even = SIMD8(truncatingIfNeeded: bytes & 0xff)
    odd = SIMD8(truncatingIfNeeded: bytes &>> 8)
  }

  @inline(__always)
  mutating func add(_ weights: Lanes, times x: Lanes) {
    even &+= weights.even &* x.even
    odd &+= weights.odd &* x.odd
  }

  /// The sum of each row.
  @inline(__always)
  var rows: SIMD4<Int32> { Lanes.pairs(even) &+ Lanes.pairs(odd) }

  @inline(__always)
  private static func pairs(_ lanes: SIMD8<Int16>) -> SIMD4<Int32> {
    let words = unsafeBitCast(lanes, to: SIMD4<Int32>.self)
    return ((words &<< 16) &>> 16) &+ (words &>> 16)
  }
}

/// 32 activations of up to four tokens, each quad of them repeated for four rows: one operand for `Lanes`.
struct WideActivations {
  /// [token][8 quads].
  let quads: UnsafeMutablePointer<Lanes>

  @inline(__always)
  init(_ memory: UnsafeMutableRawPointer) { quads = memory.assumingMemoryBound(to: Lanes.self) }

  static var bytes: Int { 4 * 8 * 32 }

  /// - Parameter source: the quants of token 0; the next token's `stride` bytes further.
  @inline(__always)
  func load(_ source: UnsafeRawPointer, _ stride: Int, _ tokens: Int) {
    for token in 0..<tokens {
      for j in 0..<8 {
        let quad = (source + (token &* stride &+ 4 &* j)).loadUnaligned(as: Int32.self)
        let four = unsafeBitCast(SIMD4(repeating: quad), to: SIMD8<Int16>.self)
        var lanes = Lanes()
        lanes.even = (four &<< 8) &>> 8
        lanes.odd = four &>> 8
        quads[token &* 8 &+ j] = lanes
      }
    }
  }
}

/// Weights of 4 rows, quad by quad: adds `quad(j)` times activations `first + j` to each token's lanes.
@inline(__always)
func accumulate<let n: Int>(
  _ lanes: inout InlineArray<n, Lanes>, _ x: WideActivations, first: Int, count: Int, _ quad: (Int) -> Lanes
) {
  for j in 0..<count {
    let weights = quad(j)
    for token in 0..<n { lanes[token].add(weights, times: x.quads[token &* 8 &+ first &+ j]) }
  }
}

/// The sums of each row.
@inline(__always)
func rows<let n: Int>(_ lanes: InlineArray<n, Lanes>) -> InlineArray<n, SIMD4<Int32>> {
  var sums = InlineArray<n, SIMD4<Int32>>(repeating: SIMD4())
  for token in 0..<n { sums[token] = lanes[token].rows }
  return sums
}

@inline(__always)
func bytes(_ line: UnsafeRawPointer, _ index: Int) -> Bytes {
  line.load(fromByteOffset: index &* PanelLayout.line, as: Bytes.self)
}

/// Quad j of 4 rows from lines of nibbles.
@inline(__always)
func nibbles(_ lines: UnsafeRawPointer, _ j: Int) -> Bytes {
  (bytes(lines, j >> 1) &>> UInt16(truncatingIfNeeded: 4 &* (j & 1))) & 0x0f0f
}

/// Four halves -> floats, exactly. No comparison: SIMD masks of integers become loops over lanes here.
@inline(__always)
func floats(halves bits: SIMD4<UInt16>) -> SIMD4<Float> {
  let wide = SIMD4<Int32>(truncatingIfNeeded: bits)
  let magnitude = (wide & 0x7fff) &<< 13
  // The product moves the exponent's bias from 15 to 127, for subnormal halves too.
  let value = unsafeBitCast(magnitude, to: SIMD4<Float>.self) * 0x1p112
  // All ones for infinities and NaNs, whose exponent is the largest in both formats.
  let special = (0x0f7f_ffff &- magnitude) &>> 31
  let patterns = unsafeBitCast(value, to: SIMD4<Int32>.self) | (special & 0x7f80_0000)
  return unsafeBitCast(patterns | (wide & 0x8000) &<< 16, to: SIMD4<Float>.self)
}

/// Four bfloat16 -> floats.
@inline(__always)
func floats(brains bits: SIMD4<UInt16>) -> SIMD4<Float> {
  unsafeBitCast(SIMD4<UInt32>(truncatingIfNeeded: bits) &<< 16, to: SIMD4<Float>.self)
}

/// Quad j of 4 rows from lines of nibbles and a line of top bits.
@inline(__always)
func fiveBits(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Bytes) -> Bytes {
  nibbles(lines, j) | ((fifths &>> UInt16(truncatingIfNeeded: j)) & 0x0101) &<< 4
}

/// Eight quads of 4 rows, unsigned bytes: as many nibbles of two sums, which fit 16-bit lanes; 15 * 127 * 8 = 15,240.
/// - Parameter nibbles: bits `shift`..<`shift` + 4 of quad j.
@inline(__always)
func accumulateBytes<let n: Int>(
  _ zero: InlineArray<n, Lanes>, _ x: WideActivations, _ nibbles: (_ j: Int, _ shift: UInt16) -> Lanes
) -> InlineArray<n, SIMD4<Int32>> {
  var sums = InlineArray<n, SIMD4<Int32>>(repeating: SIMD4())
  for high in 0..<2 {
    let shift = UInt16(truncatingIfNeeded: 4 &* high)
    var lanes = zero
    accumulate(&lanes, x, first: 0, count: 8) { j in nibbles(j, shift) }
    for token in 0..<n { sums[token] &+= lanes[token].rows &<< Int32(truncatingIfNeeded: shift) }
  }
  return sums
}

/// out += sums * (weightScale * activationScale): the float work of a block for 4 rows of one token.
@inline(__always)
func addScaled(
  _ sums: SIMD4<Int32>, _ weightScale: SIMD4<Float>, _ activationScale: Float, _ out: UnsafeMutablePointer<Float>
) {
  let target = UnsafeMutableRawPointer(out).assumingMemoryBound(to: SIMD4<Float>.self)
  target.pointee += SIMD4<Float>(sums) * (weightScale * activationScale)
}

/// out += values, for 4 rows of one token.
@inline(__always)
func add(_ values: SIMD4<Float>, _ out: UnsafeMutablePointer<Float>) {
  UnsafeMutableRawPointer(out).assumingMemoryBound(to: SIMD4<Float>.self).pointee += values
}

@inline(__always)
func clear(_ out: UnsafeMutablePointer<Float>, _ tokens: Int) {
  for i in 0..<tokens &* PanelLayout.rows { out[i] = 0 }
}
