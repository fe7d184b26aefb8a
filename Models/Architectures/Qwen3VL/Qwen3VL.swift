import OccamGGUF

/// Qwen3-VL: pictures in their own proportions, 2 x 2 patches a token, and planes of inner layers that join the first text
/// layers (DeepStack). Files without planes are those of Qwen3.5.
/// Reference: Hugging Face transformers, modeling_qwen3_vl.py and image_processing_qwen2_vl.py; layout of the file:
/// llama.cpp, conversion/qwen3vl.py and tools/mtmd.
enum Qwen3VL {
  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let configuration = try Qwen3VLConfiguration(file)
    return VisionPlan(
      shape: configuration.shape, merge: configuration.merge, processor: configuration.processor,
      outputs: try MLPProjector.sizes(file).outputs)
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let configuration = try Qwen3VLConfiguration(loader.file)
    let plan = try plan(loader.file)
    let inputs = plan.merge.width(hidden: plan.shape.hidden)
    return VisionModel(
      plan: plan, encoder: try Qwen3VLEncoder(loader, configuration),
      projector: try MLPProjector(loader, inputs: inputs, activation: .geluErf),
      planeProjectors: try configuration.planeLayers.map {
        try PlaneMerger(
          loader, "v.deepstack.\($0).", inputs: inputs, outputs: plan.outputs, epsilon: configuration.epsilon)
      },
      chat: ChatDefaults(
        format: "chatml", placeholders: [ImagePlaceholder("<|vision_start|><|image_pad|><|vision_end|>")],
        markers: ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_pad|>"]))
  }
}
