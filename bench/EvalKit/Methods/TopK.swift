import OccamCore
import OccamPruning

/// The `count` largest scores, ascending by index; ties by the lower index, what is not a number last.
package func largest<Numbering>(_ scores: [Float], count: Int) -> KeepList<Numbering> {
  func key(_ index: Int) -> Float { scores[index].isNaN ? -.infinity : scores[index] }
  let ranked = scores.indices.sorted { key($0) != key($1) ? key($0) > key($1) : $0 < $1 }
  return KeepList(kept: ranked.prefix(max(count, 1)).sorted(), total: scores.count)
}

/// What selections that act in one place share.
protocol OnePlaceSelector: VisualTokenSelector {}

extension OnePlaceSelector {
  package var actsInsideModel: Bool { false }

  package func insideModel(rows: MatrixView<Float>, spans: [VisualSpan]) -> LayerChoice {
    LayerChoice(keep: spans.map { .everything($0.columns.count) })
  }
}

/// A fixed number of tokens at random: the floor of every comparison.
package struct RandomSelector: OnePlaceSelector {
  package let name: String
  package let settings: PruningSettings
  package let count: Int
  package let seed: UInt64

  package init(name: String = "random", settings: PruningSettings, count: Int, seed: UInt64) {
    self.name = name
    self.settings = settings
    self.count = count
    self.seed = seed
  }

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> {
    var generator = SeededGenerator(seed: seed)
    return KeepList(
      kept: Array(0..<tokens.count).shuffled(using: &generator).prefix(tokens.share(of: count)).sorted(),
      total: tokens.count)
  }
}

/// Top-K by the attention that the encoder's class token pays: FasterVLM (Zhang et al., arXiv:2412.01818, section 3.3), and
/// VisionZip's dominant tokens (Yang et al., arXiv:2412.04467, section 3.2) without its merging.
///
/// Both average over heads. VisionZip reads the layer whose output feeds the projector, which is done here; FasterVLM reads
/// the encoder's last, which LLaVA-1.5's files do not run. Both renumber what is left; here positions stay. Encoders
/// without a class token score by column means, as VisionZip does there.
package struct ClassAttentionSelector: OnePlaceSelector {
  package let name: String
  package let settings: PruningSettings
  package let count: Int

  package init(name: String = "cls", settings: PruningSettings, count: Int) {
    self.name = name
    self.settings = settings
    self.count = count
  }

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> {
    guard let scores = tokens.scores else { return .everything(tokens.count) }
    return largest(scores.scores, count: tokens.share(of: count))
  }
}

/// FastV (Chen et al., arXiv:2403.06764, section 4.1): all tokens run through the first K = 2 layers of the language model,
/// then the R % with the least attention go; K and the scores' layer are `settings.layer`.
///
/// The paper ranks by the mean attention from all other tokens; its published code, which gave its numbers, by that of the
/// prompt's last token alone, mean over heads. The code's rule is implemented. In both the first K layers' cells stay
/// in the cache (`KVPolicy.keep`).
package struct FastVSelector: VisualTokenSelector {
  package let name: String
  package let settings: PruningSettings
  package let count: Int

  package init(name: String = "fastv", settings: PruningSettings, count: Int) {
    self.name = name
    self.settings = settings
    self.count = count
  }

  package var actsInsideModel: Bool { true }
  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> { .everything(tokens.count) }

  package func insideModel(rows: MatrixView<Float>, spans: [VisualSpan]) -> LayerChoice {
    let last = rows.rows - 1
    let scores = spans.map { span in
      TokenScores(scores: span.columns.map { last >= span.firstRow ? rows.row(last)[$0] : 0 })
    }
    // Over all tiles of an image together: scores as they are, none below the threshold.
    let plain = scores.map { TokenScores(scores: $0.scores, reference: 1, kind: $0.kind) }
    return LayerChoice(
      keep: StageTwo.keep(plain, images: spans.map(\.image), lambda: 0, cap: count), scores: scores)
  }
}
