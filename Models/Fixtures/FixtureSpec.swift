/// Shape of a generated LLaVA-1.5 pair: a `llama` text model and a CLIP ViT with an `mlp` projector.
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
  }

  package struct Vision: Sendable {
    package enum Activation: Sendable {
      case geluQuick
      case gelu
    }

    package var imageSize: Int
    package var patchSize = 14
    package var width: Int
    package var heads: Int
    package var feedForward: Int
    /// Layers in the file; llama.cpp runs one less unless `featureLayer` names how many to run.
    package var layers: Int
    package var featureLayer: Int?
    package var hasClassToken = true
    package var activation = Activation.geluQuick
    package var epsilon: Float = 1e-5
    /// Whether `ffn_down` names the first matrix and `ffn_up` the second, as in the published LLaVA files.
    package var hasSwappedFeedForwardNames = false
    /// Width between the projector's two matrices; that of the text model if nil.
    package var projectorWidth: Int?

    package var patches: Int { (imageSize / patchSize) * (imageSize / patchSize) }
    /// Rows the encoder works on: the patches, and CLS if there is one.
    package var positions: Int { patches + (hasClassToken ? 1 : 0) }
  }

  package enum Vocabulary: Sendable {
    /// 256 bytes and a few hundred pieces of common English words, filled up with unused ones.
    case builtIn(minimumCount: Int)
    /// The `tokenizer.*` metadata of a GGUF file.
    case file(String)
  }

  package var name: String
  package var seed: UInt64
  package var text: Text
  package var vision: Vision
  package var vocabulary = Vocabulary.builtIn(minimumCount: 0)
  /// Fills the weights with random blocks, never encoding a number: for models that are only timed.
  package var isForTimingOnly = false
}

extension FixtureSpec {
  /// The fixture of that name with its usual seed; nil when there is none.
  package static func named(_ name: String) -> FixtureSpec? {
    all.first { $0.name == name } ?? ModelShape.all.first { $0.name == name && $0.isExact }?.spec
  }

  package static let all: [FixtureSpec] = [demo, g1, g2, g3, bench1b, benchTile]

  /// Runs at once, anywhere; the pair of the README's first command.
  package static let demo = FixtureSpec(
    name: "demo", seed: 4,
    text: Text(layers: 3, width: 256, heads: 8, kvHeads: 4, headSize: 32, feedForward: 512),
    vision: Vision(imageSize: 336, width: 128, heads: 4, feedForward: 256, layers: 3))

  /// GQA 8/2, separate output matrix; ViT with 64 patches and CLS; every row a multiple of 256 (K-quants).
  package static let g1 = FixtureSpec(
    name: "g1", seed: 1,
    text: Text(layers: 4, width: 256, heads: 8, kvHeads: 2, headSize: 32, feedForward: 768),
    vision: Vision(imageSize: 112, width: 256, heads: 8, feedForward: 768, layers: 4))

  /// MHA with a head size that is no power of two, tied embeddings; ViT with 144 patches, CLS, widths that hold no
  /// K-quant, an explicit feature layer, and the published files' exchanged names.
  package static let g2 = FixtureSpec(
    name: "g2", seed: 2,
    text: Text(
      layers: 6, width: 256, heads: 16, kvHeads: 16, headSize: 48, feedForward: 512, ropeBase: 500_000,
      epsilon: 1e-6, isTied: true),
    vision: Vision(
      imageSize: 168, width: 320, heads: 5, feedForward: 672, layers: 3, featureLayer: 3,
      hasSwappedFeedForwardNames: true))

  /// No CLS, tanh GELU, one KV head, text widths that hold no K-quant.
  package static let g3 = FixtureSpec(
    name: "g3", seed: 3,
    text: Text(layers: 5, width: 480, heads: 6, kvHeads: 1, headSize: 80, feedForward: 704),
    vision: Vision(
      imageSize: 126, width: 192, heads: 3, feedForward: 544, layers: 4, hasClassToken: false, activation: .gelu))

  /// A 1.1B text model with CLIP ViT-L/14-336: random weights in the true shape, for timing.
  package static let bench1b = FixtureSpec(
    name: "bench-1b", seed: 1,
    text: Text(
      layers: 22, width: 2048, heads: 32, kvHeads: 4, headSize: 64, feedForward: 5632, contextLength: 4096),
    vision: Vision(imageSize: 336, width: 1024, heads: 16, feedForward: 4096, layers: 24, featureLayer: 23),
    vocabulary: .builtIn(minimumCount: 32_000), isForTimingOnly: true)

  /// A SigLIP-B/16-sized encoder over a tile of 512 x 512, 1,024 patches without class token, with CLIP's norms as every
  /// LLaVA-1.5-format file has them, in front of a small text model: for timing encoders.
  package static let benchTile = FixtureSpec(
    name: "bench-tile", seed: 5,
    text: Text(layers: 3, width: 256, heads: 8, kvHeads: 4, headSize: 32, feedForward: 512),
    vision: Vision(
      imageSize: 512, patchSize: 16, width: 768, heads: 12, feedForward: 3072, layers: 12, hasClassToken: false,
      activation: .gelu, epsilon: 1e-6),
    isForTimingOnly: true)
}
