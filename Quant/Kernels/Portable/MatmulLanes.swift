import OccamKernelContract

// A line (16 rows x 4 columns of bytes) is worked on in quarters: 4 rows, 16 bytes, widened to 16-bit lanes. Products
// are summed in these lanes as long as they fit, then the four lanes of a row are added into 32 bits.

/// 4 rows x 4 columns.
struct Lanes {
  var low: SIMD8<Int16>
  var high: SIMD8<Int16>

  @inline(__always)
  init() {
    low = SIMD8()
    high = SIMD8()
  }

  @inline(__always)
  init(_ bytes: SIMD16<UInt8>) {
    low = SIMD8(truncatingIfNeeded: bytes.lowHalf)
    high = SIMD8(truncatingIfNeeded: bytes.highHalf)
  }

  @inline(__always)
  mutating func add(_ weights: Lanes, times x: SIMD8<Int16>) {
    low &+= weights.low &* x
    high &+= weights.high &* x
  }

  /// The sum of each row.
  @inline(__always)
  var rows: SIMD4<Int32> {
    let both = SIMD8(lowHalf: Lanes.pairs(low), highHalf: Lanes.pairs(high))
    return both.evenHalf &+ both.oddHalf
  }

  @inline(__always)
  private static func pairs(_ lanes: SIMD8<Int16>) -> SIMD4<Int32> {
    let words = unsafeBitCast(lanes, to: SIMD4<Int32>.self)
    return ((words &<< 16) &>> 16) &+ (words &>> 16)
  }
}

/// 32 activations of up to four tokens, each quad of them as 16-bit lanes twice over: one operand for `Lanes`.
struct WideActivations {
  /// [token][8 quads].
  let quads: UnsafeMutablePointer<SIMD8<Int16>>

  @inline(__always)
  init(_ memory: UnsafeMutableRawPointer) { quads = memory.assumingMemoryBound(to: SIMD8<Int16>.self) }

  static var bytes: Int { 4 * 8 * 16 }

  /// - Parameter source: the quants of token 0; the next token's `stride` bytes further.
  @inline(__always)
  func load(_ source: UnsafeRawPointer, _ stride: Int, _ tokens: Int) {
    for token in 0..<tokens {
      for j in 0..<8 {
        let quad = (source + (token &* stride &+ 4 &* j)).loadUnaligned(as: SIMD4<Int8>.self)
        let wide = SIMD4<Int16>(truncatingIfNeeded: quad)
        quads[token &* 8 &+ j] = SIMD8(lowHalf: wide, highHalf: wide)
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

/// Quad j of 4 rows from lines of nibbles.
@inline(__always)
func nibbles(_ lines: UnsafeRawPointer, _ j: Int) -> SIMD16<UInt8> {
  let bytes = lines.load(fromByteOffset: (j >> 1) &* PanelLayout.line, as: SIMD16<UInt8>.self)
  return (bytes &>> UInt8(truncatingIfNeeded: 4 &* (j & 1))) & 15
}

/// Four halves -> floats, exactly.
@inline(__always)
func floats(halves bits: SIMD4<UInt16>) -> SIMD4<Float> {
  let wide = SIMD4<UInt32>(truncatingIfNeeded: bits)
  let magnitude = (wide & 0x7fff) &<< 13
  // The product moves the exponent's bias from 15 to 127, for subnormal halves too.
  var value = unsafeBitCast(unsafeBitCast(magnitude, to: SIMD4<Float>.self) * 0x1p112, to: SIMD4<UInt32>.self)
  value.replace(with: magnitude | 0x7f80_0000, where: magnitude .>= 0x0f80_0000)
  return unsafeBitCast(value | (wide & 0x8000) &<< 16, to: SIMD4<Float>.self)
}

/// out += sums * (weightScale * activationScale): the float work of a block for 4 rows of one token.
@inline(__always)
func addScaled(
  _ sums: SIMD4<Int32>, _ weightScale: SIMD4<Float>, _ activationScale: Float, _ out: UnsafeMutablePointer<Float>
) {
  let target = UnsafeMutableRawPointer(out).assumingMemoryBound(to: SIMD4<Float>.self)
  target.pointee += SIMD4<Float>(sums) * (weightScale * activationScale)
}

@inline(__always)
func clear(_ out: UnsafeMutablePointer<Float>, _ tokens: Int) {
  for i in 0..<tokens &* PanelLayout.rows { out[i] = 0 }
}
