import OccamKernelContract
import _Builtin_intrinsics.intel

/// A stored weight format: eight rows of a column as floats.
protocol FloatFormat {
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
    _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(pointer.load(as: __m128i.self)), 16))
  }
}

enum TileFloats<Format: FloatFormat>: TileKernel {
  @inline(__always)
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type) {
    var out = FloatLanes<n>()
    for column in 0..<a.columns {
      let place = a.panel + column &* (PanelLayout.rows &* Format.bytes)
      if n > 1 { prefetchWeights(place, lines: 1) }
      let (low, high) = (Format.eight(place), Format.eight(place + 8 &* Format.bytes))
      for t in 0..<n {
        let x = broadcastFloat(a.x + column &* 16, t &* 4)
        out.low[t] = _mm256_fmadd_ps(low, x, out.low[t])
        out.high[t] = _mm256_fmadd_ps(high, x, out.high[t])
      }
    }
    out.store(a.out)
  }
}
