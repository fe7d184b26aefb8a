import OccamGGUF
import OccamTensors

/// What a family knows of its encoder and files do not say.
package struct ViTVariant: Sendable {
  /// What `clip.use_gelu` stands for: the key names both forms.
  package var gelu = Activation.gelu
  /// Norms without biases are RMSNorms; else the biases are missing.
  package var normsMayBeRMS = false
  /// Where llama.cpp departs from the trained model and Occam can follow: what else `WeightLoader.reproduces` asks for is
  /// not done.
  package var departures: PeerDifferences = []

  package init() {}

  /// LLaVA's.
  package static let clip = {
    var variant = ViTVariant()
    variant.departures = [.classTokenIsLast, .skipsLastLayer]
    return variant
  }()
}

/// Hyperparameters of a CLIP, SigLIP or InternViT vision tower, as GGUF's `clip.vision.*` keys name them.
struct ViTConfiguration: Sendable {
  let shape: VisionShape
  let storedLayers: Int
  let epsilon: Float
  let activation: Activation
  let differences: PeerDifferences
  /// The layers' norms are RMSNorms.
  let normsAreRMS: Bool
  /// Layers scale what they add: in all of them, or in none.
  let hasLayerScales: Bool

  /// Bounds what one image may cost: without a class token stage I asks for patches x patches scores.
  private static let maximumPatches = 1 << 14

  /// - Parameter feedForward: where the file's key does not tell it.
  init(
    _ file: GGUFFile, _ variant: ViTVariant = ViTVariant(), reproducing differences: PeerDifferences = [],
    feedForward: Int? = nil
  ) throws {
    func size(_ name: String, _ limit: Int) throws -> Int {
      let key = "clip.vision.\(name)"
      let value = try file.requireInteger(key)
      guard value >= 1, value <= limit else {
        throw ModelError(.badValue, file.subject, "\(key) is \(value), expected 1...\(limit)")
      }
      return value
    }
    func channels(_ name: String) throws -> SIMD3<Float> {
      let key = "clip.vision.\(name)"
      guard let values = try file.floats(key), values.count == 3, values.allSatisfy(\.isFinite) else {
        throw ModelError(.badValue, file.subject, "\(key) must hold 3 numbers, one a colour channel")
      }
      return SIMD3(values[0], values[1], values[2])
    }
    let differences = differences.intersection(variant.departures)
    self.differences = differences
    storedLayers = try size("block_count", 256)
    let hidden = try size("embedding_length", 1 << 14)
    let heads = try size("attention.head_count", 256)
    guard hidden % heads == 0 else {
      throw ModelError(.badValue, file.subject, "clip.vision: \(heads) heads do not divide the width \(hidden)")
    }
    let limit = LayerKVCache.maximumHeadDimension
    guard hidden / heads <= limit else {
      throw ModelError(
        .badValue, file.subject, "clip.vision: head size \(hidden / heads) is over the limit of \(limit)")
    }
    let imageSize = try size("image_size", 4096)
    let patchSize = try size("patch_size", 256)
    guard imageSize >= patchSize else {
      throw ModelError(.badValue, file.subject, "clip.vision: image_size \(imageSize) is below patch_size \(patchSize)")
    }
    let side = imageSize / patchSize
    guard side * side <= ViTConfiguration.maximumPatches else {
      throw ModelError(
        .badValue, file.subject,
        "clip.vision: \(side) x \(side) patches are over the limit of \(ViTConfiguration.maximumPatches)")
    }
    let deviation = try channels("image_std")
    guard deviation.min() > 0 else {
      throw ModelError(.badValue, file.subject, "clip.vision.image_std must be positive, is \(deviation)")
    }
    shape = VisionShape(
      imageSize: imageSize, patchSize: patchSize, hidden: hidden, heads: heads,
      feedForward: try feedForward ?? size("feed_forward_length", 1 << 17),
      layers: try ViTConfiguration.layersToRun(file, stored: storedLayers, differences),
      hasClassToken: file.tensor("v.class_embd") != nil, mean: try channels("image_mean"), deviation: deviation)
    epsilon = try file.float("clip.vision.attention.layer_norm_epsilon") ?? 1e-5
    guard epsilon >= 0, epsilon <= 1 else {
      throw ModelError(
        .badValue, file.subject, "clip.vision.attention.layer_norm_epsilon is \(epsilon), expected 0...1")
    }
    // llama.cpp's keys: it computes use_gelu by the tanh form, use_silu SiLU, neither is CLIP's own x * sigmoid(1.702 x).
    let gelu = try file.bool("clip.use_gelu") ?? false
    let silu = try file.bool("clip.use_silu") ?? false
    guard !(gelu && silu) else {
      throw ModelError(.badValue, file.subject, "clip.use_gelu and clip.use_silu exclude each other")
    }
    normsAreRMS = variant.normsMayBeRMS && !ViTConfiguration.isInLayers(file, [".ln1.bias", ".ln2.bias"])
    hasLayerScales = ViTConfiguration.isInLayers(file, [".ls1.weight", ".ls2.weight"])
    activation = gelu ? variant.gelu : silu ? .silu : .geluQuick
  }

  private static func isInLayers(_ file: GGUFFile, _ names: [String]) -> Bool {
    file.tensors.contains { tensor in
      tensor.name.hasPrefix("v.blk.") && names.contains { tensor.name.hasSuffix($0) }
    }
  }

  /// An explicit `feature_layer` (0 = the encoder's input, n = the output of layer n) wins; otherwise all
  /// stored layers run: files of the usual converter hold only those that feed the projector (24 - 1 for LLaVA-1.5).
  private static func layersToRun(
    _ file: GGUFFile, stored: Int, _ differences: PeerDifferences
  ) throws -> Int {
    let key = "clip.vision.feature_layer"
    guard let features = try file.integers(key), !features.isEmpty else {
      let layers = differences.contains(.skipsLastLayer) ? stored - 1 : stored
      guard layers >= 1 else {
        throw ModelError(.badValue, file.subject, "clip.vision.block_count is \(stored): no layer would run")
      }
      return layers
    }
    guard features.count == 1, let layer = features.first, layer >= 1, layer <= stored else {
      throw ModelError(.badValue, file.subject, "\(key) is \(features); one layer in 1...\(stored) is supported")
    }
    return layer
  }
}
