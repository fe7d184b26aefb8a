import OccamCore
import OccamPruning

/// CDPruner (Zhang et al., NeurIPS 2025, arXiv:2506.10967): the subset that a determinantal point process finds most
/// probable, its kernel being the tokens' similarity conditioned on the question, K[i,j] = r[i] L[i,j] r[j] with L the
/// cosines of the projected features and r the relevance, scaled to 0...1 (section 3.3); greedy MAP inference with
/// Cholesky updates (Chen et al., NeurIPS 2018, Algorithm 1).
///
/// Relevance: for LLaVA the authors use CLIP's text tower, and the negated cosine because CLIP's patches are less similar to
/// what they show than to what they do not. A GGUF pair holds no text tower; the authors say (issue 7 of their repository)
/// that without one the projected features serve both parts. That the question is then the language model's input
/// embeddings, and the cosine is not negated, is our reading: the mean cosine with the question's tokens.
package struct CDPrunerSelector: OnePlaceSelector {
  package let name: String
  package let settings: PruningSettings
  package let count: Int
  /// Input embeddings of the question's tokens.
  package let text: [[Float]]

  package init(name: String = "cdpruner", settings: PruningSettings, count: Int, text: [[Float]]) {
    self.name = name
    self.settings = settings
    self.count = count
    self.text = text
  }

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> {
    let features = tokens.projected()
    return CDPrunerSelector.choose(
      cosineMatrix(features), relevance: CDPrunerSelector.relevance(features, text: text),
      count: tokens.share(of: count))
  }

  /// Mean cosine of each feature with the texts, scaled so that the least is almost 0 and the most 1.
  package static func relevance(_ features: MatrixView<Float>, text: [[Float]]) -> [Float] {
    let unit = text.map { $0.withUnsafeBufferPointer { normalized($0) } }
    let means = (0..<features.rows).map { row in
      let feature = normalized(UnsafeBufferPointer(start: features.row(row), count: features.columns))
      return feature.withUnsafeBufferPointer { feature in
        unit.reduce(0) { sum, word in sum + word.withUnsafeBufferPointer { dot(feature, $0) } }
      } / Float(max(unit.count, 1))
    }
    guard let least = means.min(), let most = means.max(), most > least else {
      return Array(repeating: 1, count: means.count)
    }
    return means.map { ($0 - least + 1e-6) / (most - least) }
  }

  /// - Parameter similarity: tokens x tokens, cosines.
  package static func choose(_ similarity: [Float], relevance: [Float], count: Int) -> KeepList<TileTokens> {
    let tokens = relevance.count
    guard tokens > 0 else { return .everything(0) }
    // What a token would still add: the squared distance of its vector from the span of the chosen ones.
    var gain = (0..<tokens).map { relevance[$0] * relevance[$0] * similarity[$0 * tokens + $0] }
    var directions: [[Float]] = []
    var isChosen = [Bool](repeating: false, count: tokens)
    for _ in 0..<min(max(count, 1), tokens) {
      guard let best = firstLargest(gain, without: isChosen) else { break }
      isChosen[best] = true
      let length = gain[best].squareRoot()
      // Nothing left to add: the rest is chosen by what rounding left of their gains.
      guard length > 0 else { continue }
      var direction = (0..<tokens).map { relevance[best] * similarity[best * tokens + $0] * relevance[$0] }
      for earlier in directions {
        let factor = earlier[best]
        for token in 0..<tokens { direction[token] -= factor * earlier[token] }
      }
      for token in 0..<tokens {
        direction[token] /= length
        gain[token] -= direction[token] * direction[token]
      }
      directions.append(direction)
    }
    return KeepList(kept: (0..<tokens).filter { isChosen[$0] }, total: tokens)
  }
}
