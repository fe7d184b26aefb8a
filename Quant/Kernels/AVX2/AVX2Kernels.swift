import OccamKernelContract
import OccamQuantFormats

/// Kernels for AVX2, FMA and F16C: a line of 16 rows in two registers of 8 rows. Products of bytes are summed in
/// 16-bit lanes as long as they fit, which the comment beside each format proves.
package enum AVX2Kernels {
  package static var matmul: MatmulKernels {
    MatmulKernels(
      tileTokens: TileLimits.tokens, scratchBytes: TileLimits.scratchBytes,
      limited: LimitedKernels(quantize: quantizeLimited32, tile: tileQ8_0Limited),
      quantize32: quantize32, quantize256: quantize256, f32: tileF32, f16: tileF16, bf16: tileBF16, q4_0: tileQ4_0,
      q8_0: tileQ8_0, q4_K: tileQ4_K, q5_K: tileQ5_K, q6_K: tileQ6_K)
  }
}

private func quantize32(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  quantizeActivations32(x, stride, tokens, columns, group)
}

private func quantizeLimited32(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  quantizeActivations32(x, stride, tokens, columns, group, top: Float(SumLimit.activation), offset: SumLimit.activation)
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
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runFloatTile(FormatF32.self, a)
}

private func tileF16(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runFloatTile(FormatF16.self, a)
}

private func tileBF16(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runFloatTile(FormatBF16.self, a)
}

private func tileQ4_0(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runTile(TileQ4_0.self, a)
}

private func tileQ8_0(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runTile(TileQ8_0.self, a)
}

private func tileQ8_0Limited(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runTile(TileQ8_0Limited.self, a)
}

private func tileQ4_K(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runTile(TileQ4_K.self, a)
}

private func tileQ5_K(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runTile(TileQ5_K.self, a)
}

private func tileQ6_K(
  _ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let a = TileArguments(
    panel: panel, x: x, groupStride: groupStride, tokens: tokens, columns: columns, out: out)
  runTile(TileQ6_K.self, a)
}
