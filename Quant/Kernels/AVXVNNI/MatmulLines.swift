import OccamKernelContract
import _Builtin_intrinsics.intel

/// One register of 32-bit sums for each token and half of the rows.
struct Lanes<let n: Int> {
  var low: InlineArray<n, __m256i>
  var high: InlineArray<n, __m256i>

  @inline(__always)
  init() {
    low = InlineArray(repeating: _mm256_setzero_si256())
    high = InlineArray(repeating: _mm256_setzero_si256())
  }

  /// Each token's 32-bit number at `x`, `record` bytes apart, in all lanes.
  @inline(__always)
  init(numbers x: UnsafeRawPointer, record: Int) {
    self.init()
    for t in 0..<n {
      low[t] = broadcast(x, t &* record)
      high[t] = low[t]
    }
  }

  /// Adds a quad of unsigned bytes times each token's four activations at `x`, `record` bytes apart.
  @inline(__always)
  mutating func add(_ quad: Quad, times x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let four = broadcast(x, t &* record)
      low[t] = _mm256_dpbusd_avx_epi32(low[t], quad.low, four)
      high[t] = _mm256_dpbusd_avx_epi32(high[t], quad.high, four)
    }
  }

  /// Adds a pair of 16-bit factors of each row times each token's pair of numbers at `x`, `record` bytes apart.
  @inline(__always)
  mutating func add(pairs: Quad, times x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let two = broadcast(x, t &* record)
      low[t] = _mm256_dpwssd_avx_epi32(low[t], pairs.low, two)
      high[t] = _mm256_dpwssd_avx_epi32(high[t], pairs.high, two)
    }
  }

  /// Adds sums times 32-bit factors.
  @inline(__always)
  mutating func add(_ sums: Lanes<n>, times factors: Quad) {
    for t in 0..<n {
      low[t] = _mm256_add_epi32(low[t], _mm256_mullo_epi32(sums.low[t], factors.low))
      high[t] = _mm256_add_epi32(high[t], _mm256_mullo_epi32(sums.high[t], factors.high))
    }
  }
}

extension Quad {
  /// The same in all bytes.
  @inline(__always)
  init(repeating byte: Int8) { self.init(_mm256_set1_epi8(byte), _mm256_set1_epi8(byte)) }

  @inline(__always)
  static func ^ (a: Quad, b: Quad) -> Quad {
    Quad(_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high))
  }

  @inline(__always)
  func addingBytes(_ b: Quad) -> Quad { Quad(_mm256_add_epi8(low, b.low), _mm256_add_epi8(high, b.high)) }

  /// 16 unsigned bytes in 32-bit lanes.
  @inline(__always)
  init(unsigned bytes: UnsafeRawPointer) {
    @inline(__always)
    func eight(_ offset: Int) -> __m256i {
      _mm256_cvtepu8_epi32(_mm_set_epi64x(0, bytes.load(fromByteOffset: offset, as: Int64.self)))
    }
    self.init(eight(0), eight(8))
  }

  /// Of each row's two signed 16-bit numbers the first and the second, in 32-bit lanes.
  @inline(__always)
  var widened: (first: Quad, second: Quad) {
    (
      Quad(_mm256_srai_epi32(_mm256_slli_epi32(low, 16), 16), _mm256_srai_epi32(_mm256_slli_epi32(high, 16), 16)),
      Quad(_mm256_srai_epi32(low, 16), _mm256_srai_epi32(high, 16))
    )
  }
}
