import OccamGGUF
import OccamImages
import OccamTensors

/// LFM2-VL and LFM2.5-VL: SigLIP 2 (NaFlex) over tiles in the picture's own proportions, 2 x 2 patches a token, a norm and
/// two matrices. Reference: Hugging Face transformers, modeling_lfm2_vl.py; layout of the file: llama.cpp,
/// conversion/lfm2.py.
enum LFM2Vision {
  private static let projector = NormedMLPProjector.Names(norm: "mm.input_norm", first: "mm.1", second: "mm.2")

  private static let variant = {
    var variant = ViTVariant()
    variant.takesAnySize = true
    return variant
  }()

  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let shape = try ViTConfiguration(file, variant).shape
    let key = "clip.vision.projector.scale_factor"
    let side = try file.integer(key) ?? 2
    let tile = LFM2Processor.tileSize
    guard side >= 1, side <= 64, tile % (shape.patchSize * side) == 0 else {
      throw ModelError(
        .badValue, file.subject,
        "\(key) is \(side): tokens of \(side) patches of \(shape.patchSize) pixels do not divide tiles of \(tile)")
    }
    let processor = LFM2Processor(shape: shape, multiple: shape.patchSize * side)
    let patches = processor.maximumPatches(merging: side)
    guard patches <= TileLimits.patches else {
      throw ModelError(
        .badValue, file.subject,
        "clip.vision.patch_size \(shape.patchSize) and \(key) \(side) give a picture up to \(patches) patches, over the "
          + "limit of \(TileLimits.patches)")
    }
    return VisionPlan(
      shape: shape, merge: .concatenate(side: side), processor: processor,
      outputs: try file.projectorRows(projector.second + ".weight"))
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let plan = try plan(loader.file)
    let encoder = try ViTEncoder(loader, variant)
    return VisionModel(
      plan: plan, encoder: encoder,
      projector: try NormedMLPProjector(
        loader, projector, inputs: plan.merge.width(hidden: plan.shape.hidden), outputs: plan.outputs,
        normIsOptional: true),
      chat: ChatDefaults(
        format: "chatml", placeholders: [ImagePlaceholder("<image>")], markers: LFM2Processor.markers))
  }
}
