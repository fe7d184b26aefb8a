import OccamQuantFormats

/// What a kernel set offers for matrix products: plain functions without context, in one table for each instruction
/// set. They check nothing; `OccamMatmul` guarantees every pointer.
package struct MatmulKernels: Sendable {
  /// Multiplies one panel with up to `tileTokens` tokens: (panel, activations, groupStride, tokens, columns, out).
  ///
  /// - panel: a packed panel (`PanelLayout`), 64-byte aligned.
  /// - activations: the first group of tokens (`ActivationLayout`), the next one `groupStride` bytes further; groups
  ///   are whole in memory, `tokens` may end inside one.
  /// - out: [tokens][16] floats, 64-byte aligned, room for `tileTokens`; rows past `tokens` may be overwritten. Behind
  ///   them lie `scratchBytes` that the kernel may use.
  ///
  /// A token's result depends on nothing but its own activations: not on `tokens`, not on its place in the tile.
  package typealias Tile =
    @Sendable (
      _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
      _ out: UnsafeMutablePointer<Float>
    ) -> Void

  /// Writes up to four tokens into one group: (x, stride, tokens, columns, group), `stride` floats between tokens.
  package typealias Pack =
    @Sendable (
      _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
    ) -> Void

  /// The most tokens of a tile, a multiple of four.
  package let tileTokens: Int
  /// A multiple of 64.
  package let scratchBytes: Int
  /// Q8_0 with limited sums, where that is faster than any Q8_0.
  package let limited: LimitedKernels?
  package let quantize32: Pack
  package let quantize256: Pack
  package let f32: Tile
  package let f16: Tile
  package let bf16: Tile
  package let q4_0: Tile
  package let q8_0: Tile
  package let q4_K: Tile
  package let q5_K: Tile
  package let q6_K: Tile

  package init(
    tileTokens: Int, scratchBytes: Int = 0, limited: LimitedKernels? = nil, quantize32: @escaping Pack,
    quantize256: @escaping Pack, f32: @escaping Tile,
    f16: @escaping Tile, bf16: @escaping Tile, q4_0: @escaping Tile, q8_0: @escaping Tile, q4_K: @escaping Tile,
    q5_K: @escaping Tile, q6_K: @escaping Tile
  ) {
    self.tileTokens = tileTokens
    self.scratchBytes = scratchBytes
    self.limited = limited
    self.quantize32 = quantize32
    self.quantize256 = quantize256
    self.f32 = f32
    self.f16 = f16
    self.bf16 = bf16
    self.q4_0 = q4_0
    self.q8_0 = q8_0
    self.q4_K = q4_K
    self.q5_K = q5_K
    self.q6_K = q6_K
  }

  /// - Parameter isLimited: Q8_0 with limited sums; only if `limited` is there.
  package func tile(_ format: QuantFormat, isLimited: Bool) -> Tile {
    if isLimited, let limited { return limited.tile }
    return switch format {
    case .f32: f32
    case .f16: f16
    case .bf16: bf16
    case .q4_0: q4_0
    case .q8_0: q8_0
    case .q4_K: q4_K
    case .q5_K: q5_K
    case .q6_K: q6_K
    }
  }

  package func pack(_ kind: ActivationKind) -> Pack {
    switch kind {
    case .floats: packFloatActivations
    case .blocks32: quantize32
    case .blocks256: quantize256
    case .limited32: limited?.quantize ?? quantize32
    }
  }
}

/// Products of weights that `BlockQ8_0.encodeSumLimited` made.
package struct LimitedKernels: Sendable {
  /// Writes activations of -104...104 as 0...208, else as `MatmulKernels.quantize32`.
  package let quantize: MatmulKernels.Pack
  package let tile: MatmulKernels.Tile

  package init(quantize: @escaping MatmulKernels.Pack, tile: @escaping MatmulKernels.Tile) {
    self.quantize = quantize
    self.tile = tile
  }
}

/// Floats of up to four tokens, one token after another.
private func packFloatActivations(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  guard let bytes = ActivationLayout.groupBytes(.floats, columns: columns) else { return }
  for token in 0..<tokens {
    (group + token &* ActivationLayout.floatStride(bytes)).copyMemory(
      from: x + token &* stride, byteCount: columns &* 4)
  }
}
