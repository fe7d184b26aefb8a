/// [column][16 rows] of 32-bit numbers.
func packWords(_ rows: FourRows, _ source: UnsafeRawPointer, _ columns: Int, _ panel: UnsafeMutableRawPointer) {
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
func packHalves(_ rows: FourRows, _ source: UnsafeRawPointer, _ columns: Int, _ panel: UnsafeMutableRawPointer) {
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
