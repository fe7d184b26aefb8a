/// Shape of a generated model: a text model and, for most families, a vision encoder with its projector.
package struct FixtureSpec: Sendable {
  package struct Text: Sendable {
    package var layers: Int
    package var width: Int
    package var heads: Int
    package var kvHeads: Int
    package var headSize: Int
    package var feedForward: Int
    package var ropeBase: Float = 10_000
    package var contextLength = 2048
    package var epsilon: Float = 1e-5
    /// Whether the output matrix is the token embedding (no `output.weight`).
    package var isTied = false
    /// Positions that a local layer sees; nil where every layer sees the whole context.
    package var slidingWindow: Int?
    /// Layers that attend, where the others are short convolutions; nil where all do.
    package var attentionLayers: Set<Int>?
    /// Rows that a short convolution sees, its own included.
    package var convolutionTaps = 3
    /// Divisor of the positions of global layers (linear RoPE scaling).
    package var ropeScale: Float?
    /// Pairs of a head that turn by each of a position's numbers, empty where positions are one number.
    package var ropeSections: [Int] = []
    /// Gated delta-nets in place of attention; nil where all layers attend.
    package var delta: DeltaNet?
    /// How global layers and those that share entries differ from the others (Gemma 4); nil: all are alike.
    package var mixed: MixedLayers?
    /// DeepStack planes that are added behind the first layers.
    package var planes = 0
    /// Of feed-forward networks that are mixtures.
    package var experts: Experts?

    package struct Experts: Sendable {
      package var count: Int
      /// Experts of a token.
      package var used: Int
      package var feedForward: Int
      /// Width of the expert that all tokens take; 0: none.
      package var shared: Int

      package init(count: Int, used: Int, feedForward: Int, shared: Int = 0) {
        (self.count, self.used, self.feedForward, self.shared) = (count, used, feedForward, shared)
      }
    }
  }

  package struct Vision: Sendable {
    package enum Activation: Sendable {
      case geluQuick
      case gelu
      case silu
    }

    package var imageSize: Int
    package var patchSize = 14
    package var width: Int
    package var heads: Int
    package var feedForward: Int
    /// Layers in the file; llama.cpp's LLaVA graph runs one less unless `featureLayer` names how many to run.
    package var layers: Int
    package var featureLayer: Int?
    package var hasClassToken = true
    package var activation = Activation.geluQuick
    package var epsilon: Float = 1e-5
    /// Whether `ffn_down` names the first matrix and `ffn_up` the second, as in the published LLaVA files.
    package var hasSwappedFeedForwardNames = false
    /// Width between the projector's two matrices; that of the text model if nil.
    package var projectorWidth: Int?
    /// Sides of the square of patches that become one visual token.
    package var merge = 1
    /// Whether `merge` stands in the file even where the family has a default.
    package var namesMerge = true
    /// Length in pixels to which a photo's longer side is scaled before it is cut into tiles.
    package var longestEdge: Int?
    /// Sizes in pixels that a photo may be scaled to before it is cut into tiles, as pairs.
    package var pinpoints: [[Int]] = []
    /// Tiles that a photo may be cut into, an overview not counted.
    package var tiles: ClosedRange<Int>?
    /// One factor a channel of what a layer adds.
    package var hasLayerScales = false
    /// RMSNorms instead of LayerNorms, norms of queries and keys, no biases of the two and of values.
    package var normsAreRMS = false
    /// Every how many-th layer sees the whole picture, where the others see windows; nil where all do.
    package var windowPattern: Int?
    /// Layers, from 0, whose output a DeepStack merger of their own takes.
    package var deepStack: [Int] = []
    /// Columns of patches that have a position, and as many rows, where they have one each (Gemma 4).
    package var positionsPerAxis = 0
    /// Inputs and outputs of the layers' linear maps are limited.
    package var hasLimits = false
    /// Tokens are standardised before they are projected.
    package var isStandardized = false

    package var patches: Int { (imageSize / patchSize) * (imageSize / patchSize) }
    /// Rows the encoder works on: the patches, and CLS if there is one.
    package var positions: Int { patches + (hasClassToken ? 1 : 0) }
    /// Visual tokens of one tile.
    package var tokens: Int { patches / (merge * merge) }

    /// Of a family that reads text only.
    package static let absent = Vision(imageSize: 0, width: 0, heads: 0, feedForward: 0, layers: 0)
  }

  package enum Vocabulary: Sendable {
    /// The family's own: 256 bytes and a few hundred pieces of common English words, filled up with unused ones.
    case builtIn(minimumCount: Int)
    /// The `tokenizer.*` metadata of a GGUF file.
    case file(String)
  }

  package var name: String
  package var seed: UInt64
  /// What the files hold: keys, tensors, vocabulary.
  package var family: any FixtureFamily.Type = LLaVA.self
  package var text: Text
  package var vision = Vision.absent
  package var vocabulary = Vocabulary.builtIn(minimumCount: 0)
  /// Fills the weights with random blocks, never encoding a number: for models that are only timed.
  package var isForTimingOnly = false

  package var hasVision: Bool { vision.layers > 0 }
}

extension FixtureSpec {
  /// The fixture of that name with its usual seed, or the shape of the published model of that name; nil when there is
  /// none.
  package static func named(_ name: String) -> FixtureSpec? { (all + published).first { $0.name == name } }

  /// Small models.
  package static let all: [FixtureSpec] = families.flatMap { $0.specs }

  /// Published models' sizes, in random weights that are only timed.
  package static let published: [FixtureSpec] = families.flatMap { $0.published }

  package static let families: [any FixtureFamily.Type] = [
    LLaVA.self, SmolVLM.self, Gemma3.self, LLaVANeXT.self, Qwen2.self, Qwen3.self, InternVL.self, InternVL3_5.self,
    Qwen2VL.self, Qwen25VL.self, Qwen3VL.self, Qwen3MoE.self, Qwen3VLMoE.self, Qwen35.self, Qwen35MoE.self, LFM2VL.self,
    Gemma4.self,
  ]
}
