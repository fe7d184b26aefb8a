import OccamQuantFormats

/// How packed weights lie in memory: the same for every kernel set.
///
/// A panel holds 16 rows (outputs) over all columns. Four consecutive columns of one row form a 4-byte quad, and the
/// quads of 16 rows one 64-byte line: one AVX-512 register, two AVX2 ones, four of NEON or SSE2. Each multiplies with
/// the same four activations, broadcast. A line of 4-bit numbers holds quad 2 j in its low nibbles and quad 2 j + 1 in
/// its high nibbles.
///
/// Whoever packs adds rows of zeros up to a whole panel. Panels start on 64 bytes, lines on 32. Everything a block needs
/// lies together: a second stream of scales halved the speed of single tokens.
///
///     F32, F16, BF16   [column][16 rows]
///     Q4_0             [block] of 16 half scales and 4 lines
///     Q8_0             the same with 8 lines, signed bytes
///     Q4_K, Q5_K       per super-block: SuperPanel, then 8 sub-blocks of 4 lines; Q5_K adds to each sub-block a line
///                      of fifth bits: bit j of byte b of a row belongs to column 4 j + b
///     Q6_K             per super-block: 16 float d, [8][16][2] signed scales, then 8 pairs of sub-blocks: 4 lines and
///                      one line of high bit pairs for each sub-block: bits 2 j, 2 j + 1 of byte b belong to column
///                      4 j + b
@usableFromInline
package enum PanelLayout {
  /// Rows of a panel.
  @inlinable package static var rows: Int { 16 }
  /// Bytes of a line: a quad of columns of each row.
  @inlinable package static var line: Int { 64 }

  /// Bytes from one panel to the next; nil if they are too many to count.
  /// - Parameter columns: a multiple of the format's block size.
  package static func bytes(_ format: QuantFormat, columns: Int) -> Int? {
    let blocks = columns / format.blockSize
    let (bytes, overflow) = blocks.multipliedReportingOverflow(by: blockBytes(format))
    if overflow || bytes > Int.max - 64 { return nil }
    return (bytes + 63) & ~63
  }

  /// Bytes of one block of 16 rows, scales included.
  package static func blockBytes(_ format: QuantFormat) -> Int {
    switch format {
    case .f32: 4 * rows
    case .f16, .bf16: 2 * rows
    case .q4_0: BlockPanel.bytes(lines: 4)
    case .q8_0: BlockPanel.bytes(lines: 8)
    case .q4_K: SuperPanel.bytes(lines: 4)
    case .q5_K: SuperPanel.bytes(lines: 5)
    case .q6_K: SuperPanel6.bytes
    }
  }
}

/// A block of Q4_0 and Q8_0 for 16 rows: byte offsets.
@usableFromInline
package enum BlockPanel {
  /// [16] half.
  @inlinable package static var scales: Int { 0 }
  @inlinable package static var quants: Int { 32 }

  /// Bytes of the whole block.
  @inlinable
  @inline(__always)
  package static func bytes(lines: Int) -> Int { quants &+ lines &* PanelLayout.line }
}

/// Head of a super-block of Q4_K and Q5_K for 16 rows: byte offsets.
@usableFromInline
package enum SuperPanel {
  /// [16] half.
  @inlinable package static var d: Int { 0 }
  /// [16] half.
  @inlinable package static var dmin: Int { 32 }
  /// [sub-block 0..<8][row] unsigned bytes.
  @inlinable package static var scales: Int { 64 }
  /// [pair of sub-blocks 0..<4][row][2] unsigned bytes.
  @inlinable package static var mins: Int { 192 }
  @inlinable package static var quants: Int { 320 }

  /// Bytes of the whole super-block.
  /// - Parameter lines: lines of a sub-block, 4 in Q4_K and 5 in Q5_K.
  @inlinable
  @inline(__always)
  package static func bytes(lines: Int) -> Int { quants &+ 8 &* lines &* PanelLayout.line }
}

/// Head of a super-block of Q6_K for 16 rows: byte offsets.
@usableFromInline
package enum SuperPanel6 {
  /// [16] float.
  @inlinable package static var d: Int { 0 }
  /// [pair of sub-blocks 0..<8][row][2] signed bytes.
  @inlinable package static var scales: Int { 64 }
  @inlinable package static var quants: Int { 320 }
  /// Bytes of the whole super-block.
  @inlinable package static var bytes: Int { quants &+ 8 &* 6 &* PanelLayout.line }
}
