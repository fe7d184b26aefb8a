import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamPruning
import OccamTensors

/// The vision transformer of Gemma 4: pictures of any size, a learned position for the column and one for the row of a
/// patch, rotary positions in two dimensions, norms before and behind attention and feed-forward, unscaled scores, limited
/// linear layers. Reference: Hugging Face transformers, modeling_gemma4.py, `Gemma4VisionModel`; layout of the file:
/// llama.cpp, tools/mtmd/models/gemma4v.cpp.
package final class Gemma4Encoder: VisionEncoder {
  package let shape: VisionShape
  package let weightBytes: Int
  private let patchEmbedding: PackedMatrix  // [hidden x 3 * patch * patch]
  /// Of columns, then of rows; 63 MB in published files, of which a picture reads a few rows: they stay there.
  private let positions: EmbeddingTable
  private let positionCount: Int
  private let layers: [Gemma4EncoderLayer]

  init(_ loader: WeightLoader, _ configuration: Gemma4VisionConfiguration) throws {
    shape = configuration.shape
    let shape = configuration.shape
    let before = loader.bytes
    patchEmbedding = try loader.matrix(
      "v.patch_embd.weight", rows: shape.hidden, flattening: [shape.patchSize, shape.patchSize, 3])
    positionCount = configuration.positionCount
    positions = try loader.embedding(
      Gemma4VisionConfiguration.positions, rows: positionCount, columns: shape.hidden, tables: 2, isPlanned: false)
    let rotary = VisionRotary.halves(headDimension: shape.hidden / shape.heads, base: 100)
    layers = try (0..<shape.layers).map { try Gemma4EncoderLayer(loader, $0, configuration, rotary) }
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
    var scores: [Float]?
    for (index, layer) in layers.enumerated() {
      try compute.beginLayer(index, of: layers.count)
      // x += norm(attention(norm(x)))
      timed("vision.norm") { layer.norm1.apply(x, into: normed, compute) }
      let isScored = request.wantsScores && index == layers.count - 1
      let found = places.withUnsafeBufferPointer { places in
        layer.attention.run(
          normed,
          EncoderAttention.Sight(
            positions: places.baseAddress, pairs: Double(x.rows) * Double(x.rows),
            score: isScored ? request.score : nil, scoring: isScored ? Array(0..<x.rows) : []), into: x, compute)
      }
      if let found { scores = found }
      // x += norm(MLP(norm(x)))
      timed("vision.norm") { layer.norm2.apply(x, into: normed, compute) }
      layer.feedForward.run(
        normed, layer: index, patches: patches, register: register, plan: request.register, observer: observer, into: x,
        compute)
      observer?.output(layer: index, x.slice(rows: patches))
      Probe.tensor("vision.layer-\(index)", x)
    }
    return EncodedPatches(
      features: AlignedBuffer(copying: UnsafeBufferPointer(start: x.pointer, count: x.rows * x.columns)),
      patches: patches.count, hidden: shape.hidden, hasRegister: register != nil, scores: scores)
  }

  /// Patch embeddings plus positions, row by row of the picture.
  private func embed(_ image: PreparedImage, columns: Int, into x: MatrixView<Float>, _ compute: Compute) {
    let cut = compute.view(.patches, rows: x.rows, columns: 3 * shape.patchSize * shape.patchSize)
    OccamImages.patches(of: image, patch: shape.patchSize, into: cut)
    timed("vision.patches", products(cut.rows, patchEmbedding)) {
      compute.matmul.load(cut)
      compute.matmul.multiply(by: patchEmbedding, into: x)
    }
    timed("vision.positions") {
      add(0, columns, into: x, compute) { (row: $0, step: columns, count: x.rows / columns) }
      add(positionCount, x.rows / columns, into: x, compute) { (row: $0 * columns, step: 1, count: columns) }
    }
  }

  /// x += positions of one axis: each of `count` of them, from `first` on, to the rows that `rows` gives for it.
  private func add(
    _ first: Int, _ count: Int, into x: MatrixView<Float>, _ compute: Compute,
    to rows: (Int) -> (row: Int, step: Int, count: Int)
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: shape.hidden) { position in
      guard let numbers = position.baseAddress else { return }
      for index in 0..<count {
        positions.decode(first + index, into: numbers)
        let place = rows(index)
        for number in 0..<place.count {
          let row = x.row(place.row + number * place.step)
          for column in 0..<shape.hidden { row[column] += numbers[column] }
        }
      }
    }
  }
}

/// One layer of Gemma 4's encoder.
struct Gemma4EncoderLayer: Sendable {
  let norm1: RMSNormWeights
  let attention: EncoderAttention
  let norm2: RMSNormWeights
  let feedForward: GatedFeedForward

  init(
    _ loader: WeightLoader, _ index: Int, _ configuration: Gemma4VisionConfiguration, _ rotary: [RotaryPart]
  ) throws {
    let prefix = "v.blk.\(index)."
    let shape = configuration.shape
    func norm(_ name: String) throws -> RMSNormWeights {
      try RMSNormWeights(loader, prefix + name, shape.hidden, epsilon: configuration.epsilon)
    }
    norm1 = try norm("ln1")
    attention = try EncoderAttention(
      limited: loader, prefix, hidden: shape.hidden, heads: shape.heads, rotary: rotary, epsilon: configuration.epsilon)
    norm2 = try norm("ln2")
    feedForward = try GatedFeedForward(
      loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, gate: .gelu, isLimited: true,
      norm: try norm("ffn_post_norm"))
  }
}
