/// What a weight format multiplies with (`PanelFormat.activations`).
package enum ActivationKind: Int, Sendable, CaseIterable {
  /// Floats, unrounded: F32, F16, BF16.
  case floats
  /// Signed bytes, one float scale for each 32: `Activation32`.
  case blocks32
  /// Signed bytes, one float scale for each 256: `Activation256`.
  case blocks256
  /// As `blocks32`, but of -104...104, stored as 0...208: Q8_0 with limited sums.
  case limited32
}

/// How activations lie in memory for the kernels: the same for every kernel set but for one field
/// (`Activation32.minus8Lanes`).
///
/// Four tokens form a group. Blocks lie as [block][4 tokens] records, so that a tile reads one contiguous stream per
/// group. Floats lie as [token][column], `floatStride` bytes from token to token: a single token then reads no line for
/// the sake of four bytes. No power of two ever separates tokens.
@usableFromInline
package enum ActivationLayout {
  /// Tokens of a group.
  @inlinable package static var tokens: Int { 4 }

  /// Columns and bytes of one token's record of a block; nil: floats, which have none.
  package static func record(_ kind: ActivationKind) -> (columns: Int, bytes: Int)? {
    switch kind {
    case .floats: nil
    case .blocks32, .limited32: (32, Activation32.bytes)
    case .blocks256: (256, Activation256.bytes)
    }
  }

  /// Bytes of one group; nil if they are too many to count.
  /// - Parameter columns: up to a whole block; zeros behind them.
  package static func groupBytes(_ kind: ActivationKind, columns: Int) -> Int? {
    let blocks: Int
    let bytes: Int
    if let record = record(kind) {
      blocks = columns / record.columns + (columns % record.columns == 0 ? 0 : 1)
      bytes = record.bytes
    } else {
      (blocks, bytes) = (columns / 16 + 2, 64)
    }
    let (product, overflow) = blocks.multipliedReportingOverflow(by: bytes * tokens)
    return overflow ? nil : product
  }

  /// Bytes from one token's floats to the next one's: whole lines, and one or two more.
  /// - Parameter groupStride: bytes of a group of floats.
  @inlinable
  @inline(__always)
  package static func floatStride(_ groupStride: Int) -> Int { groupStride / tokens }
}

/// One token's record of 32 activations, x ~ scale * q: byte offsets.
@usableFromInline
package enum Activation32 {
  /// Float, amax / 127, or amax / 104 (`limited32`).
  @inlinable package static var scale: Int { 0 }
  /// Float, scale * sum of q: for weights that have an offset of their own.
  @inlinable package static var scaledSum: Int { 4 }
  /// Int32, -8 * sum of q: what the zero point of 4-bit weights takes away.
  @inlinable package static var minus8: Int { 8 }
  /// Int32, -128 * sum: for signed 8-bit weights offset to unsigned ones.
  @inlinable package static var minus128: Int { 12 }
  /// In its place for kernels that sum quads in two 16-bit lanes: [2] Int16, -8 * sum of the columns 4 j and 4 j + 1, and
  /// of the others.
  @inlinable package static var minus8Lanes: Int { 12 }
  /// [32] Int8.
  @inlinable package static var quants: Int { 16 }
  @inlinable package static var bytes: Int { 48 }
}

/// One token's record of 256 activations, x ~ scale * q: byte offsets.
@usableFromInline
package enum Activation256 {
  /// Float, amax / 127.
  @inlinable package static var scale: Int { 0 }
  /// Int32, -127 * sum of all.
  @inlinable package static var minus127: Int { 4 }
  /// [8] Int16, sums of 32.
  @inlinable package static var sums32: Int { 16 }
  /// [16] Int16, sums of 16.
  @inlinable package static var sums16: Int { 32 }
  /// [256] Int8.
  @inlinable package static var quants: Int { 64 }
  @inlinable package static var bytes: Int { 320 }
}
