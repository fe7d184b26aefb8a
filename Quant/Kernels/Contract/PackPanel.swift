import OccamQuantFormats

/// Blocks as a file stores them -> one panel (`PanelLayout`).
///
/// The caller guarantees `rows` (1...16) rows of whole blocks at `source`, `rowBytes` apart, and room for
/// `PanelLayout.bytes(format, columns:)` bytes at `panel`, 64-byte aligned.
package func packPanel(
  _ format: QuantFormat, _ source: UnsafeRawPointer, rowBytes: Int, rows: Int, columns: Int,
  into panel: UnsafeMutableRawPointer
) {
  if rows < PanelLayout.rows, let bytes = PanelLayout.bytes(format, columns: columns) {
    panel.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
  }
  switch format {
  case .f32: transpose(UInt32.self, source, rowBytes, rows, columns, panel)
  case .f16, .bf16: transpose(UInt16.self, source, rowBytes, rows, columns, panel)
  default:
    let blocks = columns / format.blockSize
    for row in 0..<rows {
      let source = source + row &* rowBytes
      switch format {
      case .q4_0: packQ4_0(source, blocks, row, panel)
      case .q8_0: packQ8_0(source, blocks, row, panel)
      case .q4_K: packQ4_K(source, blocks, row, panel)
      case .q5_K: packQ5_K(source, blocks, row, panel)
      default: packQ6_K(source, blocks, row, panel)
      }
    }
  }
}

/// Rows -> [column][16], a few columns at a time so that the panel's lines stay in the nearest cache.
private func transpose<Element: BitwiseCopyable>(
  _ type: Element.Type, _ source: UnsafeRawPointer, _ rowBytes: Int, _ rows: Int, _ columns: Int,
  _ panel: UnsafeMutableRawPointer
) {
  let size = MemoryLayout<Element>.size
  var first = 0
  while first < columns {
    let end = min(first &+ 64, columns)
    for row in 0..<rows {
      let source = source + row &* rowBytes
      for column in first..<end {
        let value = source.loadUnaligned(fromByteOffset: column &* size, as: type)
        panel.storeBytes(of: value, toByteOffset: (column &* PanelLayout.rows &+ row) &* size, as: type)
      }
    }
    first = end
  }
}

@inline(__always)
private func word(_ source: UnsafeRawPointer, _ offset: Int) -> UInt32 {
  source.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
}

/// Four lines of nibbles: `quad(j)` gives columns 4 j..<4 j + 4 of the row, one 4-bit number a byte.
@inline(__always)
private func storeNibbles(_ lines: UnsafeMutableRawPointer, _ row: Int, _ quad: (Int) -> UInt32) {
  for j in 0..<4 {
    let both = quad(2 &* j) | quad(2 &* j &+ 1) << 4
    lines.storeBytes(of: both, toByteOffset: j &* PanelLayout.line &+ row &* 4, as: UInt32.self)
  }
}

@inline(__always)
private func copyHalf(_ source: UnsafeRawPointer, _ offset: Int, _ target: UnsafeMutableRawPointer, _ row: Int) {
  let half = source.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
  target.storeBytes(of: half, toByteOffset: row &* 2, as: UInt16.self)
}

private func packQ4_0(_ source: UnsafeRawPointer, _ blocks: Int, _ row: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let block = source + b &* BlockQ4_0.bytes
    let target = panel + b &* BlockPanel.bytes(lines: 4)
    copyHalf(block, BlockQ4_0.d, target + BlockPanel.scales, row)
    storeNibbles(target + BlockPanel.quants, row) { j in
      word(block, BlockQ4_0.quants &+ (j & 3) &* 4) &>> (j < 4 ? 0 : 4) & 0x0f0f_0f0f
    }
  }
}

private func packQ8_0(_ source: UnsafeRawPointer, _ blocks: Int, _ row: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let block = source + b &* BlockQ8_0.bytes
    let target = panel + b &* BlockPanel.bytes(lines: 8)
    copyHalf(block, BlockQ8_0.d, target + BlockPanel.scales, row)
    let lines = target + BlockPanel.quants
    for j in 0..<8 {
      let quad = word(block, BlockQ8_0.quants &+ j &* 4)
      lines.storeBytes(of: quad, toByteOffset: j &* PanelLayout.line &+ row &* 4, as: UInt32.self)
    }
  }
}

/// Scales and mins of Q4_K and Q5_K.
@inline(__always)
private func packHead(_ block: UnsafeRawPointer, _ row: Int, _ target: UnsafeMutableRawPointer) {
  copyHalf(block, BlockQ4_K.d, target + SuperPanel.d, row)
  copyHalf(block, BlockQ4_K.dmin, target + SuperPanel.dmin, row)
  let (scales, mins) = SixBitScales.unpackWords(block + BlockQ4_K.scales)
  for s in 0..<8 {
    let scale = UInt8(truncatingIfNeeded: scales &>> UInt64(8 &* s))
    target.storeBytes(of: scale, toByteOffset: SuperPanel.scales &+ s &* 16 &+ row, as: UInt8.self)
  }
  for pair in 0..<4 {
    let two = UInt16(truncatingIfNeeded: mins &>> UInt64(16 &* pair))
    target.storeBytes(of: two, toByteOffset: SuperPanel.mins &+ pair &* 32 &+ row &* 2, as: UInt16.self)
  }
}

private func packQ4_K(_ source: UnsafeRawPointer, _ blocks: Int, _ row: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let block = source + b &* BlockQ4_K.bytes
    let target = panel + b &* PanelLayout.blockBytes(.q4_K)
    packHead(block, row, target)
    for s in 0..<8 {
      let nibbles = block + (BlockQ4_K.quants &+ 32 &* (s >> 1))
      let shift = UInt32(truncatingIfNeeded: 4 &* (s & 1))
      storeNibbles(target + (SuperPanel.quants &+ s &* (4 &* PanelLayout.line)), row) { j in
        word(nibbles, 4 &* j) &>> shift & 0x0f0f_0f0f
      }
    }
  }
}

private func packQ5_K(_ source: UnsafeRawPointer, _ blocks: Int, _ row: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let block = source + b &* BlockQ5_K.bytes
    let target = panel + b &* PanelLayout.blockBytes(.q5_K)
    packHead(block, row, target)
    for s in 0..<8 {
      let nibbles = block + (BlockQ5_K.quants &+ 32 &* (s >> 1))
      let shift = UInt32(truncatingIfNeeded: 4 &* (s & 1))
      let lines = target + (SuperPanel.quants &+ s &* (5 &* PanelLayout.line))
      storeNibbles(lines, row) { j in word(nibbles, 4 &* j) &>> shift & 0x0f0f_0f0f }
      var fifths: UInt32 = 0
      for j in 0..<8 {
        let bits = word(block, BlockQ5_K.highBits &+ 4 &* j) &>> UInt32(truncatingIfNeeded: s) & 0x0101_0101
        fifths |= bits &<< UInt32(truncatingIfNeeded: j)
      }
      lines.storeBytes(of: fifths, toByteOffset: 4 &* PanelLayout.line &+ row &* 4, as: UInt32.self)
    }
  }
}

private func packQ6_K(_ source: UnsafeRawPointer, _ blocks: Int, _ row: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let block = source + b &* BlockQ6_K.bytes
    let target = panel + b &* PanelLayout.blockBytes(.q6_K)
    let d = Half.float(block.loadUnaligned(fromByteOffset: BlockQ6_K.d, as: UInt16.self))
    target.storeBytes(of: d, toByteOffset: SuperPanel6.d &+ row &* 4, as: Float.self)
    for pair in 0..<8 {
      copyHalf(block, BlockQ6_K.scales &+ 2 &* pair, target + (SuperPanel6.scales &+ 32 &* pair), row)
      // 32 numbers, 128 h + 32 g onwards.
      let (h, g) = (pair >> 2, pair & 3)
      let nibbles = block + (BlockQ6_K.lowBits &+ 64 &* h &+ 32 &* (g & 1))
      let shift = UInt32(truncatingIfNeeded: 4 &* (g >> 1))
      let lines = target + (SuperPanel6.quants &+ pair &* (6 &* PanelLayout.line))
      storeNibbles(lines, row) { j in word(nibbles, 4 &* j) &>> shift & 0x0f0f_0f0f }
      let tops = block + (BlockQ6_K.highBits &+ 32 &* h)
      for half in 0..<2 {
        var bits: UInt32 = 0
        for j in 0..<4 {
          let two = word(tops, 16 &* half &+ 4 &* j) &>> UInt32(truncatingIfNeeded: 2 &* g) & 0x0303_0303
          bits |= two &<< UInt32(truncatingIfNeeded: 2 &* j)
        }
        lines.storeBytes(of: bits, toByteOffset: (4 &+ half) &* PanelLayout.line &+ row &* 4, as: UInt32.self)
      }
    }
  }
}
