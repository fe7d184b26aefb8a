import OccamKernelContract
import _Builtin_intrinsics.intel

/// One quad of 16 rows as unsigned bytes: rows 0..<8 and 8..<16.
struct Quad {
  let low: __m256i
  let high: __m256i

  @inline(__always)
  init(_ low: __m256i, _ high: __m256i) {
    self.low = low
    self.high = high
  }

  @inline(__always)
  init(line pointer: UnsafeRawPointer) {
    low = pointer.load(as: __m256i.self)
    high = pointer.load(fromByteOffset: 32, as: __m256i.self)
  }

  @inline(__always)
  static var zero: Quad { Quad(_mm256_setzero_si256(), _mm256_setzero_si256()) }

  @inline(__always)
  func store(_ line: UnsafeMutableRawPointer) {
    line.storeBytes(of: low, as: __m256i.self)
    line.storeBytes(of: high, toByteOffset: 32, as: __m256i.self)
  }

  /// Signed bytes 0 and 2 of each row, in 16-bit lanes.
  @inline(__always)
  var evenBytes: Quad {
    Quad(
      _mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8), _mm256_srai_epi16(_mm256_slli_epi16(high, 8), 8))
  }

  /// Signed bytes 1 and 3 of each row, in 16-bit lanes.
  @inline(__always)
  var oddBytes: Quad { Quad(_mm256_srai_epi16(low, 8), _mm256_srai_epi16(high, 8)) }

  @inline(__always)
  static func & (a: Quad, mask: __m256i) -> Quad {
    Quad(_mm256_and_si256(a.low, mask), _mm256_and_si256(a.high, mask))
  }

  @inline(__always)
  static func | (a: Quad, b: Quad) -> Quad {
    Quad(_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high))
  }

  /// 16-bit shifts: what they carry from one byte to the next must be masked away.
  @inline(__always)
  static func << (a: Quad, count: Int32) -> Quad {
    Quad(_mm256_slli_epi16(a.low, count), _mm256_slli_epi16(a.high, count))
  }

  @inline(__always)
  static func >> (a: Quad, count: Int32) -> Quad {
    Quad(_mm256_srli_epi16(a.low, count), _mm256_srli_epi16(a.high, count))
  }
}

extension Quad {
  /// Each byte, 0...15, replaced by the value of that number.
  @inline(__always)
  func choosing(from table: __m256i) -> Quad {
    Quad(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high))
  }
}

/// Sixteen values, once in each half.
@inline(__always)
func table(_ values: SIMD16<Int8>) -> __m256i { _mm256_broadcastsi128_si256(unsafeBitCast(values, to: __m128i.self)) }

/// The two quads of a line of nibbles.
@inline(__always)
func nibbles(_ line: UnsafeRawPointer) -> (even: Quad, odd: Quad) {
  let both = Quad(line: line)
  let mask = _mm256_set1_epi8(15)
  return (both & mask, (both >> 4) & mask)
}

/// The two quads of line `j` of four lines of nibbles with their fifth bits.
@inline(__always)
func fiveBits(_ lines: UnsafeRawPointer, _ j: Int, _ fifths: Quad) -> (even: Quad, odd: Quad) {
  let (even, odd) = nibbles(lines + j &* PanelLayout.line)
  let bit = _mm256_set1_epi8(16)
  // Bits 2 j and 2 j + 1 of each byte to bit 4.
  switch j {
  case 0: return (even | fifths << 4 & bit, odd | fifths << 3 & bit)
  case 1: return (even | fifths << 2 & bit, odd | fifths << 1 & bit)
  case 2: return (even | fifths & bit, odd | fifths >> 1 & bit)
  default: return (even | fifths >> 2 & bit, odd | fifths >> 3 & bit)
  }
}

@inline(__always)
func broadcast(_ pointer: UnsafeRawPointer, _ offset: Int) -> __m256i {
  _mm256_set1_epi32(pointer.loadUnaligned(fromByteOffset: offset, as: Int32.self))
}

@inline(__always)
func broadcastFloat(_ pointer: UnsafeRawPointer, _ offset: Int) -> __m256 {
  _mm256_set1_ps(pointer.loadUnaligned(fromByteOffset: offset, as: Float.self))
}

/// 8 halves -> floats.
@inline(__always)
func floats(halves pointer: UnsafeRawPointer) -> __m256 { _mm256_cvtph_ps(pointer.load(as: __m128i.self)) }

/// 8 bfloat16 -> floats.
@inline(__always)
func floats(brains pointer: UnsafeRawPointer) -> __m256 {
  _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(pointer.load(as: __m128i.self)), 16))
}

/// 16 halves -> floats in memory.
@inline(__always)
func storeScales(_ halves: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
  target.storeBytes(of: floats(halves: halves), as: __m256.self)
  target.storeBytes(of: floats(halves: halves + 16), toByteOffset: 32, as: __m256.self)
}

/// One register of floats for each token and half of the rows.
struct FloatLanes<let n: Int> {
  var low: InlineArray<n, __m256>
  var high: InlineArray<n, __m256>

  @inline(__always)
  init() {
    low = InlineArray(repeating: _mm256_setzero_ps())
    high = InlineArray(repeating: _mm256_setzero_ps())
  }

  /// The results of one group so far.
  @inline(__always)
  init(_ out: UnsafeMutableRawPointer) {
    self.init()
    for t in 0..<n {
      let rows = UnsafeRawPointer(out + t &* (PanelLayout.rows &* 4))
      low[t] = rows.load(as: __m256.self)
      high[t] = rows.load(fromByteOffset: 32, as: __m256.self)
    }
  }

  /// The float work of a block: each token's sums times (weight scale * activation scale), the latter `record` bytes
  /// apart.
  @inline(__always)
  mutating func add(_ sums: Lanes<n>, _ low8: __m256, _ high8: __m256, scale x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let scale = broadcastFloat(x, t &* record)
      low[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.low[t]), _mm256_mul_ps(low8, scale), low[t])
      high[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums.high[t]), _mm256_mul_ps(high8, scale), high[t])
    }
  }

  /// Adds factors times each token's float at `x`, `record` bytes apart.
  @inline(__always)
  mutating func add(_ low8: __m256, _ high8: __m256, times x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let value = broadcastFloat(x, t &* record)
      low[t] = _mm256_fmadd_ps(low8, value, low[t])
      high[t] = _mm256_fmadd_ps(high8, value, high[t])
    }
  }

  @inline(__always)
  mutating func subtract(_ sums: Lanes<n>, _ low8: __m256, _ high8: __m256, scale x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let scale = broadcastFloat(x, t &* record)
      low[t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(sums.low[t]), _mm256_mul_ps(low8, scale), low[t])
      high[t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(sums.high[t]), _mm256_mul_ps(high8, scale), high[t])
    }
  }

  @inline(__always)
  func store(_ out: UnsafeMutableRawPointer) {
    for t in 0..<n {
      let rows = out + t &* (PanelLayout.rows &* 4)
      rows.storeBytes(of: low[t], as: __m256.self)
      rows.storeBytes(of: high[t], toByteOffset: 32, as: __m256.self)
    }
  }
}

/// Adds `count` quads of unpacked lines times as many quads of activations of each token, to the set's own `Lanes`. Two at
/// a time in a loop that the compiler keeps: straight code it reorders until registers no longer suffice.
@inline(__always)
func addQuads(_ lanes: inout Lanes<4>, _ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, count: Int, record: Int) {
  for two in 0..<count / 2 {
    let line = lines + two &* (2 &* PanelLayout.line)
    lanes.add(Quad(line: line), times: x + 8 &* two, record: record)
    lanes.add(Quad(line: line + PanelLayout.line), times: x + (8 &* two &+ 4), record: record)
  }
}
