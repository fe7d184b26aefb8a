import OccamKernelContract
import _Builtin_intrinsics.intel

/// The arguments of `MatmulKernels.Tile` that these kernels use; a tile is one group of tokens.
struct TileArguments {
  let panel: UnsafeRawPointer
  let x: UnsafeRawPointer
  let columns: Int
  let out: UnsafeMutablePointer<Float>
}

/// A marker: `n` tokens.
struct Tokens<let n: Int> {}

protocol TileKernel {
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type)
}

/// Compiles `kernel` once for each number of tokens; a token's own operations are the same in each.
@inline(__always)
func runTile<K: TileKernel>(_ kernel: K.Type, _ a: TileArguments, tokens: Int) {
  switch tokens {
  case 1: kernel.run(a, Tokens<1>.self)
  case 2: kernel.run(a, Tokens<2>.self)
  case 3: kernel.run(a, Tokens<3>.self)
  default: kernel.run(a, Tokens<4>.self)
  }
}

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

/// The two quads of a line of nibbles.
@inline(__always)
func nibbles(_ line: UnsafeRawPointer) -> (even: Quad, odd: Quad) {
  let both = Quad(line: line)
  let mask = _mm256_set1_epi8(15)
  return (both & mask, (both >> 4) & mask)
}

/// One register of sums for each token and half of the rows.
struct Lanes<let n: Int> {
  var low: InlineArray<n, __m256i>
  var high: InlineArray<n, __m256i>

  @inline(__always)
  init() {
    low = InlineArray(repeating: _mm256_setzero_si256())
    high = InlineArray(repeating: _mm256_setzero_si256())
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

/// One register of floats for each token and half of the rows.
struct FloatLanes<let n: Int> {
  var low: InlineArray<n, __m256>
  var high: InlineArray<n, __m256>

  @inline(__always)
  init() {
    low = InlineArray(repeating: _mm256_setzero_ps())
    high = InlineArray(repeating: _mm256_setzero_ps())
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

  @inline(__always)
  mutating func subtract(_ sums: Lanes<n>, _ low8: __m256, _ high8: __m256, scale x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let scale = broadcastFloat(x, t &* record)
      low[t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(sums.low[t]), _mm256_mul_ps(low8, scale), low[t])
      high[t] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(sums.high[t]), _mm256_mul_ps(high8, scale), high[t])
    }
  }

  @inline(__always)
  func store(_ out: UnsafeMutablePointer<Float>) {
    for t in 0..<n {
      let rows = UnsafeMutableRawPointer(out + t &* PanelLayout.rows)
      rows.storeBytes(of: low[t], as: __m256.self)
      rows.storeBytes(of: high[t], toByteOffset: 32, as: __m256.self)
    }
  }
}
