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

/// Pieces of 64 columns are unpacked to floats.
enum TileFloats<Format: FloatFormat>: TileKernel {
  @inline(__always) static var columns: Int { 1 }
  @inline(__always) static var recordBytes: Int { 4 }
  @inline(__always) static var blockBytes: Int { PanelLayout.rows &* Format.bytes }
  @inline(__always) static var pieceBlocks: Int { 64 }
  @inline(__always) static var unpackedBytes: Int { PanelLayout.rows &* 4 }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var sums = FloatLanes<1>()
    for column in 0..<blocks {
      let place = panel + column &* blockBytes
      let value = broadcastFloat(x, column &* 16)
      sums.low[0] = _mm256_fmadd_ps(Format.eight(place), value, sums.low[0])
      sums.high[0] = _mm256_fmadd_ps(Format.eight(place + 8 &* Format.bytes), value, sums.high[0])
    }
    sums.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    target.storeBytes(of: Format.eight(block), as: __m256.self)
    target.storeBytes(of: Format.eight(block + 8 &* Format.bytes), toByteOffset: 32, as: __m256.self)
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var sums = FloatLanes<4>(out)
    for column in 0..<blocks {
      let place = weights + column &* unpackedBytes
      let (low, high) = (place.load(as: __m256.self), place.load(fromByteOffset: 32, as: __m256.self))
      for t in 0..<4 {
        let value = broadcastFloat(x + column &* 16, t &* 4)
        sums.low[t] = _mm256_fmadd_ps(low, value, sums.low[t])
        sums.high[t] = _mm256_fmadd_ps(high, value, sums.high[t])
      }
    }
    sums.store(out)
  }
}
