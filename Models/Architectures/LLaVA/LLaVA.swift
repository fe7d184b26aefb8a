import OccamGGUF
import OccamImages

/// LLaVA-1.5: one square canvas through CLIP, a projector of two layers.
enum LLaVA {
  static let chat = ChatDefaults(
    // The files carry no template: the models were trained on Vicuna's turns. One sometimes goes on with the next question
    // instead of ending its answer.
    format: "vicuna", stops: ["USER:"], placeholders: [ImagePlaceholder("<image>")])

  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let shape = try ViTConfiguration(file).shape
    return VisionPlan(
      shape: shape, processor: CanvasProcessor(shape), outputs: try MLPProjector.sizes(file).outputs)
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let plan = try plan(loader.file)
    let encoder = try ViTEncoder(loader, .clip)
    return VisionModel(
      plan: plan, encoder: encoder, projector: try MLPProjector(loader, inputs: plan.shape.hidden), chat: chat)
  }
}

/// The whole picture on one padded canvas.
struct CanvasProcessor: ImageProcessor {
  let shape: VisionShape

  init(_ shape: VisionShape) { self.shape = shape }

  func layout(width: Int, height: Int) -> PictureLayout { .single(side: shape.patchesPerSide) }

  func canvas(width: Int, height: Int) -> ImageSize { ImageSize(width: shape.imageSize, height: shape.imageSize) }

  func prepare(_ image: Image) -> PreparedPicture {
    let (shape, layout) = (shape, layout(width: image.width, height: image.height))
    return PreparedPicture(layout: layout) { _ in
      preprocessLLaVA15(image, size: shape.imageSize, mean: shape.mean, deviation: shape.deviation)
    }
  }
}
