import OccamCore
import OccamGGUF
import OccamMatmul
import OccamTensors

/// The `lfm2` architecture: gated short convolutions, and in some layers grouped-query attention with norms of queries
/// and keys. Reference: Hugging Face transformers, modeling_lfm2.py; llama.cpp, src/models/lfm2.cpp.
final class LFM2Decoder: TextDecoder {
  let shape: TextShape
  let weightBytes: Int
  let bytesPerToken: Int
  private let embedding: EmbeddingTable
  private let layers: [LFM2Layer]
  private let head: OutputHead

  init(_ loader: WeightLoader) throws {
    let configuration = try LFM2Configuration(loader.file)
    let shape = configuration.shape
    self.shape = shape
    embedding = try loader.embedding("token_embd.weight", rows: shape.vocabulary, columns: shape.hidden)
    let embeddingBytes = loader.bytes
    let rotary = try configuration.base.rotaryTable(loader, .halves)
    layers = try (0..<shape.layers).map { try LFM2Layer(loader, $0, configuration, rotary) }
    // The final norm, which files call the embeddings'.
    head = try OutputHead(loader, shape, epsilon: configuration.base.rmsEpsilon, norm: "token_embd_norm")
    weightBytes = loader.bytes
    bytesPerToken = loader.bytes - embeddingBytes
  }

  func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>) { embedding.decode(Int(token), into: row) }

  func forward(
    layers range: Range<Int>, _ input: PassInput, states: PassSequences, compute: Compute
  ) throws(Cancelled) {
    let x = input.hidden
    let normed = compute.view(.normed, rows: x.rows, columns: shape.hidden)
    TimingTable.shared?.begin(pass: x.rows, layers: range)
    for index in range {
      try compute.beginLayer(index, of: shape.layers)
      let layer = layers[index]
      let wanted = input.wantedRows(of: index, in: range)
      let rest = x.slice(rows: wanted)
      // x += mix(norm(x)), attention or a convolution
      timed("text.norm") { layer.mixerNorm.apply(x, into: normed, compute) }
      switch layer.mixer {
      case .attention(let attention):
        attention.run(
          normed, input, states.keyValues(index), outputs: wanted, scores: input.scores(of: index, in: range),
          into: rest, accumulate: true, compute)
      case .convolution(let convolution):
        convolution.run(normed, states.recurrent(index), outputs: wanted, into: rest, compute)
      }
      // x += MLP(norm(x)), some rows at a time
      inSteps(rest, compute) { part in
        let normed = normed.slice(rows: 0..<part.rows)
        timed("text.norm") { layer.feedForwardNorm.apply(part, into: normed, compute) }
        layer.feedForward.run(normed, into: part, accumulate: true, compute)
      }
      Probe.tensor("text.layer-\(index)", x)
    }
  }

  func logits(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, compute: Compute) {
    head.run(hidden, into: logits, compute)
  }
}

/// One layer of an `lfm2` decoder.
private struct LFM2Layer: Sendable {
  enum Mixer: Sendable {
    case attention(SelfAttention)
    case convolution(ShortConvolution)
  }

  let mixerNorm: RMSNormWeights
  let mixer: Mixer
  let feedForwardNorm: RMSNormWeights
  let feedForward: GatedMLP

  init(_ loader: WeightLoader, _ index: Int, _ configuration: LFM2Configuration, _ rotary: RotaryTable) throws {
    let prefix = "blk.\(index)."
    let (shape, epsilon) = (configuration.shape, configuration.base.rmsEpsilon)
    mixerNorm = try RMSNormWeights(loader, prefix + "attn_norm", shape.hidden, epsilon: epsilon)
    if let cache = shape.attention(index) {
      mixer = .attention(
        try SelfAttention(
          loader, prefix, hidden: shape.hidden, heads: shape.heads, cache: cache, epsilon: epsilon, rotary: rotary))
    } else {
      mixer = .convolution(
        try ShortConvolution(loader, prefix + "shortconv.", hidden: shape.hidden, taps: configuration.taps))
    }
    feedForwardNorm = try RMSNormWeights(loader, prefix + "ffn_norm", shape.hidden, epsilon: epsilon)
    feedForward = try GatedMLP(
      loader, prefix, hidden: shape.hidden, feedForward: shape.feedForward, gate: .silu)
  }
}
