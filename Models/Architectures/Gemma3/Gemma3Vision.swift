import OccamGGUF
import OccamImages

/// Gemma 3's eyes: SigLIP over the whole picture stretched to a square, patches averaged, normed, and one matrix.
/// Reference: Hugging Face transformers, modeling_gemma3.py (`Gemma3MultiModalProjector`), image_processing_gemma3.py.
enum Gemma3Vision {
  private static let matrix = "mm.input_projection.weight"

  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let shape = try ViTConfiguration(file).shape
    let merge = TokenMerge.average(side: try file.mergeSide(shape, standard: 4))
    // Stored transposed: a row belongs to one number of the encoder.
    guard let outputs = file.tensor(matrix)?.dimensions.first else {
      throw ModelError(.missingTensor, file.subject, "projector tensor '\(matrix)' is missing")
    }
    return VisionPlan(
      shape: shape, merge: merge,
      processor: StretchProcessor(shape: shape, tokensPerSide: merge.tokensPerSide(shape)), outputs: outputs)
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let plan = try plan(loader.file)
    let encoder = try ViTEncoder(loader)
    // The norm takes the encoder's epsilon, as in the reference.
    let norm = try RMSNormWeights(
      loader, "mm.soft_emb_norm", plan.shape.hidden, epsilon: try ViTConfiguration(loader.file).epsilon)
    let projector = LinearProjector(
      try loader.transposedMatrix(matrix, rows: plan.outputs, columns: plan.shape.hidden), norm: norm)
    return VisionModel(
      plan: plan, encoder: encoder, projector: projector,
      chat: ChatDefaults(
        format: "plain", placeholders: [ImagePlaceholder("<start_of_image>", before: "\n\n", after: "\n\n")],
        markers: ["<end_of_image>", "<image_soft_token>"]))
  }
}

/// The whole picture stretched to the encoder's square, between an image's markers.
struct StretchProcessor: ImageProcessor {
  let shape: VisionShape
  let tokensPerSide: Int

  func layout(width: Int, height: Int) -> PictureLayout {
    .single(side: tokensPerSide, before: [.text("<start_of_image>")], after: [.text("<end_of_image>")])
  }

  func canvas(width: Int, height: Int) -> ImageSize { ImageSize(width: shape.imageSize, height: shape.imageSize) }

  func prepare(_ image: Image) -> PreparedPicture {
    let (shape, side) = (shape, shape.imageSize)
    return PreparedPicture(layout: layout(width: image.width, height: image.height)) { _ in
      PreparedImage(
        normalizing: resize(image, width: side, height: side, filter: .bilinear), mean: shape.mean,
        deviation: shape.deviation, placement: .whole((image.width, image.height), on: (side, side)))
    }
  }
}
