import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamPruning
import OccamTensors

/// The vision transformer of CLIP, SigLIP and InternViT: patch embedding, class token if the file has one, learned
/// positions, pre-LayerNorm (CLIP), pre-norm layers, post-LayerNorm (SigLIP); features straight from the last layer run.
/// InternViT's layers scale what they add, and those of its large variant norm queries and keys.
/// Reference: Hugging Face transformers, modeling_clip.py, modeling_siglip.py and modeling_internvl.py; layout of the
/// file: llama.cpp, tools/mtmd/clip.cpp.
package final class ViTEncoder: VisionEncoder {
  package let shape: VisionShape
  package let weightBytes: Int
  private let configuration: ViTConfiguration
  private let patchEmbedding: PackedMatrix  // [hidden x 3 * patch * patch]
  private let patchBias: AlignedBuffer<Float>?
  private let classEmbedding: AlignedBuffer<Float>?  // [hidden]
  private let positions: AlignedBuffer<Float>  // [patches + class x hidden]
  private let preNorm: LayerNormWeights?
  private let postNorm: LayerNormWeights?
  private let layers: [ViTLayer]

  package init(_ loader: WeightLoader, _ variant: ViTVariant = ViTVariant()) throws {
    let configuration = try ViTConfiguration(loader.file, variant, reproducing: loader.reproduces)
    let shape = configuration.shape
    (self.configuration, self.shape) = (configuration, shape)
    let before = loader.bytes
    patchEmbedding = try loader.matrix(
      "v.patch_embd.weight", rows: shape.hidden, flattening: [shape.patchSize, shape.patchSize, 3])
    patchBias = try loader.optionalVector("v.patch_embd.bias", count: shape.hidden)
    classEmbedding = try loader.optionalVector("v.class_embd", count: shape.hidden)
    positions = try loader.table(
      "v.position_embd.weight", rows: shape.patches + (shape.hasClassToken ? 1 : 0), columns: shape.hidden)
    preNorm = try LayerNormWeights(optional: loader, "v.pre_ln", shape.hidden)
    postNorm = try LayerNormWeights(optional: loader, "v.post_ln", shape.hidden)
    layers = try (0..<shape.layers).map { try ViTLayer(loader, $0, configuration) }
    weightBytes = loader.bytes - before
  }

  package func encode(
    _ image: PreparedImage, request: EncoderRequest, compute: Compute, observer: EncoderObserver?
  ) throws(Cancelled) -> EncodedPatches {
    TimingTable.shared?.begin(group: "image 1-\(layers.count)")
    let rows = EncoderSequence(
      shape: shape, differences: configuration.differences, register: request.register != nil)
    let x = compute.view(.residual, rows: rows.count, columns: shape.hidden)
    embed(image, rows, into: x, compute)
    preNorm?.apply(x, epsilon: configuration.epsilon, into: x, compute)
    Probe.tensor("vision.input", x)
    let normed = compute.view(.normed, rows: rows.count, columns: shape.hidden)
    var sight = EncoderAttention.Sight(
      pairs: Double(rows.count) * Double(rows.count), scoring: request.wantsScores ? rows.scoring : [])
    var scores: [Float]?
    for (index, layer) in layers.enumerated() {
      try compute.beginLayer(index, of: layers.count)
      let isLast = index == layers.count - 1
      sight.score = request.wantsScores && isLast ? request.score : nil
      // x += attention(norm(x))
      timed("vision.norm") { layer.norm1.apply(x, into: normed, compute) }
      if let found = layer.attention.run(normed, sight, into: x, compute) { scores = rows.stageOneScores(found) }
      // x += MLP(norm(x))
      timed("vision.norm") { layer.norm2.apply(x, into: normed, compute) }
      layer.feedForward.run(
        normed, layer: index, patches: rows.patches, register: rows.register, plan: request.register,
        observer: observer, into: x, compute)
      observer?.output(layer: index, x.slice(rows: rows.patches))
      Probe.tensor("vision.layer-\(index)", x)
    }
    postNorm?.apply(x, epsilon: configuration.epsilon, into: x, compute)
    return output(x, rows, scores)
  }

  /// Rows of x: patch embeddings plus position, the class token plus its position, the register (zeros, no position).
  private func embed(
    _ image: PreparedImage, _ rows: EncoderSequence, into x: MatrixView<Float>, _ compute: Compute
  ) {
    let patches = compute.view(.patches, rows: shape.patches, columns: 3 * shape.patchSize * shape.patchSize)
    OccamImages.patches(of: image, patch: shape.patchSize, into: patches)
    compute.matmul.load(patches)
    compute.matmul.multiply(by: patchEmbedding, into: x.slice(rows: rows.patches), bias: patchBias?.pointer)
    if let row = rows.classToken, let classEmbedding {
      x.row(row).update(from: classEmbedding.pointer, count: shape.hidden)
    }
    // Row i takes position i: the class token, if it is first, position 0.
    let embedded = shape.patches + (rows.classToken == nil ? 0 : 1)
    compute.tensors.add(
      MatrixView(positions, rows: embedded, columns: shape.hidden), into: x.slice(rows: 0..<embedded))
    if let row = rows.register { x.row(row).update(repeating: 0, count: shape.hidden) }
  }

  private func output(_ x: MatrixView<Float>, _ rows: EncoderSequence, _ scores: [Float]?) -> EncodedPatches {
    let features = AlignedBuffer<Float>(
      count: (shape.patches + (rows.register == nil ? 0 : 1)) * shape.hidden, zeroed: false)
    for (index, row) in rows.selected.enumerated() {
      (features.pointer + index * shape.hidden).update(from: x.row(row), count: shape.hidden)
    }
    return EncodedPatches(
      features: features, patches: shape.patches, hidden: shape.hidden, hasRegister: rows.register != nil,
      scores: scores)
  }
}
