/// The sizes of a published model, to be run with random weights.
///
/// A family whose graph Occam has runs as it is. For another one, what stands in its place has the same matrices, heads and
/// token counts, and `emulation` says so.
package struct ModelShape: Sendable {
  package let name: String
  /// What the model is, in a line.
  package let summary: String
  package var spec: FixtureSpec
  /// Sides of the square of patches that become one visual token.
  package var merge = 1
  /// What stands in place of the real model; nil if nothing does.
  package var emulation: String?

  package var isExact: Bool { emulation == nil }
  /// Visual tokens of one tile.
  package var visualTokens: Int { spec.vision.patches / (merge * merge) }

  /// - Parameter projectorWeights: numbers in the family's own matrices between encoder and text model. Where patches are
  ///   merged, the emulation's two matrices hold as many and are multiplied with one row a visual token: the same work.
  init(
    _ name: String, _ summary: String, text: FixtureSpec.Text, vision: FixtureSpec.Vision, vocabulary: Int,
    merge: Int = 1, projectorWeights: Int? = nil, emulation: String? = nil
  ) {
    self.name = name
    self.summary = summary
    self.merge = merge
    self.emulation = emulation
    spec = FixtureSpec(
      name: name, seed: 1, text: text, vision: vision, vocabulary: .builtIn(minimumCount: vocabulary),
      isForTimingOnly: true)
    if let projectorWeights {
      // Whole blocks of 32, so that the matrices can be quantised.
      let width = projectorWeights / (vision.width + text.width)
      spec.vision.projectorWidth = max((width + 16) / 32, 1) * 32
    }
  }

  /// A published model that runs as it is.
  init(_ name: String, _ summary: String) {
    guard let spec = FixtureSpec.published.first(where: { $0.name == name }) else {
      preconditionFailure("ModelShape: no specification is named '\(name)'")
    }
    self.name = name
    self.summary = summary
    self.spec = spec
  }

  package static func named(_ name: String) -> ModelShape? { all.first { $0.name == name.lowercased() } }
}
