import OccamKernelContract

/// Kernels in plain SIMD for any processor; on x86-64 the compiler makes SSE2 of them.
package enum PortableKernels {
  package static var matmul: MatmulKernels {
    MatmulKernels(
      tileTokens: 4, quantize32: quantize32, quantize256: quantize256, f32: tileF32, f16: tileF16, bf16: tileBF16,
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
