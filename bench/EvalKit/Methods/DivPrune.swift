import OccamCore
import OccamPruning

/// DivPrune (Alvar et al., CVPR 2025, arXiv:2503.02175): keeps the tokens whose smallest distance to each other is largest
/// (max-min diversity, eqs. 2-3), distance being 1 - cosine of the projected features, greedily (Algorithm 1).
///
/// The first token is the one farthest from its nearest neighbour; each further one is the farthest from all chosen.
/// What differs: positions stay as they were, and equal distances go to the lower index.
package struct DivPruneSelector: OnePlaceSelector {
  package let name: String
  package let settings: PruningSettings
  package let count: Int

  package init(name: String = "divprune", settings: PruningSettings, count: Int) {
    self.name = name
    self.settings = settings
    self.count = count
  }

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> {
    DivPruneSelector.choose(cosineMatrix(tokens.projected()), tokens: tokens.count, count: tokens.share(of: count))
  }

  /// - Parameter similarity: tokens x tokens, cosines.
  package static func choose(_ similarity: [Float], tokens: Int, count: Int) -> KeepList<TileTokens> {
    guard tokens > 0 else { return .everything(0) }
    func nearest(_ token: Int) -> Float {
      (0..<tokens).reduce(.infinity) { $1 == token ? $0 : min($0, 1 - similarity[token * tokens + $1]) }
    }
    var distance = (0..<tokens).map { nearest($0) }
    var isChosen = [Bool](repeating: false, count: tokens)
    for round in 0..<min(max(count, 1), tokens) {
      guard let best = firstLargest(distance, without: isChosen) else { break }
      isChosen[best] = true
      for token in 0..<tokens {
        let apart = 1 - similarity[best * tokens + token]
        distance[token] = round == 0 ? apart : min(distance[token], apart)
      }
    }
    return KeepList(kept: (0..<tokens).filter { isChosen[$0] }, total: tokens)
  }
}

/// Index of the largest value among those not taken yet, the first of equals.
func firstLargest(_ values: [Float], without taken: [Bool]) -> Int? {
  var best: Int?
  for index in values.indices where !taken[index] {
    if best.map({ values[index] > values[$0] }) ?? true { best = index }
  }
  return best
}

/// Cosines between all rows, rows x rows. A row of zeros is similar to none.
package func cosineMatrix(_ rows: MatrixView<Float>) -> [Float] {
  let columns = rows.columns
  let unit = (0..<rows.rows).flatMap { normalized(UnsafeBufferPointer(start: rows.row($0), count: columns)) }
  var result = [Float](repeating: 0, count: rows.rows * rows.rows)
  unit.withUnsafeBufferPointer { unit in
    for left in 0..<rows.rows {
      for right in left..<rows.rows {
        let value = dot(
          UnsafeBufferPointer(rebasing: unit[left * columns..<(left + 1) * columns]),
          UnsafeBufferPointer(rebasing: unit[right * columns..<(right + 1) * columns]))
        result[left * rows.rows + right] = value
        result[right * rows.rows + left] = value
      }
    }
  }
  return result
}

/// The row at length 1; zeros stay.
func normalized(_ row: UnsafeBufferPointer<Float>) -> [Float] {
  let norm = row.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  return row.map { norm > 0 ? Float(Double($0) / norm) : 0 }
}

/// Both of one length.
func dot(_ left: UnsafeBufferPointer<Float>, _ right: UnsafeBufferPointer<Float>) -> Float {
  precondition(left.count == right.count, "dot: rows of different lengths")
  var lanes = SIMD8<Float>()
  let whole = left.count & ~7
  for start in stride(from: 0, to: whole, by: 8) {
    var (a, b) = (SIMD8<Float>(), SIMD8<Float>())
    for lane in 0..<8 {
      a[lane] = left[start + lane]
      b[lane] = right[start + lane]
    }
    lanes += a * b
  }
  var sum = lanes.sum()
  for index in whole..<left.count { sum += left[index] * right[index] }
  return sum
}
