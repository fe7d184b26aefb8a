import OccamKernelContract
import OccamQuantFormats

/// Kernels for AVX-512 F, BW, DQ, VL and VNNI: one register holds a line of 16 rows, and one instruction multiplies it
/// with four broadcast activations and adds to 32-bit sums.
package enum AVX512VNNIKernels {
  package static var matmul: MatmulKernels {
    MatmulKernels(
      tileTokens: 12,
      pack: { kind in
        switch kind {
        case .floats: packFloatActivations
        case .blocks32, .limited32: { quantizeActivations32($0, $1, $2, $3, $4) }
        case .blocks256: { quantizeActivations256($0, $1, $2, $3, $4) }
        }
      },
      tile: { format in
        switch format {
        case .f32: tile(TileF32.self)
        case .f16: tile(TileF16.self)
        case .bf16: tile(TileBF16.self)
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
}

/// `kernel` compiled for all sizes of tile.
@inline(__always)
private func tile<K: TileKernel>(_ kernel: K.Type) -> MatmulKernels.Tile { { runTile(K.self, $0) } }
