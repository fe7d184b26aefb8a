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

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList {
    DivPruneSelector.choose(cosineMatrix(tokens.projected()), tokens: tokens.count, count: count)
  }

  /// - Parameter similarity: tokens x tokens, cosines.
  package static func choose(_ similarity: [Float], tokens: Int, count: Int) -> KeepList {
    guard tokens > 0 else { return .everything(0) }
    func nearest(_ token: Int) -> Float {
      (0..<tokens).reduce(.infinity) { $1 == token ? $0 : min($0, 1 - similarity[token * tokens + $1]) }
    }
    var distance = (0..<tokens).map { nearest($0) }
    var chosen: [Int] = []
    for round in 0..<min(max(count, 1), tokens) {
      var best: Int?
      for token in 0..<tokens where !chosen.contains(token) {
        if best.map({ distance[token] > distance[$0] }) ?? true { best = token }
      }
      guard let best else { break }
      chosen.append(best)
      for token in 0..<tokens {
        let apart = 1 - similarity[best * tokens + token]
        distance[token] = round == 0 ? apart : min(distance[token], apart)
      }
    }
    return KeepList(kept: chosen.sorted(), total: tokens)
  }
}

/// Cosines between all rows, rows x rows. A row of zeros is similar to none.
package func cosineMatrix(_ rows: MatrixView<Float>) -> [Float] {
  let unit = (0..<rows.rows).map { normalized(UnsafeBufferPointer(start: rows.row($0), count: rows.columns)) }
  var result = [Float](repeating: 0, count: rows.rows * rows.rows)
  for left in unit.indices {
    for right in left..<unit.count {
      let value = dot(unit[left], unit[right])
      result[left * unit.count + right] = value
      result[right * unit.count + left] = value
    }
  }
  return result
}

func normalized(_ row: some Collection<Float>) -> [Float] {
  let norm = row.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
  return row.map { norm > 0 ? Float(Double($0) / norm) : 0 }
}

/// Both of one length.
func dot(_ left: [Float], _ right: [Float]) -> Float {
  var sum: Float = 0
  for index in left.indices { sum += left[index] * right[index] }
  return sum
}
