import OccamKernelContract
import _Builtin_intrinsics.intel

/// One register of sums for each token and half of the rows.
struct Lanes<let n: Int> {
  var low: InlineArray<n, __m256i>
  var high: InlineArray<n, __m256i>

  @inline(__always)
  init() {
    low = InlineArray(repeating: _mm256_setzero_si256())
    high = InlineArray(repeating: _mm256_setzero_si256())
  }

  /// A quad times each token's four activations at `x`, `record` bytes apart, in 16-bit lanes.
  @inline(__always)
  init(_ quad: Quad, times x: UnsafeRawPointer, record: Int) {
    self.init()
    for t in 0..<n {
      let four = broadcast(x, t &* record)
      low[t] = _mm256_maddubs_epi16(quad.low, four)
      high[t] = _mm256_maddubs_epi16(quad.high, four)
    }
  }

  /// Adds a quad times each token's four activations at `x`, `record` bytes apart, in 16-bit lanes.
  @inline(__always)
  mutating func add(_ quad: Quad, times x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let four = broadcast(x, t &* record)
      low[t] = _mm256_add_epi16(low[t], _mm256_maddubs_epi16(quad.low, four))
      high[t] = _mm256_add_epi16(high[t], _mm256_maddubs_epi16(quad.high, four))
    }
  }

  /// Adds a pair of 16-bit factors of each row times each token's pair of numbers at `x`, in 32-bit lanes.
  @inline(__always)
  mutating func add(pairs: Quad, times x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let two = broadcast(x, t &* record)
      low[t] = _mm256_add_epi32(low[t], _mm256_madd_epi16(pairs.low, two))
      high[t] = _mm256_add_epi32(high[t], _mm256_madd_epi16(pairs.high, two))
    }
  }

  /// Adds 16-bit sums times 16-bit factors, pair by pair, in 32-bit lanes.
  @inline(__always)
  mutating func add(_ lanes: Lanes<n>, times factors: Quad) {
    for t in 0..<n {
      low[t] = _mm256_add_epi32(low[t], _mm256_madd_epi16(lanes.low[t], factors.low))
      high[t] = _mm256_add_epi32(high[t], _mm256_madd_epi16(lanes.high[t], factors.high))
    }
  }
}

/// `addQuads` for a block of eight, written out.
@inline(__always)
func eightQuads(_ lines: UnsafeRawPointer, _ x: UnsafeRawPointer, record: Int) -> Lanes<4> {
  var lanes = Lanes<4>(Quad(line: lines), times: x, record: record)
  lanes.add(Quad(line: lines + PanelLayout.line), times: x + 4, record: record)
  lanes.add(Quad(line: lines + 2 &* PanelLayout.line), times: x + 8, record: record)
  lanes.add(Quad(line: lines + 3 &* PanelLayout.line), times: x + 12, record: record)
  lanes.add(Quad(line: lines + 4 &* PanelLayout.line), times: x + 16, record: record)
  lanes.add(Quad(line: lines + 5 &* PanelLayout.line), times: x + 20, record: record)
  lanes.add(Quad(line: lines + 6 &* PanelLayout.line), times: x + 24, record: record)
  lanes.add(Quad(line: lines + 7 &* PanelLayout.line), times: x + 28, record: record)
  return lanes
}
