import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamPruning
import OccamTensors

/// The vision transformer of Qwen3-VL: pictures of any size, learned positions stretched to them, rotary positions in two
/// dimensions, norms before attention and feed-forward and behind the last layer; outputs of some layers are planes.
/// Reference: Hugging Face transformers, modeling_qwen3_vl.py; layout of the file: llama.cpp,
/// tools/mtmd/models/qwen3vl.cpp.
package final class Qwen3VLEncoder: VisionEncoder {
  package let shape: VisionShape
  package let weightBytes: Int
  private let configuration: Qwen3VLConfiguration
  /// A still picture stands in both frames that the two kernels of a patch see: their sum, [hidden x 3 * patch * patch].
  private let patchEmbedding: PackedMatrix
  private let patchBias: AlignedBuffer<Float>
  private let positions: InterpolatedPositions
  private let layers: [Qwen3VLLayer]
  private let postNorm: LayerNormWeights

  init(_ loader: WeightLoader, _ configuration: Qwen3VLConfiguration) throws {
    (self.configuration, shape) = (configuration, configuration.shape)
    let shape = configuration.shape
    let before = loader.bytes
    patchEmbedding = try loader.summedMatrix(
      ["v.patch_embd.weight", "v.patch_embd.weight.1"], rows: shape.hidden,
      flattening: [shape.patchSize, shape.patchSize, 3])
    patchBias = try loader.vector("v.patch_embd.bias", count: shape.hidden)
    positions = try InterpolatedPositions(
      loader, "v.position_embd.weight", side: shape.patchesPerSide, width: shape.hidden)
    let rotary = VisionRotary.table(headDimension: shape.hidden / shape.heads)
    layers = try (0..<shape.layers).map { try Qwen3VLLayer(loader, $0, configuration, rotary) }
    postNorm = try LayerNormWeights(loader, "v.post_ln", shape.hidden)
    weightBytes = loader.bytes - before
  }

  package func encode(
    _ image: PreparedImage, request: EncoderRequest, compute: Compute, observer: EncoderObserver?
  ) throws(Cancelled) -> EncodedPatches {
    TimingTable.shared?.begin(group: "image 1-\(layers.count)")
    let (columns, rows) = (image.width / shape.patchSize, image.height / shape.patchSize)
    let patches = 0..<columns * rows
    let register = request.register == nil ? nil : patches.count
    let x = compute.view(.residual, rows: patches.count + (register == nil ? 0 : 1), columns: shape.hidden)
    embed(image, columns: columns, into: x.slice(rows: patches), compute)
    if let register { x.row(register).update(repeating: 0, count: shape.hidden) }
    Probe.tensor("vision.input", x)
    let normed = compute.view(.normed, rows: x.rows, columns: shape.hidden)
    let places = VisionRotary.positions(of: patches, columns: columns, register: register != nil)
    let epsilon = configuration.epsilon
    var scores: [Float]?
    var planes: [AlignedBuffer<Float>] = []
    for (index, layer) in layers.enumerated() {
      try compute.beginLayer(index, of: layers.count)
      // x += attention(norm(x))
      timed("vision.norm") { layer.norm1.apply(x, epsilon: epsilon, into: normed, compute) }
      let isScored = request.wantsScores && index == layers.count - 1
      let found = places.withUnsafeBufferPointer { places in
        layer.attention.run(
          normed,
          EncoderAttention.Sight(
            positions: places.baseAddress, pairs: Double(x.rows) * Double(x.rows),
            score: isScored ? request.score : nil, scoring: isScored ? Array(0..<x.rows) : []), into: x, compute)
      }
      if let found { scores = found }
      // x += MLP(norm(x))
      timed("vision.norm") { layer.norm2.apply(x, epsilon: epsilon, into: normed, compute) }
      layer.feedForward.run(
        normed, layer: index, patches: patches, register: register, plan: request.register, observer: observer, into: x,
        compute)
      observer?.output(layer: index, x.slice(rows: patches))
      Probe.tensor("vision.layer-\(index)", x)
      if configuration.planeLayers.contains(index) { planes.append(copy(x)) }
    }
    postNorm.apply(x, epsilon: epsilon, into: x, compute)
    return EncodedPatches(
      features: copy(x), patches: patches.count, hidden: shape.hidden, hasRegister: register != nil, scores: scores,
      planes: planes)
  }

  /// Patch embeddings plus positions, row by row of the picture.
  private func embed(_ image: PreparedImage, columns: Int, into x: MatrixView<Float>, _ compute: Compute) {
    let cut = compute.view(.patches, rows: x.rows, columns: 3 * shape.patchSize * shape.patchSize)
    OccamImages.patches(of: image, patch: shape.patchSize, into: cut)
    timed("vision.patches", products(cut.rows, patchEmbedding)) {
      compute.matmul.load(cut)
      compute.matmul.multiply(by: patchEmbedding, into: x, bias: patchBias.pointer)
    }
    timed("vision.positions") { positions.add(into: x, columns: columns, compute) }
  }

  private func copy(_ x: MatrixView<Float>) -> AlignedBuffer<Float> {
    AlignedBuffer(copying: UnsafeBufferPointer(start: x.pointer, count: x.rows * x.columns))
  }
}

/// One layer of Qwen3-VL's encoder.
struct Qwen3VLLayer: Sendable {
  let norm1: LayerNormWeights
  let attention: EncoderAttention
  let norm2: LayerNormWeights
  let feedForward: PlainFeedForward

  init(_ loader: WeightLoader, _ index: Int, _ configuration: Qwen3VLConfiguration, _ rotary: RotaryTable) throws {
    let prefix = "v.blk.\(index)."
    let shape = configuration.shape
    norm1 = try LayerNormWeights(loader, prefix + "ln1", shape.hidden)
    attention = try EncoderAttention(
      loader, prefix, fusing: "attn_qkv", hidden: shape.hidden, heads: shape.heads, rotary: rotary)
    norm2 = try LayerNormWeights(loader, prefix + "ln2", shape.hidden)
    feedForward = try PlainFeedForward(
      loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, activation: configuration.activation)
  }
}
