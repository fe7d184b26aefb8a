import OccamQuantFormats

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

func packQ4_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
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

func packQ5_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
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
        store(
          fifths.topBits(UInt32(truncatingIfNeeded: s)), lines + (5 &* s &+ 4) &* PanelLayout.line)
      }
    }
  }
}

func packQ6_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SignedPanel.bytes(pairs: 8, lines: 6)
    rows.groups(source + b &* BlockQ6_K.bytes) { first, block in
      storeFloats(rows, block + BlockQ6_K.d, target + (SignedPanel.d &+ 4 &* first))
      for half in 0..<2 {
        let nibbles = block + (BlockQ6_K.lowBits &+ 64 &* half)
        let (a, b) = (rows.octet(nibbles), rows.octet(nibbles + 32))
        let tops = rows.octet(block + (BlockQ6_K.highBits &+ 32 &* half))
        for quarter in 0..<4 {
          // 32 numbers, 128 half + 32 quarter onwards.
          let pair = 4 &* half &+ quarter
          let scales = rows.halves(block + (BlockQ6_K.scales &+ 2 &* pair))
          (target + (SignedPanel.scales &+ 32 &* pair &+ 2 &* first)).storeBytes(of: scales, as: SIMD4<UInt16>.self)
          let lines = target + (SignedPanel.quants(pairs: 8) &+ pair &* (6 &* PanelLayout.line) &+ 4 &* first)
          (quarter & 1 == 0 ? a : b).storeNibbles(upper: quarter >= 2, lines)
          let shift = UInt32(truncatingIfNeeded: 2 &* quarter)
          store(bitPairs(tops.low, shift), lines + 4 &* PanelLayout.line)
          store(bitPairs(tops.high, shift), lines + 5 &* PanelLayout.line)
        }
      }
    }
  }
}

/// Halves of four rows -> floats.
@inline(__always)
private func storeFloats(_ rows: FourRows, _ halves: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
  for row in 0..<4 {
    let half = (halves + row &* rows.stride).loadUnaligned(as: UInt16.self)
    target.storeBytes(of: Half.float(half), toByteOffset: 4 &* row, as: Float.self)
  }
}

func packQ2_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SuperPanel2.bytes
    rows.groups(source + b &* BlockQ2_K.bytes) { first, block in
      let (d, dmin) = (rows.halves(block + BlockQ2_K.d), rows.halves(block + BlockQ2_K.dmin))
      (target + (SuperPanel2.d &+ 2 &* first)).storeBytes(of: d, as: SIMD4<UInt16>.self)
      (target + (SuperPanel2.dmin &+ 2 &* first)).storeBytes(of: dmin, as: SIMD4<UInt16>.self)
      for pair in 0..<8 {
        let scales = rows.halves(block + (BlockQ2_K.scales &+ 2 &* pair))
        (target + (SuperPanel2.scales &+ 32 &* pair &+ 2 &* first)).storeBytes(of: scales, as: SIMD4<UInt16>.self)
      }
      storeBitPairs(
        rows, block + BlockQ2_K.quants, target + (SuperPanel2.quants &+ 4 &* first), pairBytes: 2 &* PanelLayout.line)
    }
  }
}

func packQ3_K(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SignedPanel.bytes(pairs: 8, lines: 3)
    rows.groups(source + b &* BlockQ3_K.bytes) { first, block in
      storeFloats(rows, block + BlockQ3_K.d, target + (SignedPanel.d &+ 4 &* first))
      for row in 0..<4 {
        let scales = BlockQ3_K.unpackScales(block + row &* rows.stride)
        for pair in 0..<8 {
          let both = (pair < 4 ? scales.low : scales.high) &>> UInt64(truncatingIfNeeded: 16 &* (pair & 3))
          target.storeBytes(
            of: UInt16(truncatingIfNeeded: both),
            toByteOffset: SignedPanel.scales &+ 32 &* pair &+ 2 &* (first &+ row), as: UInt16.self)
        }
      }
      let lines = target + (SignedPanel.quants(pairs: 8) &+ 4 &* first)
      storeBitPairs(rows, block + BlockQ3_K.quants, lines, pairBytes: 3 &* PanelLayout.line)
      let tops = rows.octet(block + BlockQ3_K.highBits)
      for pair in 0..<8 {
        store(tops.topBits(UInt32(truncatingIfNeeded: pair)), lines + (3 &* pair &+ 2) &* PanelLayout.line)
      }
    }
  }
}

/// The two-bit numbers of a super-block of Q2_K or Q3_K: two lines for each pair of sub-blocks of 16.
@inline(__always)
private func storeBitPairs(
  _ rows: FourRows, _ quants: UnsafeRawPointer, _ lines: UnsafeMutableRawPointer, pairBytes: Int
) {
  for half in 0..<2 {
    let words = rows.octet(quants + 32 &* half)
    for group in 0..<4 {
      let place = lines + (4 &* half &+ group) &* pairBytes
      let shift = UInt32(truncatingIfNeeded: 2 &* group)
      store(bitPairs(words.low, shift), place)
      store(bitPairs(words.high, shift), place + PanelLayout.line)
    }
  }
}

func packIQ4_XS(_ rows: FourRows, _ source: UnsafeRawPointer, _ blocks: Int, _ panel: UnsafeMutableRawPointer) {
  for b in 0..<blocks {
    let target = panel + b &* SignedPanel.bytes(pairs: 4, lines: 8)
    rows.groups(source + b &* BlockIQ4_XS.bytes) { first, block in
      storeFloats(rows, block + BlockIQ4_XS.d, target + (SignedPanel.d &+ 4 &* first))
      for s in 0..<8 {
        for row in 0..<4 {
          let scale = BlockIQ4_XS.scale(block + row &* rows.stride, s)
          let place = SignedPanel.scales &+ 32 &* (s >> 1) &+ 2 &* (first &+ row) &+ (s & 1)
          target.storeBytes(of: scale, toByteOffset: place, as: Int8.self)
        }
        let lines = target + (SignedPanel.quants(pairs: 4) &+ 4 &* s &* PanelLayout.line &+ 4 &* first)
        storeNibbles(rows, block + (BlockIQ4_XS.quants &+ 16 &* s), lines)
      }
    }
  }
}
