import OccamQuantFormats

/// One call of `MatmulKernels.Tile`: a panel times some tokens.
package struct TileArguments {
  /// A packed panel (`PanelLayout`), 64-byte aligned.
  package let panel: UnsafeRawPointer
  /// The activations: the first group of tokens (`ActivationLayout`), the next one `groupStride` bytes further; groups
  /// are whole in memory, `tokens` may end inside one.
  package let x: UnsafeRawPointer
  package let groupStride: Int
  /// 1...`tileTokens`.
  package let tokens: Int
  package let columns: Int
  /// [tokens][16] floats, 64-byte aligned, room for `tileTokens`; rows past `tokens` may be overwritten. Behind them lie
  /// `scratchBytes` that the kernel may use.
  package let out: UnsafeMutablePointer<Float>

  package init(
    panel: UnsafeRawPointer, x: UnsafeRawPointer, groupStride: Int, tokens: Int, columns: Int,
    out: UnsafeMutablePointer<Float>
  ) {
    self.panel = panel
    self.x = x
    self.groupStride = groupStride
    self.tokens = tokens
    self.columns = columns
    self.out = out
  }
}

/// What a kernel set offers for matrix products: plain functions without context, in one table for each instruction
/// set. They check nothing; `OccamMatmul` guarantees every pointer.
package struct MatmulKernels: Sendable {
  /// Multiplies one panel with up to `tileTokens` tokens. A token's result depends on nothing but its own activations:
  /// not on `tokens`, not on its place in the tile.
  package typealias Tile = @Sendable (TileArguments) -> Void

  /// Writes up to four tokens into one group: (x, stride, tokens, columns, group), `stride` floats between tokens.
  package typealias Pack =
    @Sendable (
      _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
    ) -> Void

  /// The most tokens of a tile, a multiple of four.
  package let tileTokens: Int
  /// A multiple of 64.
  package let scratchBytes: Int
  /// Q8_0 with limited sums (`BlockQ8_0.encodeSumLimited`), where that is faster than any Q8_0.
  package let limited: Tile?
  /// The product with panels of a format.
  package let tile: @Sendable (QuantFormat) -> Tile
  /// What brings activations into a form.
  package let pack: @Sendable (ActivationKind) -> Pack

  package init(
    tileTokens: Int, scratchBytes: Int = 0, limited: Tile? = nil,
    pack: @escaping @Sendable (ActivationKind) -> Pack, tile: @escaping @Sendable (QuantFormat) -> Tile
  ) {
    self.tileTokens = tileTokens
    self.scratchBytes = scratchBytes
    self.limited = limited
    self.pack = pack
    self.tile = tile
  }

  /// - Parameter isLimited: Q8_0 with limited sums; only if `limited` is there.
  package func tile(_ format: QuantFormat, isLimited: Bool) -> Tile {
    if isLimited, let limited { return limited }
    return tile(format)
  }
}

/// `MatmulKernels.Pack` for `ActivationKind.floats`: one token after another.
package func packFloatActivations(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  guard let bytes = ActivationLayout.groupBytes(.floats, columns: columns) else { return }
  for token in 0..<tokens {
    (group + token &* ActivationLayout.floatStride(bytes)).copyMemory(
      from: x + token &* stride, byteCount: columns &* 4)
  }
}
