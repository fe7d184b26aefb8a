import OccamCore
import OccamMatmul
import OccamTensors

/// Qwen3.5 and its successors of the same graph, dense or with mixtures of experts: three of four layers are gated
/// delta-nets, whose state has one size however long the sequence; the fourth attends, its result gated, queries and keys
/// normed, a quarter of each head rotated by interleaved M-RoPE. Layers of multi-token prediction are not read.
///
/// Reference: Hugging Face transformers, modeling_qwen3_5.py and modeling_qwen3_5_moe.py; llama.cpp,
/// src/models/qwen35.cpp and qwen35moe.cpp.
final class Qwen35Decoder: TextDecoder {
  let shape: TextShape
  let weightBytes: Int
  let bytesPerToken: Int
  private let embedding: EmbeddingTable
  private let layers: [Qwen35Layer]
  private let head: OutputHead

  /// - Parameter prefix: of the header's keys, the architecture's name.
  init(_ loader: WeightLoader, prefix: String, hasExperts: Bool = false) throws {
    let configuration = try Qwen35Configuration(loader.file, prefix: prefix, hasExperts: hasExperts)
    let shape = configuration.shape
    self.shape = shape
    embedding = try loader.embedding("token_embd.weight", rows: shape.vocabulary, columns: shape.hidden)
    let embeddingBytes = loader.bytes
    let rotary = try configuration.base.rotaryTable(loader, .halves)
    layers = try (0..<shape.layers).map { try Qwen35Layer(loader, $0, configuration, rotary) }
    head = try OutputHead(loader, shape, epsilon: configuration.base.rmsEpsilon)
    weightBytes = loader.bytes
    bytesPerToken = loader.bytes - embeddingBytes - layers.reduce(0) { $0 + $1.feedForward.unreadBytes }
  }

  func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>) {
    embedding.decode(Int(token), into: row)
  }

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
      // x += mixer(norm(x))
      timed("text.norm") { layer.mixerNorm.apply(x, into: normed, compute) }
      switch layer.mixer {
      case .delta(let delta):
        delta.run(normed, states.recurrent(index), outputs: wanted, into: rest, compute)
      case .attention(let attention):
        attention.run(
          normed, input, states.keyValues(index), outputs: wanted, scores: input.scores(of: index, in: range),
          into: rest, compute)
      }
      // x += MLP(norm(x)), some rows at a time
      inSteps(rest, of: layer.feedForward.rowsPerStep, compute) { part in
        let normed = normed.slice(rows: 0..<part.rows)
        timed("text.norm") { layer.feedForwardNorm.apply(part, into: normed, compute) }
        layer.feedForward.run(normed, into: part, accumulate: true, compute)
      }
      input.inject(behind: index)
      Probe.tensor("text.layer-\(index)", x)
    }
  }

  func logits(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, compute: Compute) {
    head.run(hidden, into: logits, compute)
  }
}

/// One layer of a `qwen35` decoder.
struct Qwen35Layer: Sendable {
  /// How rows learn of each other.
  enum Mixer: Sendable {
    case delta(DeltaNet)
    case attention(GatedAttention)
  }

  let mixerNorm: RMSNormWeights
  let mixer: Mixer
  let feedForwardNorm: RMSNormWeights
  let feedForward: FeedForward

  init(_ loader: WeightLoader, _ index: Int, _ configuration: Qwen35Configuration, _ rotary: RotaryTable) throws {
    let prefix = "blk.\(index)."
    let shape = configuration.shape
    let epsilon = configuration.base.rmsEpsilon
    mixerNorm = try RMSNormWeights(loader, prefix + "attn_norm", shape.hidden, epsilon: epsilon)
    if let cache = shape.attention(index) {
      mixer = .attention(
        try GatedAttention(
          loader, prefix, hidden: shape.hidden, heads: shape.heads, cache: cache, epsilon: epsilon, rotary: rotary))
    } else {
      mixer = .delta(try DeltaNet(loader, prefix, hidden: shape.hidden, shape: configuration.delta))
    }
    // The norm stands behind attention and before the feed-forward network.
    feedForwardNorm = try RMSNormWeights(loader, prefix + "post_attention_norm", shape.hidden, epsilon: epsilon)
    feedForward = try FeedForward(loader, prefix, shape)
  }
}
