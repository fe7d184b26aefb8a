import OccamQuantFormats

func packQ4_0(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  packBlocks(rows, source, blocks, panel, bytes: BlockQ4_0.bytes, heads: 1, lines: 4) { block, heads, lines in
    storeHead(rows, block + BlockQ4_0.d, heads)
    storeNibbles(rows, block + BlockQ4_0.quants, lines)
  }
}

func packQ4_1(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  packBlocks(rows, source, blocks, panel, bytes: BlockQ4_1.bytes, heads: 2, lines: 4) { block, heads, lines in
    storeHead(rows, block + BlockQ4_1.d, heads)
    storeHead(rows, block + BlockQ4_1.m, heads + BlockPanel.mins)
    storeNibbles(rows, block + BlockQ4_1.quants, lines)
  }
}

func packQ5_0(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  packBlocks(rows, source, blocks, panel, bytes: BlockQ5_0.bytes, heads: 1, lines: 5) { block, heads, lines in
    storeHead(rows, block + BlockQ5_0.d, heads)
    storeNibbles(rows, block + BlockQ5_0.quants, lines)
    storeFifthBits(rows, block + BlockQ5_0.highBits, lines + 4 &* PanelLayout.line)
  }
}

func packQ5_1(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  packBlocks(rows, source, blocks, panel, bytes: BlockQ5_1.bytes, heads: 2, lines: 5) { block, heads, lines in
    storeHead(rows, block + BlockQ5_1.d, heads)
    storeHead(rows, block + BlockQ5_1.m, heads + BlockPanel.mins)
    storeNibbles(rows, block + BlockQ5_1.quants, lines)
    storeFifthBits(rows, block + BlockQ5_1.highBits, lines + 4 &* PanelLayout.line)
  }
}

func packQ8_0(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  packBlocks(rows, source, blocks, panel, bytes: BlockQ8_0.bytes, heads: 1, lines: 8) { block, heads, lines in
    storeHead(rows, block + BlockQ8_0.d, heads)
    let words = rows.octet(block + BlockQ8_0.quants)
    store(words.low.0, lines)
    store(words.low.1, lines + PanelLayout.line)
    store(words.low.2, lines + 2 &* PanelLayout.line)
    store(words.low.3, lines + 3 &* PanelLayout.line)
    store(words.high.0, lines + 4 &* PanelLayout.line)
    store(words.high.1, lines + 5 &* PanelLayout.line)
    store(words.high.2, lines + 6 &* PanelLayout.line)
    store(words.high.3, lines + 7 &* PanelLayout.line)
  }
}

func packMXFP4(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  packBlocks(rows, source, blocks, panel, bytes: BlockMXFP4.bytes, heads: 1, lines: 4) { block, heads, lines in
    for row in 0..<4 {
      let e = block.load(fromByteOffset: row &* rows.stride &+ BlockMXFP4.exponent, as: UInt8.self)
      heads.storeBytes(of: BlockMXFP4.scale(e), toByteOffset: 2 &* row, as: UInt16.self)
    }
    storeNibbles(rows, block + BlockMXFP4.quants, lines)
  }
}

/// Calls `body` for four rows of each block: (their block, heads, lines).
@inline(__always)
private func packBlocks(
  _ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer, bytes: Int,
  heads: Int, lines: Int,
  _ body: (_ block: UnsafeRawPointer, _ heads: UnsafeMutableRawPointer, _ lines: UnsafeMutableRawPointer) -> Void
) {
  for b in 0..<blocks {
    let target = panel + b &* BlockPanel.bytes(heads: heads, lines: lines)
    rows.groups(source + b &* bytes) { first, block in
      body(block, target + 2 &* first, target + (BlockPanel.quants(heads: heads) &+ 4 &* first))
    }
  }
}

@inline(__always)
private func storeHead(_ rows: FourRows, _ halves: UnsafeRawPointer, _ head: UnsafeMutableRawPointer) {
  head.storeBytes(of: rows.halves(halves), as: SIMD4<UInt16>.self)
}

/// 16 bytes of nibbles, byte i holding columns i and i + 16, -> four lines.
@inline(__always)
func storeNibbles(_ rows: FourRows, _ quants: UnsafeRawPointer, _ lines: UnsafeMutableRawPointer) {
  let words = rows.square(quants)
  store(Octet.lower(words.0, words.1), lines)
  store(Octet.lower(words.2, words.3), lines + PanelLayout.line)
  store(Octet.upper(words.0, words.1), lines + 2 &* PanelLayout.line)
  store(Octet.upper(words.2, words.3), lines + 3 &* PanelLayout.line)
}

/// A word of bits, bit i belonging to column i, -> a line of top bits.
@inline(__always)
private func storeFifthBits(_ rows: FourRows, _ bits: UnsafeRawPointer, _ line: UnsafeMutableRawPointer) {
  let words = Words(
    bits.loadUnaligned(as: UInt32.self), (bits + rows.stride).loadUnaligned(as: UInt32.self),
    (bits + 2 &* rows.stride).loadUnaligned(as: UInt32.self), (bits + 3 &* rows.stride).loadUnaligned(as: UInt32.self))
  var line4 = Words()
  for j in 0..<8 {
    let four = (words &>> UInt32(truncatingIfNeeded: 4 &* j)) & 15
    // Bit b of the four to the lowest bit of byte b.
    let spread = (four | four &<< 7 | four &<< 14 | four &<< 21) & 0x0101_0101
    line4 |= spread &<< UInt32(truncatingIfNeeded: j)
  }
  store(line4, line)
}
