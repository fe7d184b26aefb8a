import OccamGGUF
import OccamImages
import OccamTensors

/// Hyperparameters of Qwen2-VL's and Qwen2.5-VL's encoder, as GGUF's `clip.vision.*` keys name them.
struct Qwen2VLConfiguration: Sendable {
  let shape: VisionShape
  let epsilon: Float
  let activation: Activation
  /// Qwen2.5-VL: RMS norms without biases, gated feed-forwards.
  let isGated: Bool
  let merge: TokenMerge
  /// Layers that see the whole picture; nil: all.
  let wholeLayers: Set<Int>?
  /// Sides of the other layers' windows, patches; nil where there are none.
  let windowSide: Int?

  /// llama.cpp's limits of a picture's tokens (tools/mtmd/clip.cpp); no key holds them.
  private static let tokens = (minimum: 8, maximum: 4096)

  init(_ file: GGUFFile, isGated: Bool) throws {
    self.isGated = isGated
    let common = try ViTConfiguration(file, feedForward: Qwen2VLConfiguration.feedForward(file))
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
    wholeLayers = try Qwen2VLConfiguration.wholeLayers(file, layers: shape.layers, isRequired: isGated)
    guard wholeLayers != nil else {
      windowSide = nil
      return
    }
    let window = try file.integer("clip.vision.window_size") ?? 112
    guard window >= token, window <= 1 << 14 else {
      throw ModelError(
        .badValue, file.subject, "clip.vision.window_size is \(window), expected \(token)...\(1 << 14)")
    }
    windowSide = window / shape.patchSize / side * side
  }

  func seesEverything(layer: Int) -> Bool { wholeLayers?.contains(layer) ?? true }

  /// The last layer that sees the whole picture: only there do all patches compete.
  var scoringLayer: Int { wholeLayers?.max() ?? shape.layers - 1 }

  var processor: NativeResolutionProcessor {
    NativeResolutionProcessor(
      shape: shape,
      budget: ResolutionBudget(
        multiple: shape.patchSize * merge.side, minimumTokens: Qwen2VLConfiguration.tokens.minimum,
        maximumTokens: Qwen2VLConfiguration.tokens.maximum), filter: .bicubic,
      before: [.text("<|vision_start|>")], after: [.text("<|vision_end|>")])
  }

  /// A norm of the encoder's kind.
  func norm(_ loader: WeightLoader, _ name: String) throws -> Norm {
    isGated
      ? .rms(try RMSNormWeights(loader, name, shape.hidden, epsilon: epsilon))
      : .layer(try LayerNormWeights(loader, name, shape.hidden), epsilon: epsilon)
  }

  /// Width of a feed-forward, from its first matrix: under the key stands the text model's width in files of llama.cpp's
  /// converter (Qwen2-VL), or 0 in those of the one before it.
  private static func feedForward(_ file: GGUFFile) throws -> Int {
    let name = "v.blk.0.ffn_up.weight"
    guard let dimensions = file.tensor(name)?.dimensions, dimensions.count == 2 else {
      throw ModelError(.missingTensor, file.subject, "tensor '\(name)' is missing or not a matrix")
    }
    // Names may be exchanged: the other side is the hidden size.
    let hidden = try file.requireInteger("clip.vision.embedding_length")
    let width = dimensions[0] == hidden ? dimensions[1] : dimensions[0]
    guard width >= 1, width <= 1 << 17 else {
      throw ModelError(.wrongShape, file.subject, "tensor '\(name)' has shape \(dimensions)")
    }
    return width
  }

  /// Layers that see everything: a list of them (files of Ollama's converter), or every n-th (llama.cpp's).
  private static func wholeLayers(_ file: GGUFFile, layers: Int, isRequired: Bool) throws -> Set<Int>? {
    let (list, pattern) = ("clip.vision.fullatt_block_indexes", "clip.vision.n_wa_pattern")
    if let indices = try file.integers(list) {
      guard !indices.isEmpty, indices.allSatisfy({ (0..<256).contains($0) }) else {
        throw ModelError(.badValue, file.subject, "\(list) is \(indices), expected layers in 0...255")
      }
      return Set(indices.filter { $0 < layers })
    }
    guard let every = isRequired ? try file.requireInteger(pattern) : try file.integer(pattern) else { return nil }
    guard every >= 0, every <= 256 else {
      throw ModelError(.badValue, file.subject, "\(pattern) is \(every), expected 0...256")
    }
    return every == 0 ? nil : Set(stride(from: every - 1, to: layers, by: every))
  }
}
