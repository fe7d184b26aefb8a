import OccamKernelContract
import OccamQuantFormats

/// A set's table, compiled with its own `Products`.
/// - Parameter floats: the products with F32, F16 and BF16.
@inline(__always)
func quantizedKernels(_ floats: @escaping @Sendable (QuantFormat) -> MatmulKernels.Tile) -> MatmulKernels {
  MatmulKernels(
    tileTokens: TileLimits.tokens, scratchBytes: TileLimits.scratchBytes,
    pack: { kind in
      switch kind {
      case .floats: packFloatActivations
      case .blocks32, .limited32: { quantizeActivations32($0, $1, $2, $3, $4) }
      case .blocks256: { quantizeActivations256($0, $1, $2, $3, $4) }
      }
    },
    tile: { format in
      switch format {
      case .f32, .f16, .bf16: floats(format)
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

@inline(__always)
private func tile<K: TileKernel>(_ kernel: K.Type) -> MatmulKernels.Tile { { runTile(K.self, $0) } }
