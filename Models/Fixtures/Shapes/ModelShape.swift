/// A published model's sizes, to be run with random weights: its own graph, tiles and merging.
package struct ModelShape: Sendable {
  /// Pixels.
  package struct PhotoSize: Sendable, Equatable {
    package var width: Int
    package var height: Int

    package init(width: Int, height: Int) {
      self.width = width
      self.height = height
    }
  }

  /// How many visual tokens a published setting of OccamToken keeps (the paper's tables).
  private struct PublishedCounts {
    /// Before anything is dropped.
    let all: Int
    let stageOne: Int
    let kept: [Int]

    static let llava = PublishedCounts(all: 576, stageOne: 250, kept: [128, 64, 32])
    static let llavaNeXT = PublishedCounts(all: 2880, stageOne: 523, kept: [320, 160, 40])

    func share(_ count: Int, of tokens: Int) -> Int {
      let share = Double(count) / Double(all) * Double(tokens)
      return min(max(Int(share.rounded()), 1), max(tokens, 1))
    }
  }

  package var spec: FixtureSpec

  package init(_ spec: FixtureSpec) { self.spec = spec }

  package static let all = FixtureSpec.published.map { ModelShape($0) }

  package static func named(_ name: String) -> ModelShape? { all.first { $0.name == name.lowercased() } }

  package var name: String { spec.name }

  /// What the model consists of, in a line.
  package var summary: String {
    let text = spec.text
    let reads = "text \(text.layers) layers of \(text.width), \(text.heads) heads on \(text.kvHeads)"
    guard spec.hasVision else { return reads }
    let vision = spec.vision
    return reads + "; vision \(vision.layers) layers of \(vision.width), tiles of \(vision.imageSize) pixels, "
      + "\(vision.tokens) tokens each"
  }

  /// The size of a typical photo; nil for a family that reads text only. SmolVLM cuts it into 4 x 4 tiles, LLaVA-NeXT
  /// and InternVL into 2 x 2, all beside an overview; for the others a photo is one tile whatever its size.
  package var photo: PhotoSize? {
    guard spec.hasVision else { return nil }
    if spec.family == SmolVLM.self { return PhotoSize(width: 1024, height: 1024) }
    if spec.family == LLaVANeXT.self { return PhotoSize(width: 1344, height: 1344) }
    if spec.family == InternVL.self || spec.family == InternVL3_5.self { return PhotoSize(width: 896, height: 896) }
    if spec.family == Gemma3.self { return PhotoSize(width: 896, height: 896) }
    return PhotoSize(width: 1024, height: 768)
  }

  /// Families that the paper does not measure take LLaVA-1.5's shares.
  private var counts: PublishedCounts { spec.family == LLaVANeXT.self ? .llavaNeXT : .llava }

  /// Visual tokens behind stage I, in the published setting or its share of another photo's `tokens`.
  package func stageOneTokens(of tokens: Int) -> Int { counts.share(counts.stageOne, of: tokens) }

  /// Visual tokens behind stage II, likewise: largest first.
  package func budgets(of tokens: Int) -> [Int] {
    let kept = counts.kept.map { counts.share($0, of: tokens) }
    return kept.indices.filter { kept.firstIndex(of: kept[$0]) == $0 }.map { kept[$0] }
  }
}
