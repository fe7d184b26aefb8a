extension VectorRows {
  @inlinable
  public static func sigmoidMultiply(_ gate: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int) {
    var index = 0
    while index < count {
      let rest = count - index
      let whole = rest >= 16
      let g = whole ? load16(gate + index) : loadTail(gate + index, rest)
      let value = gated(whole ? load16(y + index) : loadTail(y + index, rest), g)
      if whole { store16(value, y + index) } else { storeTail(value, y + index, rest) }
      index += 16
    }
  }

  /// Reads the state once for both products and once to change it, four rows at a time, so that the sums are loaded and
  /// stored once for four. Sums add in the order of the rows.
  @inlinable
  public static func deltaStep(
    _ state: UnsafeMutablePointer<Float>, _ key: UnsafePointer<Float>, _ query: UnsafePointer<Float>,
    _ value: UnsafePointer<Float>, _ correction: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Float>,
    _ decay: Float, _ beta: Float, _ depth: Int, _ columns: Int
  ) {
    var column = 0
    while column < columns {
      store16(Lanes16(repeating: 0), correction + column)
      store16(Lanes16(repeating: 0), out + column)
      column += 16
    }
    var k = 0
    while k + 4 <= depth {
      let row = state + k * columns
      var column = 0
      while column < columns {
        let s0 = load16(row + column)
        let s1 = load16(row + columns + column)
        let s2 = load16(row + 2 * columns + column)
        let s3 = load16(row + 3 * columns + column)
        var c = load16(correction + column)
        c = L.multiplyAdd(Lanes16(repeating: key[k]), s0, c)
        c = L.multiplyAdd(Lanes16(repeating: key[k + 1]), s1, c)
        c = L.multiplyAdd(Lanes16(repeating: key[k + 2]), s2, c)
        c = L.multiplyAdd(Lanes16(repeating: key[k + 3]), s3, c)
        store16(c, correction + column)
        var o = load16(out + column)
        o = L.multiplyAdd(Lanes16(repeating: query[k]), s0, o)
        o = L.multiplyAdd(Lanes16(repeating: query[k + 1]), s1, o)
        o = L.multiplyAdd(Lanes16(repeating: query[k + 2]), s2, o)
        o = L.multiplyAdd(Lanes16(repeating: query[k + 3]), s3, o)
        store16(o, out + column)
        column += 16
      }
      k += 4
    }
    while k < depth {
      addScaled(state + k * columns, key[k], correction, columns)
      addScaled(state + k * columns, query[k], out, columns)
      k += 1
    }
    var alike: Float = 0
    k = 0
    while k < depth {
      alike += key[k] * query[k]
      k += 1
    }
    let decays = Lanes16(repeating: decay)
    column = 0
    while column < columns {
      let c = (load16(value + column) - decays * load16(correction + column)) * Lanes16(repeating: beta)
      store16(c, correction + column)
      store16(L.multiplyAdd(Lanes16(repeating: alike), c, decays * load16(out + column)), out + column)
      column += 16
    }
    k = 0
    while k < depth {
      let row = state + k * columns
      let factor = Lanes16(repeating: key[k])
      column = 0
      while column < columns {
        store16(L.multiplyAdd(factor, load16(correction + column), decays * load16(row + column)), row + column)
        column += 16
      }
      k += 1
    }
  }
}

extension VectorAttention {
  @inlinable
  public static func matrixProduct(
    _ a: UnsafePointer<Float>, _ aStride: Int, _ b: UnsafePointer<Float>, _ bStride: Int,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ rows: Int, _ depth: Int, _ columns: Int, _ accumulate: Bool
  ) {
    product(
      a, aStride, bStride, c, cStride, rows: rows, depth: depth, columns: columns, accumulate: accumulate
    ) { L.wideLoad(b + $0) }
  }
}
