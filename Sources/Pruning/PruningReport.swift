/// What pruning did to one image.
package struct ImagePruningReport: Sendable, Equatable {
  /// Visual tokens of the encoder's output, registers not counted.
  package let total: Int
  /// Survivors of Stage I, as indices into 0..<total, ascending.
  package let stage1Indices: [Int]
  /// Survivors of Stage II, as indices into 0..<total, ascending.
  package let keptIndices: [Int]
  package let lambda1: Float
  package let lambda2: Float
  /// Text layer behind which Stage II acted, from 1.
  package let layer: Int
  package let reference: ReferenceKind

  package var stage1: Int { stage1Indices.count }
  package var kept: Int { keptIndices.count }

  /// - Parameters: stageOne: among all tokens; stageTwo: among the survivors of Stage I.
  package init(
    stageOne: KeepList<TileTokens>, stageTwo: KeepList<StageOneTokens>, lambda1: Float, lambda2: Float, layer: Int,
    reference: ReferenceKind
  ) {
    total = stageOne.total
    stage1Indices = stageOne.kept
    keptIndices = stageOne.narrowed(by: stageTwo).kept
    self.lambda1 = lambda1
    self.lambda2 = lambda2
    self.layer = layer
    self.reference = reference
  }

  package init(stageOne: KeepList<TileTokens>, stageTwo: KeepList<StageOneTokens>, settings: PruningSettings) {
    self.init(
      stageOne: stageOne, stageTwo: stageTwo, lambda1: settings.lambda1, lambda2: settings.lambda2,
      layer: settings.layer, reference: settings.reference)
  }
}

package struct PruningReport: Sendable, Equatable {
  package let images: [ImagePruningReport]
  /// Layers of the text model.
  package let layers: Int

  package init(images: [ImagePruningReport], layers: Int) {
    self.images = images
    self.layers = layers
  }

  /// Visual tokens a text layer processes on average, all images together: the figure for comparisons at equal compute.
  package var meanVisualTokensPerLayer: Double {
    images.reduce(0) {
      $0 + PruningReport.meanVisualTokensPerLayer(layers: layers, l: $1.layer, s1: $1.stage1, s2: $1.kept)
    }
  }

  /// Layers 1..l process S1, the others S2: (l x |S1| + (L - l) x |S2|) / L.
  package static func meanVisualTokensPerLayer(layers: Int, l: Int, s1: Int, s2: Int) -> Double {
    guard layers > 0 else { return 0 }
    let before = min(max(l, 0), layers)
    return (Double(before) * Double(s1) + Double(layers - before) * Double(s2)) / Double(layers)
  }
}
