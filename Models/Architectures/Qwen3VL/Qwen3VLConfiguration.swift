import OccamGGUF
import OccamImages
import OccamTensors

/// Hyperparameters of Qwen3-VL's encoder, as GGUF's `clip.vision.*` keys name them.
struct Qwen3VLConfiguration: Sendable {
  let shape: VisionShape
  let epsilon: Float
  let activation: Activation
  let merge: TokenMerge
  /// Layers, from 0 and ascending, whose output becomes a plane.
  let planeLayers: [Int]

  /// llama.cpp's limits of a picture's tokens (tools/mtmd/clip.cpp); no key holds them. The published
  /// preprocessor_config.json says 64 and 16,384.
  private static let tokens = (minimum: 8, maximum: 4096)

  init(_ file: GGUFFile) throws {
    let common = try ViTConfiguration(file)
    var shape = common.shape
    shape.takesAnySize = true
    self.shape = shape
    (epsilon, activation) = (common.epsilon, common.activation)
    let head = shape.hidden / shape.heads
    guard head % 4 == 0 else {
      throw ModelError(.badValue, file.subject, "clip.vision: head size \(head) is no multiple of 4")
    }
    let side = try file.integer("clip.vision.spatial_merge_size") ?? 2
    guard side >= 1, side <= 4 else {
      throw ModelError(.badValue, file.subject, "clip.vision.spatial_merge_size is \(side), expected 1...4")
    }
    merge = .concatenate(side: side)
    let token = shape.patchSize * side
    guard token * token * ResolutionBudget.limit <= TileLimits.pixels else {
      throw ModelError(
        .badValue, file.subject,
        "clip.vision.patch_size makes \(ResolutionBudget.limit) tokens of \(token) x \(token) pixels, over the limit of "
          + "\(TileLimits.pixels) pixels")
    }
    planeLayers = try Qwen3VLConfiguration.planeLayers(file, layers: shape.layers)
  }

  var processor: NativeResolutionProcessor {
    NativeResolutionProcessor(
      shape: shape,
      budget: ResolutionBudget(
        multiple: shape.patchSize * merge.side, minimumTokens: Qwen3VLConfiguration.tokens.minimum,
        maximumTokens: Qwen3VLConfiguration.tokens.maximum), filter: .bicubic,
      before: [.text("<|vision_start|>")], after: [.text("<|vision_end|>")])
  }

  /// A mark a layer; in files without marks the mergers themselves tell, as llama.cpp has it in all.
  private static func planeLayers(_ file: GGUFFile, layers: Int) throws -> [Int] {
    let key = "clip.vision.is_deepstack_layers"
    guard let value = file.metadata[key] else {
      return (0..<layers).filter { file.tensor("v.deepstack.\($0).fc1.weight") != nil }
    }
    guard case .array(.bool(let marks)) = value, marks.count >= layers, !marks.dropFirst(layers).contains(true) else {
      throw ModelError(.badValue, file.subject, "\(key) must hold a true or false for each of \(layers) layers")
    }
    return (0..<layers).filter { marks[$0] }
  }
}
