import OccamCore
import OccamMatmul
import OccamTensors

/// Gemma 4: as Gemma 3, with wider heads in the layers that see everything, norms of values, unscaled scores, embeddings
/// of each layer (E2B, E4B), last layers that read the entries of earlier ones, a factor behind each layer, limited
/// logits. Reference: Hugging Face transformers, modeling_gemma4.py; llama.cpp, src/models/gemma4.cpp.
final class Gemma4Decoder: TextDecoder {
  let shape: TextShape
  let weightBytes: Int
  let bytesPerToken: Int
  private let embedding: EmbeddingTable
  private let layerEmbeddings: LayerEmbeddings?
  private let layers: [Gemma4Layer]
  private let head: OutputHead
  private let softcap: Float?

  init(_ loader: WeightLoader) throws {
    let configuration = try Gemma4Configuration(loader.file)
    let shape = configuration.shape
    self.shape = shape
    softcap = configuration.softcap
    embedding = try loader.embedding("token_embd.weight", rows: shape.vocabulary, columns: shape.hidden)
    layerEmbeddings = try LayerEmbeddings(loader, configuration)
    let rope = configuration.wholeRope
    let factors = try loader.optionalVector("rope_freqs.weight", count: rope.dimension / 2)
    guard factors?.buffer.allSatisfy({ $0.isFinite && $0 > 0 }) ?? true else {
      throw ModelError(
        .badValue, loader.file.subject, "tensor 'rope_freqs.weight' holds a divisor that is not a positive number")
    }
    let whole = RotaryTable(
      dimension: rope.dimension, base: rope.base, frequencyFactors: factors.map { Array($0.buffer) }, style: .halves)
    let windowed = RotaryTable(
      dimension: configuration.windowRope.dimension, base: configuration.windowRope.base, style: .halves)
    layers = try shape.states.indices.compactMap { index in
      guard let cache = shape.attention(index) else { return nil }
      return try Gemma4Layer(loader, index, configuration, cache, cache.window == nil ? whole : windowed)
    }
    head = try OutputHead(loader, shape, epsilon: configuration.epsilon)
    weightBytes = loader.bytes
    bytesPerToken = loader.bytes
  }

  func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>) {
    embedding.decode(Int(token), into: row)
    let scale = Float(shape.hidden).squareRoot()
    for index in 0..<shape.hidden { row[index] *= scale }
  }

  func forward(
    layers range: Range<Int>, _ input: PassInput, states: PassSequences, compute: Compute
  ) throws(Cancelled) {
    let x = input.hidden
    let normed = compute.view(.normed, rows: x.rows, columns: shape.hidden)
    let branch = compute.view(.branch, rows: x.rows, columns: shape.hidden)
    TimingTable.shared?.begin(pass: x.rows, layers: range)
    let embeddings = layerEmbeddings?.run(input.inputs ?? x, input.tokens, layers: range, compute)
    for index in range {
      try compute.beginLayer(index, of: shape.layers)
      let layer = layers[index]
      let wanted = input.wantedRows(of: index, in: range)
      let rest = x.slice(rows: wanted)
      // x += norm(attention(norm(x)))
      timed("text.norm") { layer.attentionNorm.apply(x, into: normed, compute) }
      let attended = branch.slice(rows: 0..<rest.rows)
      layer.attention.run(
        normed, input, states.keyValues(index), outputs: wanted, scores: input.scores(of: index, in: range),
        into: attended, compute)
      timed("text.norm") {
        layer.attentionPostNorm.apply(attended, into: attended, compute)
        compute.tensors.add(attended, into: rest)
      }
      // x += norm(MLP(norm(x))), some rows at a time
      inSteps(rest, compute) { part in
        let normed = normed.slice(rows: 0..<part.rows)
        let branch = branch.slice(rows: 0..<part.rows)
        timed("text.norm") { layer.feedForwardNorm.apply(part, into: normed, compute) }
        layer.feedForward.run(normed, into: branch, accumulate: false, compute)
        timed("text.norm") {
          layer.feedForwardPostNorm.apply(branch, into: branch, compute)
          compute.tensors.add(branch, into: part)
        }
      }
      // x += norm(Wp(gelu(Wg x) * e)), e being the layer's embeddings
      if let gate = layer.gate, let embeddings {
        let width = gate.width
        let first = (index - range.lowerBound) * width
        let own = embeddings.slice(rows: wanted).slice(columns: first..<first + width)
        gate.run(rest, own, into: attended, compute)
        timed("text.norm") { compute.tensors.add(attended, into: rest) }
      }
      if let scale = layer.outputScale { compute.tensors.scale(rest, by: scale) }
      Probe.tensor("text.layer-\(index)", x)
    }
  }

  func logits(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, compute: Compute) {
    head.run(hidden, into: logits, compute)
    if let softcap { compute.tensors.softcap(logits, limit: softcap) }
  }
}

/// One layer of a `gemma4` decoder.
struct Gemma4Layer: Sendable {
  let attentionNorm: RMSNormWeights
  let attention: Gemma4Attention
  let attentionPostNorm: RMSNormWeights
  let feedForwardNorm: RMSNormWeights
  let feedForward: GatedMLP
  let feedForwardPostNorm: RMSNormWeights
  let gate: EmbeddingGate?
  /// Factor of what leaves the layer.
  let outputScale: Float?

  init(
    _ loader: WeightLoader, _ index: Int, _ configuration: Gemma4Configuration, _ cache: KVCacheShape,
    _ rotary: RotaryTable
  ) throws {
    let prefix = "blk.\(index)."
    let hidden = configuration.shape.hidden
    func norm(_ name: String) throws -> RMSNormWeights {
      try RMSNormWeights(loader, prefix + name, hidden, epsilon: configuration.epsilon)
    }
    attentionNorm = try norm("attn_norm")
    attention = try Gemma4Attention(loader, prefix, configuration, layer: index, cache: cache, rotary: rotary)
    attentionPostNorm = try norm("post_attention_norm")
    feedForwardNorm = try norm("ffn_norm")
    feedForward = try GatedMLP(
      loader, prefix, hidden: hidden, feedForward: configuration.feedForward[index], gate: .gelu)
    feedForwardPostNorm = try norm("post_ffw_norm")
    gate =
      configuration.perLayerWidth > 0
      ? try EmbeddingGate(loader, prefix, configuration) : nil
    let factor = prefix + "layer_output_scale.weight"
    outputScale = loader.has(factor) ? try loader.number(factor) : nil
  }
}

/// How a layer's embeddings join the rows: norm(Wp(gelu(Wg x) * e)).
struct EmbeddingGate: Sendable {
  let gate: PackedMatrix  // [width x hidden]
  let projection: PackedMatrix  // [hidden x width]
  let norm: RMSNormWeights

  init(_ loader: WeightLoader, _ prefix: String, _ configuration: Gemma4Configuration) throws {
    let (hidden, width) = (configuration.shape.hidden, configuration.perLayerWidth)
    gate = try loader.matrix(prefix + "inp_gate.weight", rows: width, columns: hidden)
    projection = try loader.matrix(prefix + "proj.weight", rows: hidden, columns: width)
    norm = try RMSNormWeights(loader, prefix + "post_norm", hidden, epsilon: configuration.epsilon)
  }

  var width: Int { gate.rows }

  /// - Parameters: x: [rows x hidden]; embeddings: e, [rows x width]; target: [rows x hidden].
  func run(
    _ x: MatrixView<Float>, _ embeddings: MatrixView<Float>, into target: MatrixView<Float>, _ compute: Compute
  ) {
    let gated = compute.view(.gate, rows: x.rows, columns: width)
    timed("text.per-layer", products(x.rows, gate, projection)) {
      compute.matmul.load(x)
      compute.matmul.multiply(by: gate, into: gated, activation: compute.tensors.function(.gelu))
      compute.tensors.multiply(embeddings, into: gated)
      compute.matmul.load(gated)
      compute.matmul.multiply(by: projection, into: target)
      norm.apply(target, into: target, compute)
    }
  }
}
