import OccamGGUF

/// Idefics3 and SmolVLM: SigLIP over tiles and an overview, pixel shuffle, one matrix.
/// Reference: Hugging Face transformers, modeling_idefics3.py; layout of the file: llama.cpp, tools/mtmd/clip.cpp.
enum Idefics3 {
  private static let matrix = "mm.model.fc.weight"

  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let shape = try ViTConfiguration(file).shape
    let side = try file.mergeSide(shape, standard: 3)
    // Files from before the key existed: the processor's standard, four tiles.
    let key = "clip.vision.preproc_image_size"
    let longest = try file.integer(key) ?? 4 * shape.imageSize
    guard longest >= 1, longest <= 1 << 15 else {
      throw ModelError(.badValue, file.subject, "\(key) is \(longest), expected 1...\(1 << 15)")
    }
    let merge = TokenMerge.concatenate(side: side)
    let processor = Idefics3Processor(shape, longestEdge: longest, tokensPerSide: merge.tokensPerSide(shape))
    try TileLimits.check(processor.maximumTiles, of: shape, key: key, file)
    return VisionPlan(
      shape: shape, merge: merge, processor: processor, outputs: try file.projectorRows(matrix))
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let plan = try plan(loader.file)
    let encoder = try ViTEncoder(loader)
    let projector = LinearProjector(
      try loader.matrix(matrix, rows: plan.outputs, columns: plan.merge.width(hidden: plan.shape.hidden)))
    return VisionModel(
      plan: plan, encoder: encoder, projector: projector,
      chat: ChatDefaults(
        format: "chatml", placeholders: [ImagePlaceholder("<image>")], markers: Idefics3Processor.markers))
  }
}

extension GGUFFile {
  /// `clip.vision.projector.scale_factor`: sides of the square of patches in a token.
  func mergeSide(_ shape: VisionShape, standard: Int) throws -> Int {
    let key = "clip.vision.projector.scale_factor"
    let side = try integer(key) ?? standard
    guard side >= 1, side <= 64, shape.patchesPerSide % side == 0 else {
      throw ModelError(
        .badValue, subject, "\(key) is \(side), which does not divide the \(shape.patchesPerSide) patches of a side")
    }
    return side
  }

  /// Rows of a projector's matrix, from the header.
  func projectorRows(_ name: String) throws -> Int {
    if let rows = tensor(name)?.dimensions.dropFirst().first { return rows }
    throw ModelError(.missingTensor, subject, "projector tensor '\(name)' is missing or not a matrix")
  }
}
