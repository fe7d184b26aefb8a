import OccamCore
import OccamMatmul
import OccamTensors

/// Gemma 3: norms before and behind attention and feed-forward network, norms of queries and keys, GeGLU, five layers with
/// a sliding window and a RoPE base of their own for each that sees everything, token embeddings scaled by the root of
/// their width (an image's are not). Reference: Hugging Face transformers, modeling_gemma3.py; llama.cpp,
/// src/models/gemma3.cpp.
final class Gemma3Decoder: TextDecoder {
  let shape: TextShape
  let weightBytes: Int
  let bytesPerToken: Int
  private let embedding: EmbeddingTable
  private let layers: [Gemma3Layer]
  private let head: OutputHead

  init(_ loader: WeightLoader) throws {
    let configuration = try Gemma3Configuration(loader.file)
    let shape = configuration.shape
    self.shape = shape
    embedding = try loader.embedding("token_embd.weight", rows: shape.vocabulary, columns: shape.hidden)
    let embeddingBytes = loader.bytes
    let global = try configuration.base.rotaryTable(loader, .halves)
    // The linear scale of long contexts belongs to the layers that see everything.
    let local = RotaryTable(
      dimension: configuration.base.ropeDimension, base: configuration.windowRopeBase, frequencyScale: 1,
      frequencyFactors: nil, style: .halves)
    layers = try shape.states.indices.map {
      let cache = shape.attention($0) ?? configuration.base.cache
      return try Gemma3Layer(loader, $0, configuration, cache, cache.window == nil ? global : local)
    }
    head = try OutputHead(loader, shape, epsilon: configuration.base.rmsEpsilon)
    weightBytes = loader.bytes
    bytesPerToken = loader.bytes - embeddingBytes
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
        into: attended,
        accumulate: false, compute)
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
      Probe.tensor("text.layer-\(index)", x)
    }
  }

  func logits(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, compute: Compute) {
    head.run(hidden, into: logits, compute)
  }
}

/// One layer of a `gemma3` decoder.
struct Gemma3Layer: Sendable {
  let attentionNorm: RMSNormWeights
  let attention: SelfAttention
  let attentionPostNorm: RMSNormWeights
  let feedForwardNorm: RMSNormWeights
  let feedForward: GatedMLP
  let feedForwardPostNorm: RMSNormWeights

  init(
    _ loader: WeightLoader, _ index: Int, _ configuration: Gemma3Configuration, _ cache: KVCacheShape,
    _ rotary: RotaryTable
  ) throws {
    let prefix = "blk.\(index)."
    let shape = configuration.shape
    let epsilon = configuration.base.rmsEpsilon
    func norm(_ name: String) throws -> RMSNormWeights {
      try RMSNormWeights(loader, prefix + name, shape.hidden, epsilon: epsilon)
    }
    attentionNorm = try norm("attn_norm")
    attention = try SelfAttention(
      loader, prefix, hidden: shape.hidden, heads: shape.heads, cache: cache,
      scale: configuration.attentionScale, epsilon: epsilon, rotary: rotary)
    attentionPostNorm = try norm("post_attention_norm")
    feedForwardNorm = try norm("ffn_norm")
    feedForward = try GatedMLP(loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, gate: .gelu)
    feedForwardPostNorm = try norm("post_ffw_norm")
  }
}
