/// The two products and the softmax of one attention tile; layouts in `AttentionTile`.
public enum VectorAttention<L: VectorLanes> {
  @inlinable
  public static func scores(
    _ queries: UnsafePointer<Float>, _ keys: UnsafePointer<Float>, _ scores: UnsafeMutablePointer<Float>,
    _ rows: Int, _ cells: Int, _ dimension: Int
  ) {
    scoreTile(queries, scores, rows, cells, dimension) { L.wideLoad(keys + $0) }
  }

  @inlinable
  public static func scoresHalf(
    _ queries: UnsafePointer<Float>, _ keys: UnsafePointer<UInt16>, _ scores: UnsafeMutablePointer<Float>,
    _ rows: Int, _ cells: Int, _ dimension: Int
  ) {
    scoreTile(queries, scores, rows, cells, dimension) { L.wideLoad(keys + $0) }
  }

  @inlinable
  public static func weightedValues(
    _ weights: UnsafePointer<Float>, _ values: UnsafePointer<Float>, _ outputs: UnsafeMutablePointer<Float>,
    _ rows: Int, _ cells: Int, _ dimension: Int
  ) {
    valueTile(weights, outputs, rows, cells, dimension) { L.wideLoad(values + $0) }
  }

  @inlinable
  public static func weightedValuesHalf(
    _ weights: UnsafePointer<Float>, _ values: UnsafePointer<UInt16>, _ outputs: UnsafeMutablePointer<Float>,
    _ rows: Int, _ cells: Int, _ dimension: Int
  ) {
    valueTile(weights, outputs, rows, cells, dimension) { L.wideLoad(values + $0) }
  }

  /// Strides are constants on both sides of `narrowDimension`, which the tiles' addresses are made of.
  @inlinable @inline(__always)
  public static func scoreTile(
    _ queries: UnsafePointer<Float>, _ scores: UnsafeMutablePointer<Float>, _ rows: Int, _ cells: Int,
    _ dimension: Int, _ load: (Int) -> L.Wide
  ) {
    let columns = (cells + L.wideCount - 1) & ~(L.wideCount - 1)
    if dimension <= AttentionTile.narrowDimension {
      product(
        queries, AttentionTile.narrowStride, AttentionTile.cells, scores, AttentionTile.scoreStride, rows: rows,
        depth: dimension, columns: columns, accumulate: false, load)
    } else {
      product(
        queries, AttentionTile.wideStride, AttentionTile.cells, scores, AttentionTile.scoreStride, rows: rows,
        depth: dimension, columns: columns, accumulate: false, load)
    }
  }

  @inlinable @inline(__always)
  public static func valueTile(
    _ weights: UnsafePointer<Float>, _ outputs: UnsafeMutablePointer<Float>, _ rows: Int, _ cells: Int,
    _ dimension: Int, _ load: (Int) -> L.Wide
  ) {
    if dimension <= AttentionTile.narrowDimension {
      product(
        weights, AttentionTile.scoreStride, dimension, outputs, AttentionTile.narrowStride, rows: rows, depth: cells,
        columns: dimension, accumulate: true, load)
    } else {
      product(
        weights, AttentionTile.scoreStride, dimension, outputs, AttentionTile.wideStride, rows: rows, depth: cells,
        columns: dimension, accumulate: true, load)
    }
  }

  /// C (rows x columns) = or += A (rows x depth) * B (depth x columns), `columns` whole vectors; `load` gives B at
  /// an element offset. Every element sums over depth in order, whichever tile computes it, so that a row's result
  /// does not depend on its neighbours.
  @inlinable @inline(__always)
  public static func product(
    _ a: UnsafePointer<Float>, _ aStride: Int, _ bStride: Int, _ c: UnsafeMutablePointer<Float>, _ cStride: Int,
    rows: Int, depth: Int, columns: Int, accumulate: Bool, _ load: (Int) -> L.Wide
  ) {
    // Sixes, but 8 left over (a group of query heads when decoding) as two fours; then single rows.
    let sixes = rows % 6 == 2 && rows >= 8 ? rows - 8 : rows - rows % 6
    let fours = sixes + (rows - sixes) / 4 * 4
    var column = 0
    while column < columns {
      var row = 0
      while row < sixes {
        tileOfSix(
          a + row * aStride, aStride, bStride, c + row * cStride + column, cStride, depth, accumulate
        ) { load(column + $0) }
        row += 6
      }
      while row < fours {
        tileOfFour(
          a + row * aStride, aStride, bStride, c + row * cStride + column, cStride, depth, accumulate
        ) { load(column + $0) }
        row += 4
      }
      column += L.wideCount
    }
    var row = fours
    while row < rows {
      singleRow(a + row * aStride, bStride, c + row * cStride, depth, columns, accumulate, load)
      row += 1
    }
  }

  @inlinable @inline(__always)
  public static func tileOfSix(
    _ a: UnsafePointer<Float>, _ aStride: Int, _ bStride: Int, _ c: UnsafeMutablePointer<Float>, _ cStride: Int,
    _ depth: Int, _ accumulate: Bool, _ load: (Int) -> L.Wide
  ) {
    var c0 = accumulate ? L.wideLoad(UnsafePointer(c)) : L.wideZero
    var c1 = accumulate ? L.wideLoad(UnsafePointer(c + cStride)) : L.wideZero
    var c2 = accumulate ? L.wideLoad(UnsafePointer(c + 2 * cStride)) : L.wideZero
    var c3 = accumulate ? L.wideLoad(UnsafePointer(c + 3 * cStride)) : L.wideZero
    var c4 = accumulate ? L.wideLoad(UnsafePointer(c + 4 * cStride)) : L.wideZero
    var c5 = accumulate ? L.wideLoad(UnsafePointer(c + 5 * cStride)) : L.wideZero
    var k = 0
    var offset = 0
    while k < depth {
      let b = load(offset)
      c0 = L.wideMultiplyAdd(a[k], b, c0)
      c1 = L.wideMultiplyAdd(a[k + aStride], b, c1)
      c2 = L.wideMultiplyAdd(a[k + 2 * aStride], b, c2)
      c3 = L.wideMultiplyAdd(a[k + 3 * aStride], b, c3)
      c4 = L.wideMultiplyAdd(a[k + 4 * aStride], b, c4)
      c5 = L.wideMultiplyAdd(a[k + 5 * aStride], b, c5)
      k += 1
      offset += bStride
    }
    L.wideStore(c0, c)
    L.wideStore(c1, c + cStride)
    L.wideStore(c2, c + 2 * cStride)
    L.wideStore(c3, c + 3 * cStride)
    L.wideStore(c4, c + 4 * cStride)
    L.wideStore(c5, c + 5 * cStride)
  }

  @inlinable @inline(__always)
  public static func tileOfFour(
    _ a: UnsafePointer<Float>, _ aStride: Int, _ bStride: Int, _ c: UnsafeMutablePointer<Float>, _ cStride: Int,
    _ depth: Int, _ accumulate: Bool, _ load: (Int) -> L.Wide
  ) {
    var c0 = accumulate ? L.wideLoad(UnsafePointer(c)) : L.wideZero
    var c1 = accumulate ? L.wideLoad(UnsafePointer(c + cStride)) : L.wideZero
    var c2 = accumulate ? L.wideLoad(UnsafePointer(c + 2 * cStride)) : L.wideZero
    var c3 = accumulate ? L.wideLoad(UnsafePointer(c + 3 * cStride)) : L.wideZero
    var k = 0
    var offset = 0
    while k < depth {
      let b = load(offset)
      c0 = L.wideMultiplyAdd(a[k], b, c0)
      c1 = L.wideMultiplyAdd(a[k + aStride], b, c1)
      c2 = L.wideMultiplyAdd(a[k + 2 * aStride], b, c2)
      c3 = L.wideMultiplyAdd(a[k + 3 * aStride], b, c3)
      k += 1
      offset += bStride
    }
    L.wideStore(c0, c)
    L.wideStore(c1, c + cStride)
    L.wideStore(c2, c + 2 * cStride)
    L.wideStore(c3, c + 3 * cStride)
  }

  /// One row against four vectors of columns at a time (two where four would pass the end): enough independent sums
  /// to hide the latency of the additions.
  @inlinable @inline(__always)
  public static func singleRow(
    _ a: UnsafePointer<Float>, _ bStride: Int, _ c: UnsafeMutablePointer<Float>, _ depth: Int, _ columns: Int,
    _ accumulate: Bool, _ load: (Int) -> L.Wide
  ) {
    let width = L.wideCount
    var column = 0
    while column + 4 * width <= columns {
      let out = c + column
      var c0 = accumulate ? L.wideLoad(UnsafePointer(out)) : L.wideZero
      var c1 = accumulate ? L.wideLoad(UnsafePointer(out + width)) : L.wideZero
      var c2 = accumulate ? L.wideLoad(UnsafePointer(out + 2 * width)) : L.wideZero
      var c3 = accumulate ? L.wideLoad(UnsafePointer(out + 3 * width)) : L.wideZero
      var k = 0
      var offset = column
      while k < depth {
        let factor = a[k]
        c0 = L.wideMultiplyAdd(factor, load(offset), c0)
        c1 = L.wideMultiplyAdd(factor, load(offset + width), c1)
        c2 = L.wideMultiplyAdd(factor, load(offset + 2 * width), c2)
        c3 = L.wideMultiplyAdd(factor, load(offset + 3 * width), c3)
        k += 1
        offset += bStride
      }
      L.wideStore(c0, out)
      L.wideStore(c1, out + width)
      L.wideStore(c2, out + 2 * width)
      L.wideStore(c3, out + 3 * width)
      column += 4 * width
    }
    while column + 2 * width <= columns {
      let out = c + column
      var c0 = accumulate ? L.wideLoad(UnsafePointer(out)) : L.wideZero
      var c1 = accumulate ? L.wideLoad(UnsafePointer(out + width)) : L.wideZero
      var k = 0
      var offset = column
      while k < depth {
        c0 = L.wideMultiplyAdd(a[k], load(offset), c0)
        c1 = L.wideMultiplyAdd(a[k], load(offset + width), c1)
        k += 1
        offset += bStride
      }
      L.wideStore(c0, out)
      L.wideStore(c1, out + width)
      column += 2 * width
    }
    while column < columns {
      var c0 = accumulate ? L.wideLoad(UnsafePointer(c + column)) : L.wideZero
      var k = 0
      var offset = column
      while k < depth {
        c0 = L.wideMultiplyAdd(a[k], load(offset), c0)
        k += 1
        offset += bStride
      }
      L.wideStore(c0, c + column)
      column += width
    }
  }

  @inlinable
  public static func softmaxStep(
    _ scores: UnsafeMutablePointer<Float>, _ starts: UnsafePointer<Int32>, _ limits: UnsafePointer<Int32>,
    _ maxima: UnsafeMutablePointer<Float>, _ sums: UnsafeMutablePointer<Float>,
    _ outputs: UnsafeMutablePointer<Float>, _ rows: Int, _ dimension: Int
  ) {
    let stride = AttentionTile.rowStride(dimension)
    var row = 0
    while row < rows {
      let s = scores + row * AttentionTile.scoreStride
      let limit = limits[row]
      let start = starts[row]
      var v0 = load16(s)
      var v1 = load16(s + 16)
      var v2 = load16(s + 32)
      var v3 = load16(s + 48)
      if limit < 64 {
        let hidden = -Float.infinity
        v0 = masked(v0, limit, hidden)
        v1 = masked(v1, limit - 16, hidden)
        v2 = masked(v2, limit - 32, hidden)
        v3 = masked(v3, limit - 48, hidden)
      }
      if start > 0 {
        let hidden = -Float.infinity
        v0 = maskedBelow(v0, start, hidden)
        v1 = maskedBelow(v1, start - 16, hidden)
        v2 = maskedBelow(v2, start - 32, hidden)
        v3 = maskedBelow(v3, start - 48, hidden)
      }
      let old = maxima[row]
      let largest = L.largestLane(L.maximum(L.maximum(v0, v1), L.maximum(v2, v3)))
      let maximum = old < largest ? largest : old
      if limit > 0, old < maximum {
        // At the first block old is -infinity and sum and outputs are 0: whatever the factor, they stay 0.
        let factor = VectorRows<L>.exp(Lanes16(repeating: old - maximum))
        var index = 0
        while index < dimension {
          let out = outputs + row * stride + index
          store16(load16(out) * factor, out)
          index += 16
        }
        maxima[row] = maximum
        sums[row] *= factor[0]
      }
      let shift = Lanes16(repeating: maximum)
      if limit > 48 {
        v0 = VectorRows<L>.exp(v0 - shift)
        v1 = VectorRows<L>.exp(v1 - shift)
        v2 = VectorRows<L>.exp(v2 - shift)
        v3 = masked(VectorRows<L>.exp(v3 - shift), limit - 48, 0)
      } else {
        // Few cells: what a row does not see at all is not computed either.
        let zero = Lanes16(repeating: 0)
        v0 = limit > 0 ? masked(VectorRows<L>.exp(v0 - shift), limit, 0) : zero
        v1 = limit > 16 ? masked(VectorRows<L>.exp(v1 - shift), limit - 16, 0) : zero
        v2 = limit > 32 ? masked(VectorRows<L>.exp(v2 - shift), limit - 32, 0) : zero
        v3 = zero
      }
      if start > 0 {
        v0 = maskedBelow(v0, start, 0)
        v1 = maskedBelow(v1, start - 16, 0)
        v2 = maskedBelow(v2, start - 32, 0)
        v3 = maskedBelow(v3, start - 48, 0)
      }
      store16(v0, s)
      store16(v1, s + 16)
      store16(v2, s + 32)
      store16(v3, s + 48)
      sums[row] += laneSum((v0 + v1) + (v2 + v3))
      row += 1
    }
  }

  /// The first `limit` lanes of `value`, the others `rest`. Floats count the lanes: comparing vectors of integers
  /// goes lane by lane in this language.
  @inlinable @inline(__always)
  public static func masked(_ value: Lanes16, _ limit: Int32, _ rest: Float) -> Lanes16 {
    let lanes = Lanes16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    return value.replacing(with: Lanes16(repeating: rest), where: lanes .>= Lanes16(repeating: Float(limit)))
  }
  /// The lanes from `start` on of `value`, the others `rest`.
  @inlinable @inline(__always)
  public static func maskedBelow(_ value: Lanes16, _ start: Int32, _ rest: Float) -> Lanes16 {
    let lanes = Lanes16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    return value.replacing(with: Lanes16(repeating: rest), where: lanes .< Lanes16(repeating: Float(start)))
  }
}
