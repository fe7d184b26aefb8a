import OccamKernelContract

/// A stored weight format: four rows of a column as floats.
protocol FloatFormat: SendableMetatype {
  static var bytes: Int { get }
  static func four(_ pointer: UnsafeRawPointer) -> SIMD4<Float>
}

enum FormatF32: FloatFormat {
  @inline(__always) static var bytes: Int { 4 }

  @inline(__always)
  static func four(_ pointer: UnsafeRawPointer) -> SIMD4<Float> { pointer.load(as: SIMD4<Float>.self) }
}

enum FormatF16: FloatFormat {
  @inline(__always) static var bytes: Int { 2 }

  @inline(__always)
  static func four(_ pointer: UnsafeRawPointer) -> SIMD4<Float> {
    floats(halves: pointer.load(as: SIMD4<UInt16>.self))
  }
}

enum FormatBF16: FloatFormat {
  @inline(__always) static var bytes: Int { 2 }

  @inline(__always)
  static func four(_ pointer: UnsafeRawPointer) -> SIMD4<Float> {
    floats(brains: pointer.load(as: SIMD4<UInt16>.self))
  }
}

@inline(__always)
func runFloatTile<Format: FloatFormat>(_ format: Format.Type, _ a: TileArguments) {
  if a.tokens == 1 {
    floatRows(format, a, InlineArray<1, SIMD4<Float>>(repeating: SIMD4()))
  } else {
    floatRows(format, a, InlineArray<4, SIMD4<Float>>(repeating: SIMD4()))
  }
}

@inline(__always)
private func floatRows<Format: FloatFormat, let n: Int>(
  _: Format.Type, _ a: TileArguments, _ zero: InlineArray<n, SIMD4<Float>>
) {
  let stride = ActivationLayout.floatStride(a.groupStride)
  for half in 0..<2 {
    var (first, second) = (zero, zero)
    for column in 0..<a.columns {
      let weights = a.panel + (column &* 16 &+ half &* 8) &* Format.bytes
      let (low, high) = (Format.four(weights), Format.four(weights + 4 &* Format.bytes))
      let x = a.x + column &* 4
      for token in 0..<n {
        let value = x.load(fromByteOffset: token &* stride, as: Float.self)
        first[token] += low * value
        second[token] += high * value
      }
    }
    for token in 0..<n {
      let target = UnsafeMutableRawPointer(a.out + (token &* PanelLayout.rows &+ half &* 8))
      target.storeBytes(of: first[token], as: SIMD4<Float>.self)
      target.storeBytes(of: second[token], toByteOffset: 16, as: SIMD4<Float>.self)
    }
  }
}
