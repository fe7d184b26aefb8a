// Sizes as the models' own configuration files (config.json of the repository named at each) give them.

extension ModelShape {
  package static let all: [ModelShape] = [
    llava7B, llava13B, tinyLLaVA, smolVLM256M, smolVLM500M, smolVLM2B, qwen3VL2B, qwen3VL4B, qwen3VL8B, gemma3,
  ]

  // MARK: LLaVA-1.5: runs as it is.

  private static let llava7B = ModelShape("llava-1.5-7b", "Vicuna 7B with CLIP ViT-L/14-336")
  private static let llava13B = ModelShape("llava-1.5-13b", "Vicuna 13B with CLIP ViT-L/14-336")
  private static let tinyLLaVA = ModelShape("tinyllava-1.1b", "TinyLlama 1.1B with CLIP ViT-L/14-336")

  // MARK: SmolVLM: llama text models, SigLIP, pixel shuffle and one matrix between them.

  private static let smolEmulation = """
    The text model is the real graph. In the encoder's place: a SigLIP-sized ViT without class token (CLIP's norms), one tile \
    at a time. In the place of pixel shuffle and its matrix: an mlp projector with as many weights over as many rows.
    """

  /// google/siglip-base-patch16-512.
  private static let siglipBase = FixtureSpec.Vision(
    imageSize: 512, patchSize: 16, width: 768, heads: 12, feedForward: 3072, layers: 12, hasClassToken: false,
    activation: .gelu, epsilon: 1e-6)

  /// google/siglip-so400m-patch14-384, with the image size and patch of the model that uses it.
  private static func siglipLarge(imageSize: Int, patchSize: Int = 14) -> FixtureSpec.Vision {
    FixtureSpec.Vision(
      imageSize: imageSize, patchSize: patchSize, width: 1152, heads: 16, feedForward: 4304, layers: 27,
      hasClassToken: false, activation: .gelu, epsilon: 1e-6)
  }

  /// HuggingFaceTB/SmolVLM-256M-Instruct; text: SmolLM2-135M, output matrix of its own.
  private static let smolVLM256M = ModelShape(
    "smolvlm-256m", "SmolLM2 135M with SigLIP-B/16-512, 64 tokens a tile",
    text: .init(
      layers: 30, width: 576, heads: 9, kvHeads: 3, headSize: 64, feedForward: 1536, ropeBase: 100_000,
      contextLength: 8192),
    vision: siglipBase, vocabulary: 49_280, merge: 4, projectorWeights: 16 * 768 * 576, emulation: smolEmulation)

  /// HuggingFaceTB/SmolVLM-500M-Instruct; text: SmolLM2-360M.
  private static let smolVLM500M = ModelShape(
    "smolvlm-500m", "SmolLM2 360M with SigLIP-B/16-512, 64 tokens a tile",
    text: .init(
      layers: 32, width: 960, heads: 15, kvHeads: 5, headSize: 64, feedForward: 2560, ropeBase: 100_000,
      contextLength: 8192),
    vision: siglipBase, vocabulary: 49_280, merge: 4, projectorWeights: 16 * 768 * 960, emulation: smolEmulation)

  /// HuggingFaceTB/SmolVLM-Instruct; text: SmolLM2-1.7B.
  private static let smolVLM2B = ModelShape(
    "smolvlm-2.2b", "SmolLM2 1.7B with SigLIP-SO400M/14-384, 81 tokens a tile",
    text: .init(
      layers: 24, width: 2048, heads: 32, kvHeads: 32, headSize: 64, feedForward: 8192, ropeBase: 273_768,
      contextLength: 16_384),
    vision: siglipLarge(imageSize: 384), vocabulary: 49_155, merge: 3, projectorWeights: 9 * 1152 * 2048,
    emulation: smolEmulation)

  // MARK: Qwen3-VL: any image size; here one of 512 x 512 pixels.

  private static let qwenEmulation = """
    In the text model's place: the llama graph of the same sizes (no norms of queries and keys, plain RoPE). In the encoder's: \
    a ViT of the same sizes without class token (CLIP's norms, learned positions), one image of 512 x 512. In the place of the \
    merger and DeepStack's three: an mlp projector with as many weights over as many rows; DeepStack's additions are left out.
    """

  /// The merger and three of DeepStack: (4 w)^2 + 4 w * text numbers each.
  private static func qwenMergers(_ width: Int, _ text: Int) -> Int { 4 * (16 * width * width + 4 * width * text) }

  private static let qwenVision = FixtureSpec.Vision(
    imageSize: 512, patchSize: 16, width: 1024, heads: 16, feedForward: 4096, layers: 24, hasClassToken: false,
    activation: .gelu, epsilon: 1e-6)

  /// Qwen/Qwen3-VL-2B-Instruct.
  private static let qwen3VL2B = ModelShape(
    "qwen3-vl-2b", "Qwen3 1.7B with its ViT, 256 tokens an image of 512 x 512",
    text: .init(
      layers: 28, width: 2048, heads: 16, kvHeads: 8, headSize: 128, feedForward: 6144, ropeBase: 5_000_000,
      contextLength: 262_144, epsilon: 1e-6, isTied: true),
    vision: qwenVision, vocabulary: 151_936, merge: 2, projectorWeights: qwenMergers(1024, 2048),
    emulation: qwenEmulation)

  /// Qwen/Qwen3-VL-4B-Instruct.
  private static let qwen3VL4B = ModelShape(
    "qwen3-vl-4b", "Qwen3 4B with its ViT, 256 tokens an image of 512 x 512",
    text: .init(
      layers: 36, width: 2560, heads: 32, kvHeads: 8, headSize: 128, feedForward: 9728, ropeBase: 5_000_000,
      contextLength: 262_144, epsilon: 1e-6, isTied: true),
    vision: qwenVision, vocabulary: 151_936, merge: 2, projectorWeights: qwenMergers(1024, 2560),
    emulation: qwenEmulation)

  /// Qwen/Qwen3-VL-8B-Instruct.
  private static let qwen3VL8B = ModelShape(
    "qwen3-vl-8b", "Qwen3 8B with its ViT, 256 tokens an image of 512 x 512",
    text: .init(
      layers: 36, width: 4096, heads: 32, kvHeads: 8, headSize: 128, feedForward: 12288, ropeBase: 5_000_000,
      contextLength: 262_144, epsilon: 1e-6),
    vision: siglipLarge(imageSize: 512, patchSize: 16), vocabulary: 151_936, merge: 2,
    projectorWeights: qwenMergers(1152, 4096), emulation: qwenEmulation)

  // MARK: Gemma 3

  /// google/gemma-3-4b-it.
  private static let gemma3 = ModelShape(
    "gemma-3-4b", "Gemma 3 4B with SigLIP-SO400M/14-896, 256 tokens an image",
    text: .init(
      layers: 34, width: 2560, heads: 8, kvHeads: 4, headSize: 256, feedForward: 10240, ropeBase: 1_000_000,
      contextLength: 131_072, epsilon: 1e-6, isTied: true),
    vision: siglipLarge(imageSize: 896), vocabulary: 262_208, merge: 4, projectorWeights: 1152 * 2560,
    emulation: """
      In the text model's place: the llama graph of the same sizes (SwiGLU for GeGLU, two norms a layer for six, every layer \
      sees the whole context where five of six see 1,024 positions). In the encoder's: a SigLIP-sized ViT without class token \
      (CLIP's norms). In the place of pooling and its matrix: an mlp projector with as many weights over as many rows.
      """)
}
