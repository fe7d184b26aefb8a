import OccamCore
import OccamGGUF
import OccamMatmul
import OccamTensors

/// The `llama` architecture (LLaMA 1-3, Vicuna, Mistral, SmolLM and whatever shares its graph), and those that differ from
/// it by biases, norms of queries and keys, and what rotates alone: `qwen2`, `qwen3`, `qwen2vl`, `qwen3vl`; and those whose
/// feed-forward networks are mixtures of experts: `qwen3moe`, `qwen3vlmoe`.
///
/// RMSNorm, RoPE, grouped-query attention, SwiGLU. Reference: llama.cpp, src/models/llama.cpp, qwen2.cpp, qwen3.cpp, qwen2vl.cpp, qwen3vl.cpp,
/// qwen3moe.cpp, qwen3vlmoe.cpp.
package final class LlamaDecoder: TextDecoder {
  package let shape: TextShape
  package let weightBytes: Int
  package let bytesPerToken: Int
  private let embedding: EmbeddingTable
  private let layers: [LlamaLayer]
  private let head: OutputHead

  /// - Parameters:
  ///   - prefix: of the configuration's keys, the architecture's name.
  ///   - pairing: which numbers of a head are rotated together.
  ///   - sections: how positions of several dimensions share them; nil: positions have one.
  ///   - hasExperts: feed-forward networks are mixtures of experts.
  init(
    _ loader: WeightLoader, prefix: String, pairing: RotaryTable.Style, sections: RotarySections? = nil,
    hasExperts: Bool = false
  ) throws {
    let configuration = try LlamaConfiguration(
      loader.file, prefix: prefix, sections: sections, hasExperts: hasExperts)
    let shape = configuration.shape
    self.shape = shape
    embedding = try loader.embedding("token_embd.weight", rows: shape.vocabulary, columns: shape.hidden)
    let embeddingBytes = loader.bytes
    let rotary = try configuration.rotaryTable(loader, pairing)
    layers = try (0..<shape.layers).map { try LlamaLayer(loader, $0, configuration, rotary) }
    head = try OutputHead(loader, shape, epsilon: configuration.rmsEpsilon)
    weightBytes = loader.bytes
    bytesPerToken = loader.bytes - embeddingBytes - layers.reduce(0) { $0 + $1.feedForward.unreadBytes }
  }

  package func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>) {
    embedding.decode(Int(token), into: row)
  }

  package func forward(
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
      // x += attention(norm(x))
      timed("text.norm") { layer.attentionNorm.apply(x, into: normed, compute) }
      layer.attention.run(
        normed, input, states.keyValues(index), outputs: wanted, scores: input.scores(of: index, in: range), into: rest,
        accumulate: true, compute)
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

  package func logits(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, compute: Compute) {
    head.run(hidden, into: logits, compute)
  }
}
