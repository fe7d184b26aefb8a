import OccamKernelContract

/// Kernels for AVX-512 F, BW, DQ, VL and VNNI: one register holds a line of 16 rows, and one instruction multiplies it
/// with four broadcast activations and adds to 32-bit sums.
package enum AVX512VNNIKernels {
  package static var matmul: MatmulKernels {
    MatmulKernels(
      tileTokens: 12, quantize32: quantize32, quantize256: quantize256, f32: tileF32, f16: tileF16, bf16: tileBF16,
      q4_0: tileQ4_0, q8_0: tileQ8_0, q4_K: tileQ4_K, q5_K: tileQ5_K, q6_K: tileQ6_K)
  }
}

private func quantize32(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  quantizeActivations32(x, stride, tokens, columns, group)
}

private func quantize256(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  quantizeActivations256(x, stride, tokens, columns, group)
}

private func tileF32(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileF32.self, a, tokens: tokens)
}

private func tileF16(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileF16.self, a, tokens: tokens)
}

private func tileBF16(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileBF16.self, a, tokens: tokens)
}

private func tileQ4_0(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileQ4_0.self, a, tokens: tokens)
}

private func tileQ8_0(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileQ8_0.self, a, tokens: tokens)
}

private func tileQ4_K(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileQ4_K.self, a, tokens: tokens)
}

private func tileQ5_K(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileQ5_K.self, a, tokens: tokens)
}

private func tileQ6_K(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(panel: panel, x: x, groupStride: groupStride, columns: columns, out: out)
  runTile(TileQ6_K.self, a, tokens: tokens)
}
