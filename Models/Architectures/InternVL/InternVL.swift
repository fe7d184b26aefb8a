import OccamGGUF
import OccamTensors

/// InternVL 2.5, 3 and 3.5: InternViT over tiles and an overview, 2 x 2 patches a token, a norm and two matrices; beside
/// a Qwen2 or Qwen3 text model. Reference: Hugging Face transformers, modeling_internvl.py; layout of the file:
/// llama.cpp, conversion/internvl.py.
enum InternVL {
  private static let projector = NormedMLPProjector.Names(
    norm: "mm.model.mlp.0", first: "mm.model.mlp.1", second: "mm.model.mlp.3")

  /// GELU is the exact one. The large encoder (6B) has RMSNorms, which no key says.
  private static let variant = {
    var variant = ViTVariant()
    variant.gelu = .geluErf
    variant.normsMayBeRMS = true
    return variant
  }()

  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let shape = try ViTConfiguration(file, variant).shape
    let merge = TokenMerge.concatenate(side: try file.mergeSide(shape, standard: 2))
    let (least, most) = ("clip.vision.preproc_min_tiles", "clip.vision.preproc_max_tiles")
    // Files from before the keys existed: the published processors' 1...12.
    let minimum = try file.integer(least) ?? 1
    let maximum = try file.integer(most) ?? 12
    for (key, count) in [(least, minimum), (most, maximum)] {
      guard (1...TileLimits.tiles).contains(count) else {
        throw ModelError(.badValue, file.subject, "\(key) is \(count), expected 1...\(TileLimits.tiles)")
      }
    }
    guard minimum <= maximum else {
      throw ModelError(.badValue, file.subject, "\(least) is \(minimum), above \(most) \(maximum)")
    }
    let processor = InternVLProcessor(
      shape: shape, tiles: minimum...maximum, tokensPerSide: merge.tokensPerSide(shape))
    try TileLimits.check(processor.maximumTiles, of: shape, key: most, file)
    return VisionPlan(
      shape: shape, merge: merge, processor: processor, outputs: try file.projectorRows(projector.second + ".weight"))
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let plan = try plan(loader.file)
    let encoder = try ViTEncoder(loader, variant)
    return VisionModel(
      plan: plan, encoder: encoder,
      projector: try NormedMLPProjector(
        loader, projector, inputs: plan.merge.width(hidden: plan.shape.hidden), outputs: plan.outputs),
      chat: ChatDefaults(
        format: "chatml", placeholders: [ImagePlaceholder("<IMG_CONTEXT>"), ImagePlaceholder("<image>")],
        markers: ["<img>", "</img>"], imageBreak: "\n"))
  }
}
