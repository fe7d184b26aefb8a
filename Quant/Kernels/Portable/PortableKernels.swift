import OccamKernelContract
import OccamQuantFormats

/// Kernels in plain SIMD for any processor; on x86-64 the compiler makes SSE2 of them.
package enum PortableKernels {
  package static var matmul: MatmulKernels {
    MatmulKernels(
      tileTokens: 4,
      pack: { kind in
        switch kind {
        case .floats: packFloatActivations
        case .blocks32, .limited32: { quantizeActivations32($0, $1, $2, $3, $4) }
        case .blocks256: { quantizeActivations256($0, $1, $2, $3, $4) }
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

/// A format's products with up to four tokens.
protocol TileKernel: SendableMetatype {
  /// - Parameter zero: a lane for each token, cleared; their number, one or four, is a constant.
  static func run<let n: Int>(_ a: TileArguments, _ zero: InlineArray<n, Lanes>)
}

/// `kernel` compiled for one token and for four; a surplus is not used.
@inline(__always)
private func tile<K: TileKernel>(_ kernel: K.Type) -> MatmulKernels.Tile {
  { a in
    if a.tokens == 1 {
      K.run(a, InlineArray<1, Lanes>(repeating: Lanes()))
    } else {
      K.run(a, InlineArray<4, Lanes>(repeating: Lanes()))
    }
  }
}

@inline(__always)
private func floatTile<F: FloatFormat>(_ format: F.Type) -> MatmulKernels.Tile { { runFloatTile(F.self, $0) } }
