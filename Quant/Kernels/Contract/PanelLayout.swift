import OccamQuantFormats

/// How packed weights lie in memory: the same for every kernel set. `PanelFormat` lists what becomes of which format.
///
/// A panel holds 16 rows (outputs) over all columns. Four consecutive columns of one row form a 4-byte quad, and the
/// quads of 16 rows one 64-byte line: one AVX-512 register, two AVX2 ones, four of NEON or SSE2. Each multiplies with
/// the same four activations, broadcast. A line holds
///
///     bytes        one quad
///     nibbles      quad 2 j of each two in the low nibbles, quad 2 j + 1 in the high ones
///     bit pairs    four quads: bits 2 j, 2 j + 1 of byte b of a row belong to column 4 j + b
///     top bits     one bit of eight quads: bit j of byte b belongs to column 4 j + b
///
/// Whoever packs adds rows of zeros up to a whole panel. Panels start on 64 bytes, lines on 32. Everything a block needs
/// lies together: a second stream of scales halved the speed of single tokens.
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
    let (bytes, overflow) = blocks.multipliedReportingOverflow(by: PanelFormat(format).blockBytes)
    if overflow || bytes > Int.max - 64 { return nil }
    return (bytes + 63) & ~63
  }
}

/// A block of 32 columns for 16 rows: heads of 32 bytes, then lines.
///
///     head 0     [16] scales: half; of MXFP4 bfloat16, which holds each of its powers of two
///     head 1     [16] half m of Q4_1 and Q5_1
///     lines      4 of nibbles; Q5_0 and Q5_1: and one of top bits; Q8_0: 8 of signed bytes
@usableFromInline
package enum BlockPanel {
  @inlinable package static var scales: Int { 0 }
  @inlinable package static var mins: Int { 32 }

  /// Offset of the lines.
  @inlinable
  @inline(__always)
  package static func quants(heads: Int) -> Int { heads &* 32 }

  /// Bytes of the whole block.
  @inlinable
  @inline(__always)
  package static func bytes(heads: Int = 1, lines: Int) -> Int { quants(heads: heads) &+ lines &* PanelLayout.line }
}

/// A super-block of Q4_K and Q5_K for 16 rows: byte offsets. Behind the head 8 sub-blocks of 4 lines of nibbles; Q5_K
/// adds a line of top bits to each.
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

/// A super-block of Q2_K for 16 rows: byte offsets. Behind the head 16 sub-blocks of one line of bit pairs.
@usableFromInline
package enum SuperPanel2 {
  /// [16] half.
  @inlinable package static var d: Int { 0 }
  /// [16] half.
  @inlinable package static var dmin: Int { 32 }
  /// [pair of sub-blocks 0..<8][row][2] bytes: scale in the low nibble, min in the high one.
  @inlinable package static var scales: Int { 64 }
  @inlinable package static var quants: Int { 320 }
  /// Bytes of the whole super-block.
  @inlinable package static var bytes: Int { quants &+ 16 &* PanelLayout.line }
}

/// A super-block without mins for 16 rows: byte offsets. Behind the head pairs of sub-blocks:
///
///     Q6_K      8 pairs of 16 columns: 4 lines of nibbles, a line of high bit pairs for each sub-block
///     Q3_K      8 pairs of 16 columns: a line of bit pairs for each sub-block, a line of top bits
///     IQ4_XS    4 pairs of 32 columns: 8 lines of nibbles
@usableFromInline
package enum SignedPanel {
  /// [16] float.
  @inlinable package static var d: Int { 0 }
  /// [pair of sub-blocks][row][2] signed bytes.
  @inlinable package static var scales: Int { 64 }

  /// Offset of the lines.
  @inlinable
  @inline(__always)
  package static func quants(pairs: Int) -> Int { scales &+ 32 &* pairs }

  /// Bytes of the whole super-block.
  /// - Parameter lines: of a pair of sub-blocks.
  @inlinable
  @inline(__always)
  package static func bytes(pairs: Int, lines: Int) -> Int {
    quants(pairs: pairs) &+ pairs &* lines &* PanelLayout.line
  }
}
