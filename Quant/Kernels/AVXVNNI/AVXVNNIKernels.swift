import OccamKernelContract
import OccamKernelsAVX2
import OccamQuantFormats
import _Builtin_intrinsics.intel

/// Kernels for AVX2 and AVX-VNNI, as Intel's small cores have them: a line of 16 rows in two registers of 8 rows, and one
/// instruction multiplies a register with four broadcast activations and adds to 32-bit sums. Floats are AVX2's.
package enum AVXVNNIKernels {
  package static var matmul: MatmulKernels {
    let avx2 = AVX2Kernels.matmul
    return MatmulKernels(
      tileTokens: avx2.tileTokens, scratchBytes: avx2.scratchBytes,
      pack: { kind in
        switch kind {
        case .floats: packFloatActivations
        case .blocks32, .limited32: { quantizeActivations32($0, $1, $2, $3, $4) }
        case .blocks256: { quantizeActivations256($0, $1, $2, $3, $4) }
        }
      },
      tile: { format in
        switch format {
        case .f32, .f16, .bf16: avx2.tile(format)
        case .q4_0: tile(TileQ4_0.self)
        case .q4_1: tile(TileQ4_1.self)
        case .q5_0: tile(TileQ5_0.self)
        case .q5_1: tile(TileQ5_1.self)
        case .q8_0: tile(TileQ8_0.self)
        case .iq4_nl: tile(TileIQ4_NL.self)
        case .mxfp4: tile(TileMXFP4.self)
        case .q2_K: tile(TileQ2_K.self)
        case .q3_K: tile(TileQ3_K.self)
        case .q4_K: tile(TileQ4_K.self)
        case .q5_K: tile(TileQ5_K.self)
        case .q6_K: tile(TileQ6_K.self)
        case .iq4_xs: tile(TileIQ4_XS.self)
        }
      })
  }

  package static var peak: PeakKernels {
    PeakKernels(integers: integers, floats: AVX2Kernels.peak.floats, read: AVX2Kernels.peak.read)
  }
}

@inline(__always)
private func tile<K: TileKernel>(_ kernel: K.Type) -> MatmulKernels.Tile { { runTile(K.self, $0) } }

private func integers(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: __m256i = _mm256_set1_epi8(1)
  var sums = InlineArray<12, __m256i>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = _mm256_dpbusd_avx_epi32(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 32, check)
}
