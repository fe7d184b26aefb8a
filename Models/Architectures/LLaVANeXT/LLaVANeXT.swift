import OccamGGUF

/// LLaVA-NeXT (1.6): LLaVA-1.5's parts over tiles of the size that suits the picture, with a learned embedding behind each
/// row of tokens. Reference: Hugging Face transformers, modeling_llava_next.py.
enum LLaVANeXT {
  private static let pinpoints = "clip.vision.image_grid_pinpoints"
  static let newline = "image_newline"

  /// The same projector type as LLaVA-1.5: only these files name sizes.
  static func matches(_ file: GGUFFile) throws -> Bool { try !(file.integers(pinpoints) ?? []).isEmpty }

  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let shape = try ViTConfiguration(file).shape
    let sides = try file.integers(pinpoints) ?? []
    guard sides.count % 2 == 0, sides.count <= 128,
      sides.allSatisfy({ $0 >= shape.imageSize && $0 <= 1 << 14 && $0 % shape.imageSize == 0 })
    else {
      throw ModelError(
        .badValue, file.subject, "\(pinpoints) must hold pairs of multiples of \(shape.imageSize), is \(sides)")
    }
    let sizes = stride(from: 0, to: sides.count, by: 2).map {
      LLaVANeXTProcessor.Size(height: sides[$0], width: sides[$0 + 1])
    }
    let tiles = sizes.map { ($0.height / shape.imageSize) * ($0.width / shape.imageSize) }
    try TileLimits.check((tiles.max() ?? 0) + 1, of: shape, key: pinpoints, file)
    return VisionPlan(
      shape: shape, processor: LLaVANeXTProcessor(shape: shape, sizes: sizes),
      outputs: try MLPProjector.sizes(file).outputs)
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let plan = try plan(loader.file)
    let encoder = try ViTEncoder(loader, .clip)
    let projector = try MLPProjector(loader, inputs: plan.shape.hidden)
    // The older converter's name and llama.cpp's.
    let name = loader.has("v.image_newline") ? "v.image_newline" : "model.image_newline"
    return VisionModel(
      plan: plan, encoder: encoder, projector: projector,
      learned: [newline: try loader.vector(name, count: plan.outputs)], chat: LLaVA.chat)
  }
}
