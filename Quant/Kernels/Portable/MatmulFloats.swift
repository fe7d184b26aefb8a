import OccamKernelContract

func tileF32(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  floatTile(panel, 4, activations, groupStride, tokens, columns, out) { $0.load(as: SIMD4<Float>.self) }
}

func tileF16(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  floatTile(panel, 2, activations, groupStride, tokens, columns, out) {
    floats(halves: $0.load(as: SIMD4<UInt16>.self))
  }
}

func tileBF16(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  floatTile(panel, 2, activations, groupStride, tokens, columns, out) {
    unsafeBitCast(SIMD4<UInt32>(truncatingIfNeeded: $0.load(as: SIMD4<UInt16>.self)) &<< 16, to: SIMD4<Float>.self)
  }
}

/// - Parameter four: converts the weights of 4 rows, `size` bytes each.
@inline(__always)
private func floatTile(
  _ panel: UnsafeRawPointer, _ size: Int, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int,
  _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ four: (UnsafeRawPointer) -> SIMD4<Float>
) {
  let stride = ActivationLayout.floatStride(groupStride)
  if tokens == 1 {
    floatRows(panel, size, activations, stride, columns, out, InlineArray<1, SIMD4<Float>>(repeating: SIMD4()), four)
  } else {
    floatRows(panel, size, activations, stride, columns, out, InlineArray<4, SIMD4<Float>>(repeating: SIMD4()), four)
  }
}

@inline(__always)
private func floatRows<let n: Int>(
  _ panel: UnsafeRawPointer, _ size: Int, _ activations: UnsafeRawPointer, _ stride: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>, _ zero: InlineArray<n, SIMD4<Float>>, _ four: (UnsafeRawPointer) -> SIMD4<Float>
) {
  for half in 0..<2 {
    var (first, second) = (zero, zero)
    for column in 0..<columns {
      let weights = panel + (column &* 16 &+ half &* 8) &* size
      let (a, b) = (four(weights), four(weights + 4 &* size))
      let x = activations + column &* 4
      for token in 0..<n {
        let value = x.load(fromByteOffset: token &* stride, as: Float.self)
        first[token] += a * value
        second[token] += b * value
      }
    }
    for token in 0..<n {
      let target = UnsafeMutableRawPointer(out + (token &* PanelLayout.rows &+ half &* 8))
      target.storeBytes(of: first[token], as: SIMD4<Float>.self)
      target.storeBytes(of: second[token], toByteOffset: 16, as: SIMD4<Float>.self)
    }
  }
}
