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
    self.configuration = configuration
    let shape = configuration.shape
    self.shape = shape
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
    var scores: [Float]?
    for (index, layer) in layers.enumerated() {
      try compute.beginLayer(index, of: layers.count)
      let isLast = index == layers.count - 1
      let wanted = request.wantsScores && isLast ? request.score : nil
      let found = attention(layer, x, rows, compute, score: wanted)
      if wanted != nil { scores = found }
      feedForward(layer, index, x, rows, request.register, compute, observer)
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

  /// x += s1 Wo attention(norm(Wq n), norm(Wk n), Wv n), n = norm(x), bidirectional over all rows.
  /// - Returns: stage I scores if wanted.
  private func attention(
    _ layer: ViTLayer, _ x: MatrixView<Float>, _ rows: EncoderSequence, _ compute: Compute, score: StageOneScore?
  ) -> [Float]? {
    let normed = compute.view(.normed, rows: x.rows, columns: shape.hidden)
    let q = compute.view(.query, rows: x.rows, columns: shape.hidden)
    let k = compute.view(.key, rows: x.rows, columns: shape.hidden)
    let v = compute.view(.value, rows: x.rows, columns: shape.hidden)
    let mixed = compute.view(.mixed, rows: x.rows, columns: shape.hidden)
    timed("vision.norm") { layer.norm1.apply(x, into: normed, compute) }
    timed("vision.qkv", products(x.rows, layer.query.weight, layer.key.weight, layer.value.weight)) {
      compute.matmul.load(normed)
      compute.matmul.multiply([layer.query.product(into: q), layer.key.product(into: k), layer.value.product(into: v)])
    }
    if layer.queryNorm != nil || layer.keyNorm != nil {
      timed("vision.norm") {
        layer.queryNorm?.apply(q, into: q, compute)
        layer.keyNorm?.apply(k, into: k, compute)
      }
    }
    var request: ScoreRequest?
    if score == .attention {
      let wanted = rows.classToken.map { [$0] } ?? Array(rows.patches) + (rows.register.map { [$0] } ?? [])
      request = ScoreRequest(
        rows: wanted, reduction: .mean, output: compute.view(.scores, rows: 1, columns: x.rows))
    }
    timed(
      "vision.attention", MeasuredWork(operations: 4 * Double(x.rows) * Double(x.rows) * Double(shape.hidden))
    ) {
      compute.tensors.attend(
        q, k, v, heads: shape.heads, scale: 1 / Float(shape.hidden / shape.heads).squareRoot(), into: mixed,
        scratch: compute.attention, scores: request)
    }
    timed("vision.output", products(x.rows, layer.output.linear.weight)) {
      compute.matmul.load(mixed)
      layer.output.add(to: x, compute)
    }
    if score == .keyNorm { return rows.stageOneScores(keyNorms(k)) }
    return request.map { rows.stageOneScores($0.output.row(0)) }
  }

  /// Lengths of the keys [rows x hidden], mean over heads.
  private func keyNorms(_ keys: MatrixView<Float>) -> [Float] {
    let width = shape.hidden / shape.heads
    return (0..<keys.rows).map { row in
      let lengths = (0..<shape.heads).map { head -> Float in
        let key = UnsafeBufferPointer(start: keys.row(row) + head * width, count: width)
        return key.reduce(0) { $0 + $1 * $1 }.squareRoot()
      }
      return lengths.reduce(0, +) / Float(shape.heads)
    }
  }

  /// x += s2 Wdown f(Wup n), n = norm(x); register neurons move their largest patch activation to the register.
  private func feedForward(
    _ layer: ViTLayer, _ index: Int, _ x: MatrixView<Float>, _ rows: EncoderSequence, _ plan: RegisterPlan?,
    _ compute: Compute, _ observer: EncoderObserver?
  ) {
    let normed = compute.view(.normed, rows: x.rows, columns: shape.hidden)
    let h = compute.view(.gate, rows: x.rows, columns: shape.feedForward)
    timed("vision.norm") { layer.norm2.apply(x, into: normed, compute) }
    timed("vision.up+activation", products(x.rows, layer.up.weight)) {
      compute.matmul.load(normed)
      layer.up.multiply(into: h, activation: compute.tensors.function(configuration.activation), compute)
    }
    if let plan, let register = rows.register {
      plan.moveActivations(h, layer: index, patches: rows.patches, register: register)
    }
    observer?.hidden(layer: index, h.slice(rows: rows.patches))
    timed("vision.down", products(x.rows, layer.down.linear.weight)) {
      compute.matmul.load(h)
      layer.down.add(to: x, compute)
    }
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
