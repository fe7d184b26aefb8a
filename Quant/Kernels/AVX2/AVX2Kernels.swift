import OccamKernelContract
import OccamQuantFormats

/// Kernels for AVX2, FMA and F16C: a line of 16 rows in two registers of 8 rows. Products of bytes are summed in
/// 16-bit lanes as long as they fit, which the comment beside each format proves.
package enum AVX2Kernels {
  package static var matmul: MatmulKernels {
    MatmulKernels(
      tileTokens: TileLimits.tokens, scratchBytes: TileLimits.scratchBytes, limited: tile(TileQ8_0Limited.self),
      pack: { kind in
        switch kind {
        case .floats: packFloatActivations
        case .blocks32: { quantizeActivations32($0, $1, $2, $3, $4, hasLanes: true) }
        case .blocks256: { quantizeActivations256($0, $1, $2, $3, $4) }
        case .limited32:
          {
            let limit = SumLimit.activation
            quantizeActivations32($0, $1, $2, $3, $4, top: Float(limit), offset: limit)
          }
        }
      },
      tile: { format in
        switch format {
        case .f32: floatTile(FormatF32.self)
        case .f16: floatTile(FormatF16.self)
        case .bf16: floatTile(FormatBF16.self)
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

@inline(__always)
private func tile<K: TileKernel>(_ kernel: K.Type) -> MatmulKernels.Tile { { runTile(K.self, $0) } }

@inline(__always)
private func floatTile<F: FloatFormat>(_ format: F.Type) -> MatmulKernels.Tile { { runFloatTile(F.self, $0) } }
