import OccamKernelContract
import _Builtin_intrinsics.intel

enum TileF32: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    floatTile(a, tokens, groups, 4) { $0.load(as: __m512.self) }
  }
}

enum TileF16: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    floatTile(a, tokens, groups, 2) { floats(halves: $0) }
  }
}

enum TileBF16: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int) {
    floatTile(a, tokens, groups, 2) {
      let wide = _mm512_cvtepu16_epi32($0.load(as: __m256i.self))
      return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))
    }
  }
}

/// - Parameters:
///   - size: bytes of a weight.
///   - weights: a column of 16 rows as floats.
@inline(__always)
private func floatTile<let n: Int>(
  _ a: TileArguments, _ tokens: Tokens<n>.Type, _ groups: Int, _ size: Int, _ weights: (UnsafeRawPointer) -> __m512
) {
  let stride = ActivationLayout.floatStride(a.groupStride)
  var sums = Tile<n, __m512>(repeating: _mm512_setzero_ps())
  for column in 0..<a.columns {
    let place = a.panel + column &* (PanelLayout.rows &* size)
    prefetchWeights(place, lines: 1)
    let w = weights(place)
    sums.update(groups, a.x + column &* 4, a.groupStride, record: stride) { sum, x, _ in
      _mm512_fmadd_ps(w, broadcastFloat(x, 0), sum)
    }
  }
  sums.forEach(groups) { store($0, a.out, $1) }
}
