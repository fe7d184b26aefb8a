import OccamQuantFormats

/// Sixteen rows of blocks as a file stores them -> one panel (`PanelLayout`).
///
/// Rows are taken four at a time, four words of each: a transposed square holds what one panel line takes from these
/// rows. The caller guarantees 16 rows of whole blocks at `source`, `rowBytes` apart, and room for
/// `PanelLayout.bytes(format, columns:)` bytes at `panel`, 64-byte aligned.
package func packPanel(
  _ format: QuantFormat, _ source: UnsafeRawPointer, rowBytes: Int, columns: Int, into panel: UnsafeMutableRawPointer
) {
  let rows = FourRows(stride: rowBytes)
  switch format {
  case .f32: packWords(rows, source, columns, panel)
  case .f16, .bf16: packHalves(rows, source, columns, panel)
  case .q4_0: packQ4_0(rows, source, columns / 32, panel)
  case .q8_0: packQ8_0(rows, source, columns / 32, panel)
  case .q4_K: packQ4_K(rows, source, columns / 256, panel)
  case .q5_K: packQ5_K(rows, source, columns / 256, panel)
  case .q6_K: packQ6_K(rows, source, columns / 256, panel)
  }
}

private typealias Words = SIMD4<UInt32>

/// Reads the same place of four rows.
private struct FourRows {
  /// Bytes from row to row.
  let stride: Int

  /// Calls `body` for rows 0, 4, 8 and 12 of a panel.
  @inline(__always)
  func groups(_ source: UnsafeRawPointer, _ body: (_ first: Int, _ source: UnsafeRawPointer) -> Void) {
    body(0, source)
    body(4, source + 4 &* stride)
    body(8, source + 8 &* stride)
    body(12, source + 12 &* stride)
  }

  /// Word j of all four rows in result j.
  @inline(__always)
  func square(_ place: UnsafeRawPointer) -> (Words, Words, Words, Words) {
    let a = place.loadUnaligned(as: Words.self)
    let b = (place + stride).loadUnaligned(as: Words.self)
    let c = (place + 2 &* stride).loadUnaligned(as: Words.self)
    let d = (place + 3 &* stride).loadUnaligned(as: Words.self)
    return (
      Words(a.x, b.x, c.x, d.x), Words(a.y, b.y, c.y, d.y), Words(a.z, b.z, c.z, d.z), Words(a.w, b.w, c.w, d.w)
    )
  }

  /// 32 bytes of all four rows.
  @inline(__always)
  func octet(_ place: UnsafeRawPointer) -> Octet {
    Octet(low: square(place), high: square(place + 16))
  }

  @inline(__always)
  func halves(_ place: UnsafeRawPointer) -> SIMD4<UInt16> {
    SIMD4(
      place.loadUnaligned(as: UInt16.self), (place + stride).loadUnaligned(as: UInt16.self),
      (place + 2 &* stride).loadUnaligned(as: UInt16.self), (place + 3 &* stride).loadUnaligned(as: UInt16.self))
  }
}

/// Eight words of four rows, transposed.
private struct Octet {
  let low: (Words, Words, Words, Words)
  let high: (Words, Words, Words, Words)

  /// Four lines of 4-bit numbers at `lines`: words 2 j and 2 j + 1 make line j. `upper` takes the high nibbles.
  @inline(__always)
  func storeNibbles(upper: Bool, _ lines: UnsafeMutableRawPointer) {
    store(upper ? Octet.upper(low.0, low.1) : Octet.lower(low.0, low.1), lines)
    store(upper ? Octet.upper(low.2, low.3) : Octet.lower(low.2, low.3), lines + PanelLayout.line)
    store(upper ? Octet.upper(high.0, high.1) : Octet.lower(high.0, high.1), lines + 2 &* PanelLayout.line)
    store(upper ? Octet.upper(high.2, high.3) : Octet.lower(high.2, high.3), lines + 3 &* PanelLayout.line)
  }

  @inline(__always)
  static func lower(_ a: Words, _ b: Words) -> Words { a & 0x0f0f_0f0f | (b & 0x0f0f_0f0f) &<< 4 }

  @inline(__always)
  static func upper(_ a: Words, _ b: Words) -> Words { (a &>> 4) & 0x0f0f_0f0f | b & 0xf0f0_f0f0 }
}

@inline(__always)
private func store(_ words: Words, _ place: UnsafeMutableRawPointer) { place.storeBytes(of: words, as: Words.self) }

/// [column][16 rows] of 32-bit numbers.
private func packWords(_ rows: FourRows, _ source: UnsafeRawPointer, _ columns: Int, _ panel: UnsafeMutableRawPointer) {
  let whole = columns & ~3
  var column = 0
  while column < whole {
    rows.groups(source + column &* 4) { first, place in
      let square = rows.square(place)
      let target = panel + (column &* PanelLayout.rows &+ first) &* 4
      store(square.0, target)
      store(square.1, target + 4 &* PanelLayout.rows)
      store(square.2, target + 8 &* PanelLayout.rows)
      store(square.3, target + 12 &* PanelLayout.rows)
    }
    column &+= 4
  }
  while column < columns {
    for row in 0..<PanelLayout.rows {
      let value = source.loadUnaligned(fromByteOffset: row &* rows.stride &+ column &* 4, as: UInt32.self)
      panel.storeBytes(of: value, toByteOffset: (column &* PanelLayout.rows &+ row) &* 4, as: UInt32.self)
    }
    column &+= 1
  }
}

/// [column][16 rows] of 16-bit numbers: a transposed word holds two columns of its row.
private func packHalves(_ rows: FourRows, _ source: UnsafeRawPointer, _ columns: Int, _ panel: UnsafeMutableRawPointer)
{
  let whole = columns & ~7
  var column = 0
  while column < whole {
    rows.groups(source + column &* 2) { first, place in
      let square = rows.square(place)
      let target = panel + (column &* PanelLayout.rows &+ first) &* 2
      storeHalves(square.0, target)
      storeHalves(square.1, target + 4 &* PanelLayout.rows)
      storeHalves(square.2, target + 8 &* PanelLayout.rows)
      storeHalves(square.3, target + 12 &* PanelLayout.rows)
    }
    column &+= 8
  }
  while column < columns {
    rows.groups(source + column &* 2) { first, place in
      (panel + (column &* PanelLayout.rows &+ first) &* 2).storeBytes(of: rows.halves(place), as: SIMD4<UInt16>.self)
    }
    column &+= 1
  }
}

@inline(__always)
private func storeHalves(_ words: Words, _ place: UnsafeMutableRawPointer) {
  let halves = unsafeBitCast(words, to: SIMD8<UInt16>.self)
  place.storeBytes(of: halves.evenHalf, as: SIMD4<UInt16>.self)
  (place + 2 &* PanelLayout.rows).storeBytes(of: halves.oddHalf, as: SIMD4<UInt16>.self)
}

private func packQ4_0(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* BlockPanel.bytes(lines: 4)
    rows.groups(source + b &* BlockQ4_0.bytes) { first, block in
      (target + (BlockPanel.scales &+ 2 &* first)).storeBytes(
        of: rows.halves(block + BlockQ4_0.d), as: SIMD4<UInt16>.self)
      let words = rows.square(block + BlockQ4_0.quants)
      let lines = target + (BlockPanel.quants &+ 4 &* first)
      store(Octet.lower(words.0, words.1), lines)
      store(Octet.lower(words.2, words.3), lines + PanelLayout.line)
      store(Octet.upper(words.0, words.1), lines + 2 &* PanelLayout.line)
      store(Octet.upper(words.2, words.3), lines + 3 &* PanelLayout.line)
    }
  }
}

private func packQ8_0(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* BlockPanel.bytes(lines: 8)
    rows.groups(source + b &* BlockQ8_0.bytes) { first, block in
      (target + (BlockPanel.scales &+ 2 &* first)).storeBytes(
        of: rows.halves(block + BlockQ8_0.d), as: SIMD4<UInt16>.self)
      let words = rows.octet(block + BlockQ8_0.quants)
      let lines = target + (BlockPanel.quants &+ 4 &* first)
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
}

/// d, dmin, scales and mins of Q4_K and Q5_K.
@inline(__always)
private func packHead(_ rows: FourRows, _ source: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
  for row in 0..<PanelLayout.rows {
    let block = source + row &* rows.stride
    let d = block.loadUnaligned(fromByteOffset: BlockQ4_K.d, as: UInt16.self)
    let dmin = block.loadUnaligned(fromByteOffset: BlockQ4_K.dmin, as: UInt16.self)
    target.storeBytes(of: d, toByteOffset: SuperPanel.d &+ row &* 2, as: UInt16.self)
    target.storeBytes(of: dmin, toByteOffset: SuperPanel.dmin &+ row &* 2, as: UInt16.self)
    let (scales, mins) = SixBitScales.unpackWords(block + BlockQ4_K.scales)
    for s in 0..<8 {
      let scale = UInt8(truncatingIfNeeded: scales &>> UInt64(truncatingIfNeeded: 8 &* s))
      target.storeBytes(of: scale, toByteOffset: SuperPanel.scales &+ s &* 16 &+ row, as: UInt8.self)
    }
    for pair in 0..<4 {
      let two = UInt16(truncatingIfNeeded: mins &>> UInt64(truncatingIfNeeded: 16 &* pair))
      target.storeBytes(of: two, toByteOffset: SuperPanel.mins &+ pair &* 32 &+ row &* 2, as: UInt16.self)
    }
  }
}

private func packQ4_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SuperPanel.bytes(lines: 4)
    packHead(rows, source + b &* BlockQ4_K.bytes, target)
    rows.groups(source + b &* BlockQ4_K.bytes) { first, block in
      for pair in 0..<4 {
        let words = rows.octet(block + (BlockQ4_K.quants &+ 32 &* pair))
        let lines = target + (SuperPanel.quants &+ pair &* (8 &* PanelLayout.line) &+ 4 &* first)
        words.storeNibbles(upper: false, lines)
        words.storeNibbles(upper: true, lines + 4 &* PanelLayout.line)
      }
    }
  }
}

private func packQ5_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SuperPanel.bytes(lines: 5)
    packHead(rows, source + b &* BlockQ5_K.bytes, target)
    rows.groups(source + b &* BlockQ5_K.bytes) { first, block in
      let lines = target + (SuperPanel.quants &+ 4 &* first)
      for pair in 0..<4 {
        let words = rows.octet(block + (BlockQ5_K.quants &+ 32 &* pair))
        let lines = lines + pair &* (10 &* PanelLayout.line)
        words.storeNibbles(upper: false, lines)
        words.storeNibbles(upper: true, lines + 5 &* PanelLayout.line)
      }
      let fifths = rows.octet(block + BlockQ5_K.highBits)
      for s in 0..<8 {
        let shift = UInt32(truncatingIfNeeded: s)
        var bits = (fifths.low.0 &>> shift) & 0x0101_0101
        bits |= ((fifths.low.1 &>> shift) & 0x0101_0101) &<< 1
        bits |= ((fifths.low.2 &>> shift) & 0x0101_0101) &<< 2
        bits |= ((fifths.low.3 &>> shift) & 0x0101_0101) &<< 3
        bits |= ((fifths.high.0 &>> shift) & 0x0101_0101) &<< 4
        bits |= ((fifths.high.1 &>> shift) & 0x0101_0101) &<< 5
        bits |= ((fifths.high.2 &>> shift) & 0x0101_0101) &<< 6
        bits |= ((fifths.high.3 &>> shift) & 0x0101_0101) &<< 7
        store(bits, lines + (5 &* s &+ 4) &* PanelLayout.line)
      }
    }
  }
}

private func packQ6_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SuperPanel6.bytes
    rows.groups(source + b &* BlockQ6_K.bytes) { first, block in
      for row in 0..<4 {
        let d = (block + row &* rows.stride).loadUnaligned(fromByteOffset: BlockQ6_K.d, as: UInt16.self)
        target.storeBytes(of: Half.float(d), toByteOffset: SuperPanel6.d &+ (first &+ row) &* 4, as: Float.self)
      }
      for half in 0..<2 {
        let nibbles = block + (BlockQ6_K.lowBits &+ 64 &* half)
        let (a, b) = (rows.octet(nibbles), rows.octet(nibbles + 32))
        let tops = rows.octet(block + (BlockQ6_K.highBits &+ 32 &* half))
        for quarter in 0..<4 {
          // 32 numbers, 128 half + 32 quarter onwards.
          let pair = 4 &* half &+ quarter
          let scales = rows.halves(block + (BlockQ6_K.scales &+ 2 &* pair))
          (target + (SuperPanel6.scales &+ 32 &* pair &+ 2 &* first)).storeBytes(of: scales, as: SIMD4<UInt16>.self)
          let lines = target + (SuperPanel6.quants &+ pair &* (6 &* PanelLayout.line) &+ 4 &* first)
          (quarter & 1 == 0 ? a : b).storeNibbles(upper: quarter >= 2, lines)
          let shift = UInt32(truncatingIfNeeded: 2 &* quarter)
          store(bitPairs(tops.low, shift), lines + 4 &* PanelLayout.line)
          store(bitPairs(tops.high, shift), lines + 5 &* PanelLayout.line)
        }
      }
    }
  }
}

/// Bits `shift` and `shift` + 1 of every byte: those of word j become bits 2 j, 2 j + 1.
@inline(__always)
private func bitPairs(_ words: (Words, Words, Words, Words), _ shift: UInt32) -> Words {
  var bits = (words.0 &>> shift) & 0x0303_0303
  bits |= ((words.1 &>> shift) & 0x0303_0303) &<< 2
  bits |= ((words.2 &>> shift) & 0x0303_0303) &<< 4
  bits |= ((words.3 &>> shift) & 0x0303_0303) &<< 6
  return bits
}
