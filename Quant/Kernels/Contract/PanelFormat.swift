import OccamQuantFormats

/// What becomes of a format in memory: the one table that packing, activations and sizes follow.
package struct PanelFormat {
  /// What the panels multiply with.
  package let activations: ActivationKind
  /// Bytes of one block of 16 rows, scales included.
  package let blockBytes: Int
  /// Packs blocks of 16 rows: (rows, source, blocks, panel).
  let pack: (FourRows, UnsafeRawPointer, Int, UnsafeMutableRawPointer) -> Void

  package init(_ format: QuantFormat) {
    self =
      switch format {
      case .f32: PanelFormat(.floats, 4 * PanelLayout.rows, packWords)
      case .f16, .bf16: PanelFormat(.floats, 2 * PanelLayout.rows, packHalves)
      case .q4_0: PanelFormat(.blocks32, BlockPanel.bytes(lines: 4), packQ4_0)
      case .q4_1: PanelFormat(.blocks32, BlockPanel.bytes(heads: 2, lines: 4), packQ4_1)
      case .q5_0: PanelFormat(.blocks32, BlockPanel.bytes(lines: 5), packQ5_0)
      case .q5_1: PanelFormat(.blocks32, BlockPanel.bytes(heads: 2, lines: 5), packQ5_1)
      case .q8_0: PanelFormat(.blocks32, BlockPanel.bytes(lines: 8), packQ8_0)
      // The blocks of IQ4_NL are those of Q4_0 but for what a nibble means.
      case .iq4_nl: PanelFormat(.blocks32, BlockPanel.bytes(lines: 4), packQ4_0)
      case .mxfp4: PanelFormat(.blocks32, BlockPanel.bytes(lines: 4), packMXFP4)
      case .q2_K: PanelFormat(.blocks256, SuperPanel2.bytes, packQ2_K)
      case .q3_K: PanelFormat(.blocks256, SignedPanel.bytes(pairs: 8, lines: 3), packQ3_K)
      case .q4_K: PanelFormat(.blocks256, SuperPanel.bytes(lines: 4), packQ4_K)
      case .q5_K: PanelFormat(.blocks256, SuperPanel.bytes(lines: 5), packQ5_K)
      case .q6_K: PanelFormat(.blocks256, SignedPanel.bytes(pairs: 8, lines: 6), packQ6_K)
      case .iq4_xs: PanelFormat(.blocks256, SignedPanel.bytes(pairs: 4, lines: 8), packIQ4_XS)
      }
  }

  private init(
    _ activations: ActivationKind, _ blockBytes: Int,
    _ pack: @escaping (FourRows, UnsafeRawPointer, Int, UnsafeMutableRawPointer) -> Void
  ) {
    self.activations = activations
    self.blockBytes = blockBytes
    self.pack = pack
  }
}

/// Sixteen rows of blocks as a file stores them -> one panel (`PanelLayout`).
///
/// The caller guarantees 16 rows of whole blocks at `source`, `rowBytes` apart, and room for
/// `PanelLayout.bytes(format, columns:)` bytes at `panel`, 64-byte aligned.
package func packPanel(
  _ format: QuantFormat, _ source: UnsafeRawPointer, rowBytes: Int, columns: Int, into panel: UnsafeMutableRawPointer
) {
  PanelFormat(format).pack(FourRows(stride: rowBytes), source, columns / format.blockSize, panel)
}
