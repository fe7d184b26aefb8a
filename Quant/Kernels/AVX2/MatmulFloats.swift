import OccamKernelContract
import _Builtin_intrinsics.intel

/// A stored weight format: eight rows of a column as floats.
protocol FloatFormat: SendableMetatype {
  static var bytes: Int { get }
  static func eight(_ pointer: UnsafeRawPointer) -> __m256
}

enum FormatF32: FloatFormat {
  @inline(__always)
  static var bytes: Int { 4 }

  @inline(__always)
  static func eight(_ pointer: UnsafeRawPointer) -> __m256 { pointer.load(as: __m256.self) }
}

enum FormatF16: FloatFormat {
  @inline(__always)
  static var bytes: Int { 2 }

  @inline(__always)
  static func eight(_ pointer: UnsafeRawPointer) -> __m256 { floats(halves: pointer) }
}

enum FormatBF16: FloatFormat {
  @inline(__always)
  static var bytes: Int { 2 }

  @inline(__always)
  static func eight(_ pointer: UnsafeRawPointer) -> __m256 {
    floats(brains: pointer)
  }
}

/// A single token multiplies with the panel as it is; several pass, six by six, a piece of the panel that is converted
/// once for all of them: twelve sums in flight hide a multiply-add's latency.
@inline(__always)
func runFloatTile<Format: FloatFormat>(_ format: Format.Type, _ a: TileArguments) {
  if a.tokens == 1 {
    singleFloats(format, a)
  } else {
    severalFloats(format, a)
  }
}

@inline(__always)
private func singleFloats<Format: FloatFormat>(_ format: Format.Type, _ a: TileArguments) {
  let columnBytes = PanelLayout.rows &* Format.bytes
  var sums = FloatLanes<1>()
  for column in 0..<a.columns {
    let place = a.panel + column &* columnBytes
    prefetchWeights(place, lines: 1)
    let value = broadcastFloat(a.x, column &* 4)
    sums.low[0] = _mm256_fmadd_ps(Format.eight(place), value, sums.low[0])
    sums.high[0] = _mm256_fmadd_ps(Format.eight(place + 8 &* Format.bytes), value, sums.high[0])
  }
  sums.store(UnsafeMutableRawPointer(a.out))
}

/// A function of its own: the loop of a single token would lose registers to it.
@inline(never)
private func severalFloats<Format: FloatFormat>(_ format: Format.Type, _ a: TileArguments) {
  let columnBytes = PanelLayout.rows &* Format.bytes
  let stride = ActivationLayout.floatStride(a.groupStride)
  let out = UnsafeMutableRawPointer(a.out)
  for i in 0..<a.tokens &* 2 { out.storeBytes(of: _mm256_setzero_ps(), toByteOffset: i &* 32, as: __m256.self) }
  let unpacked = out + TileLimits.tokens &* (PanelLayout.rows &* 4)
  var first = 0
  while first < a.columns {
    let count = min(64, a.columns &- first)
    for column in 0..<count {
      let place = a.panel + (first &+ column) &* columnBytes
      prefetchWeights(place, lines: (columnBytes &+ 63) / 64)
      let target = unpacked + column &* (PanelLayout.rows &* 4)
      target.storeBytes(of: Format.eight(place), as: __m256.self)
      target.storeBytes(of: Format.eight(place + 8 &* Format.bytes), toByteOffset: 32, as: __m256.self)
    }
    addFloatPiece(FloatPiece(weights: unpacked, x: a.x + first &* 4, stride: stride, columns: count), a.tokens, out)
    first &+= count
  }
}

/// Converted weights, and the first token's activations from their first column on.
private struct FloatPiece {
  let weights: UnsafeMutableRawPointer
  let x: UnsafeRawPointer
  /// Bytes between tokens.
  let stride: Int
  let columns: Int

  /// Adds the products of `n` tokens from `token` on to out [tokens][16].
  @inline(__always)
  func add<let n: Int>(_ tokens: FloatLanes<n>.Type, from token: Int, _ out: UnsafeMutableRawPointer) {
    let rows = out + token &* (PanelLayout.rows &* 4)
    var sums = FloatLanes<n>(rows)
    var x = x + token &* stride
    var place = UnsafeRawPointer(weights)
    for _ in 0..<columns {
      let (low, high) = (place.load(as: __m256.self), place.load(fromByteOffset: 32, as: __m256.self))
      for t in 0..<n {
        let value = broadcastFloat(x, t &* stride)
        sums.low[t] = _mm256_fmadd_ps(low, value, sums.low[t])
        sums.high[t] = _mm256_fmadd_ps(high, value, sums.high[t])
      }
      x += 4
      place += PanelLayout.rows &* 4
    }
    sums.store(rows)
  }
}

/// Once for all formats.
@inline(never)
private func addFloatPiece(_ piece: FloatPiece, _ tokens: Int, _ out: UnsafeMutableRawPointer) {
  var token = 0
  while token &+ 6 <= tokens {
    piece.add(FloatLanes<6>.self, from: token, out)
    token &+= 6
  }
  switch tokens &- token {
  case 1: piece.add(FloatLanes<1>.self, from: token, out)
  case 2: piece.add(FloatLanes<2>.self, from: token, out)
  case 3: piece.add(FloatLanes<3>.self, from: token, out)
  case 4: piece.add(FloatLanes<4>.self, from: token, out)
  case 5: piece.add(FloatLanes<5>.self, from: token, out)
  default: break
  }
}
