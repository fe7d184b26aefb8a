import OccamCore

/// What an encoder knows of one tile's visual tokens.
package struct EncodedTokens {
  /// Visual tokens, the register not counted.
  package let count: Int
  /// Those of all tiles of the image.
  package let imageCount: Int
  /// Stage I scores and what they are held against; nil when the encoder was not asked for them.
  package let scores: TokenScores?
  /// Projected features of every visual token, [count x text width]; computed when asked for.
  package let projected: () -> MatrixView<Float>

  /// - Parameter imageCount: nil: the image has this tile only.
  package init(
    count: Int, of imageCount: Int? = nil, scores: TokenScores?, projected: @escaping () -> MatrixView<Float>
  ) {
    self.count = count
    self.imageCount = imageCount ?? count
    self.scores = scores
    self.projected = projected
  }

  /// This tile's part of a number of tokens that an image may keep; at least 1.
  package func share(of budget: Int) -> Int {
    let (product, overflow) = budget.multipliedReportingOverflow(by: count)
    return overflow ? budget : max(product / max(imageCount, 1), 1)
  }
}

/// The outcome of a choice inside the language model, one element a span.
package struct LayerChoice: Sendable {
  package var keep: [KeepList<StageOneTokens>]
  /// What the choice was made from; empty without scores.
  package var scores: [TokenScores]

  package init(keep: [KeepList<StageOneTokens>], scores: [TokenScores] = []) {
    self.keep = keep
    self.scores = scores
  }
}

/// Decides which visual tokens survive, at the two places where they can be dropped. OccamToken is the runtime's own;
/// an evaluation puts other methods in its place.
///
/// A selector chooses and nothing else: text stays, positions stay as they were unpruned, and rows and cells are removed by
/// the runtime. Every choice keeps at least one token of an image.
package protocol VisualTokenSelector: Sendable {
  /// Tells this selector from every other one; images encoded under one name are not used under another.
  var name: String { get }
  /// Layer, KV policy and register. For methods that are not OccamToken, lambdas and reference are of no effect.
  var settings: PruningSettings { get }
  /// Register neurons at work in the encoder; nil runs without a register token.
  var register: RegisterPlan? { get }
  /// Whether `insideModel` is asked; without, all layers run in one group.
  var actsInsideModel: Bool { get }

  /// Stage I: behind the encoder, before the language model.
  func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens>

  /// Stage II: behind layer `settings.layer`, asked when text of the question follows an image.
  /// - Parameters:
  ///   - rows: question rows x keys, the layer's attention probabilities, mean over heads; the keys are those of visual
  ///     tokens and registers, as `spans` number them.
  ///   - spans: where the visual tokens that are left stand among the keys.
  func insideModel(rows: MatrixView<Float>, spans: [VisualSpan]) -> LayerChoice
}

extension VisualTokenSelector {
  package var register: RegisterPlan? { settings.reference == .register ? settings.plan : nil }
}

/// The runtime's own selection: both stages by threshold.
package struct OccamTokenSelector: VisualTokenSelector {
  package let settings: PruningSettings

  package init(_ settings: PruningSettings) { self.settings = settings }

  package var name: String { "occamtoken" }
  package var actsInsideModel: Bool { true }

  package func behindEncoder(_ tokens: EncodedTokens) -> KeepList<TileTokens> {
    guard let scores = tokens.scores else { return .everything(tokens.count) }
    return StageOne.keep(scores, lambda: settings.lambda1, cap: settings.stageOneCap.map(tokens.share))
  }

  package func insideModel(rows: MatrixView<Float>, spans: [VisualSpan]) -> LayerChoice {
    let scores = StageTwo.scores(rows: rows, spans: spans)
    let keep = StageTwo.keep(scores, images: spans.map(\.image), lambda: settings.lambda2, cap: settings.cap)
    return LayerChoice(keep: keep, scores: scores)
  }
}
