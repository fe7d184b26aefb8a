import OccamCore
import OccamPruning

/// OccamToken's two stages with a part of it exchanged: the paper's ablations.
package struct AblatedSelector: VisualTokenSelector {
  package enum Change: Sendable, Equatable {
    /// Scores are held against their mean, while the register still runs in the encoder (or does not).
    case meanThreshold(register: Bool)
    /// As many tokens for every image and question: the `stageOne` largest s1, then the `stageTwo` largest s2/s2(r).
    case fixedCounts(stageOne: Int, stageTwo: Int)
  }

  package let name: String
  package let settings: PruningSettings
  package let change: Change

  package init(name: String, settings: PruningSettings, change: Change) {
    self.name = name
    self.settings = settings
    self.change = change
  }

  package var actsInsideModel: Bool { true }

  package var register: RegisterPlan? {
    switch change {
    case .meanThreshold(let register): register ? settings.plan : nil
    case .fixedCounts: settings.reference == .register ? settings.plan : nil
    }
  }

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> {
    guard let scores = tokens.scores else { return .everything(tokens.count) }
    switch change {
    case .meanThreshold: return StageOne.keep(TokenScores(scores: scores.scores), lambda: settings.lambda1)
    case .fixedCounts(let count, _): return largest(scores.scores, count: tokens.share(of: count))
    }
  }

  package func insideModel(rows: MatrixView<Float>, spans: [VisualSpan]) -> LayerChoice {
    var scores = StageTwo.scores(rows: rows, spans: spans)
    var (lambda, cap) = (settings.lambda2, settings.cap)
    switch change {
    case .meanThreshold: scores = scores.map { TokenScores(scores: $0.scores) }
    case .fixedCounts(_, let count): (lambda, cap) = (0, count)
    }
    return LayerChoice(
      keep: StageTwo.keep(scores, images: spans.map(\.image), lambda: lambda, cap: cap), scores: scores)
  }
}
