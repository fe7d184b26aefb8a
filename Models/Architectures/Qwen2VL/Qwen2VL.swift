import OccamGGUF

/// Qwen2-VL and Qwen2.5-VL: pictures in their own proportions, 2 x 2 patches a token, two matrices.
/// Reference: Hugging Face transformers, modeling_qwen2_vl.py, modeling_qwen2_5_vl.py and image_processing_qwen2_vl.py;
/// layout of the file: llama.cpp, conversion/qwenvl.py and tools/mtmd.
enum Qwen2VL {
  private static let chat = ChatDefaults(
    format: "chatml", placeholders: [ImagePlaceholder("<|vision_start|><|image_pad|><|vision_end|>")],
    markers: ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_pad|>"])

  static func plan(_ file: GGUFFile, isGated: Bool) throws -> VisionPlan {
    let configuration = try Qwen2VLConfiguration(file, isGated: isGated)
    return VisionPlan(
      shape: configuration.shape, merge: configuration.merge, processor: configuration.processor,
      outputs: try MLPProjector.sizes(file).outputs)
  }

  static func load(_ loader: WeightLoader, isGated: Bool) throws -> VisionModel {
    let plan = try plan(loader.file, isGated: isGated)
    let encoder = try Qwen2VLEncoder(loader, Qwen2VLConfiguration(loader.file, isGated: isGated))
    let projector = try MLPProjector(
      loader, inputs: plan.merge.width(hidden: plan.shape.hidden), activation: .geluErf)
    return VisionModel(plan: plan, encoder: encoder, projector: projector, chat: chat)
  }
}
