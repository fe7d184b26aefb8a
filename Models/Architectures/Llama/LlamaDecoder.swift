import OccamCore
import OccamGGUF
import OccamMatmul
import OccamTensors

/// The `llama` architecture (LLaMA 1-3, Vicuna, Mistral, TinyLlama and whatever shares its graph): RMSNorm, RoPE on
/// adjacent pairs, grouped-query attention, SwiGLU. Reference: llama.cpp, src/models/llama.cpp.
package final class LlamaDecoder: TextDecoder {
  package let shape: TextShape
  package let weightBytes: Int
  package let bytesPerToken: Int
  private let configuration: LlamaConfiguration
  private let embedding: EmbeddingTable
  private let layers: [LlamaLayer]
  private let outputNorm: AlignedBuffer<Float>
  private let outputHead: PackedMatrix
  private let rotary: RotaryTable

  /// Rows a pass of the feed-forward network takes at once, so that its activations stay small for long prompts.
  private static let feedForwardRows = 256

  package init(_ loader: WeightLoader) throws {
    let file = loader.file
    configuration = try LlamaConfiguration(file)
    shape = configuration.shape
    let shape = shape
    embedding = try loader.embedding("token_embd.weight", rows: shape.vocabulary, columns: shape.hidden)
    let embeddingBytes = loader.bytes
    layers = try (0..<shape.layers).map { try LlamaLayer(loader, $0, shape) }
    outputNorm = try loader.vector("output_norm.weight", count: shape.hidden)
    // Tied models have no output.weight: the embedding table is the output head.
    let head = loader.has("output.weight") ? "output.weight" : "token_embd.weight"
    outputHead = try loader.matrix(head, rows: shape.vocabulary, columns: shape.hidden)
    // Llama 3.1 and later scale the frequencies by a stored factor each.
    let factors = try loader.optionalVector("rope_freqs.weight", count: configuration.ropeDimension / 2)
    guard factors?.buffer.allSatisfy({ $0.isFinite && $0 > 0 }) ?? true else {
      throw ModelError(
        .badValue, file.subject, "tensor 'rope_freqs.weight' holds a divisor that is not a positive number")
    }
    rotary = RotaryTable(
      dimension: configuration.ropeDimension, base: configuration.ropeBase,
      frequencyScale: configuration.ropeFrequencyScale, frequencyFactors: factors.map { Array($0.buffer) },
      style: .adjacent)
    weightBytes = loader.bytes
    bytesPerToken = loader.bytes - embeddingBytes
  }

  package func embed(_ token: Int32, into row: UnsafeMutablePointer<Float>) {
    embedding.decode(Int(token), into: row)
  }

  package func forward(
    layers range: Range<Int>, hidden x: MatrixView<Float>, positions: [Int32], cells: [LayerCells], compute: Compute,
    scores: ScoreRequest?, lastRowOnly: Bool
  ) throws(Cancelled) {
    precondition(x.rows == positions.count, "LlamaDecoder: one position a row")
    TimingTable.shared?.begin(
      group: "\(x.rows == 1 ? "decode" : "prefill") \(range.lowerBound + 1)-\(range.upperBound)")
    for index in range {
      try compute.beginLayer(index, of: shape.layers)
      let isLast = index == range.upperBound - 1
      attention(
        index, x, positions, cells[index], compute, scores: isLast ? scores : nil,
        outputs: isLast && lastRowOnly ? (x.rows - 1)..<x.rows : 0..<x.rows)
      feedForward(layers[index], isLast && lastRowOnly ? x.slice(rows: (x.rows - 1)..<x.rows) : x, compute)
      Probe.tensor("text.layer-\(index)", x)
    }
  }

  /// x += Wo attention(RoPE(Wq n), RoPE(Wk n), Wv n), n = RMSNorm(x). Only the rows `outputs` attend; all rows are stored.
  private func attention(
    _ index: Int, _ x: MatrixView<Float>, _ positions: [Int32], _ cells: LayerCells, _ compute: Compute,
    scores: ScoreRequest?, outputs: Range<Int>
  ) {
    let layer = layers[index]
    let rows = x.rows
    let normed = compute.view(.normed, rows: rows, columns: shape.hidden)
    let q = compute.view(.query, rows: rows, columns: shape.heads * shape.headDimension)
    let k = compute.view(.key, rows: rows, columns: shape.kvHeads * shape.headDimension)
    let v = compute.view(.value, rows: rows, columns: shape.kvHeads * shape.headDimension)
    let mixed = compute.view(.mixed, rows: rows, columns: shape.heads * shape.headDimension)
    let firstCell = cells.count

    timed("text.norm") {
      compute.tensors.rmsNorm(x, weight: layer.attentionNorm.pointer, epsilon: configuration.rmsEpsilon, into: normed)
    }
    timed("text.qkv", products(rows, layer.query, layer.key, layer.value)) {
      compute.matmul.load(normed)
      compute.matmul.multiply([
        MatmulProduct(layer.query, into: q, bias: layer.queryBias?.pointer),
        MatmulProduct(layer.key, into: k, bias: layer.keyBias?.pointer),
        MatmulProduct(layer.value, into: v, bias: layer.valueBias?.pointer),
      ])
    }
    timed("text.rope") {
      positions.withUnsafeBufferPointer { positions in
        guard let base = positions.baseAddress else { return }
        rope(q, shape.heads, base, compute)
        rope(k, shape.kvHeads, base, compute)
      }
      cells.append(keys: k, values: v, ops: compute.tensors)
    }
    timed("text.attention", attentionWork(outputs, firstCell: firstCell)) {
      compute.tensors.attendCausal(
        q.slice(rows: outputs), cells: cells, firstCell: firstCell + outputs.lowerBound, heads: shape.heads,
        scale: 1 / Float(shape.headDimension).squareRoot(), into: mixed.slice(rows: outputs),
        scratch: compute.attention, scores: scores)
    }
    timed("text.output", products(outputs.count, layer.output)) {
      compute.matmul.load(mixed.slice(rows: outputs))
      compute.matmul.multiply(
        by: layer.output, into: x.slice(rows: outputs), bias: layer.outputBias?.pointer, accumulate: true)
    }
  }

  /// Row i sees the cells before and rows 0...i.
  private func attentionWork(_ rows: Range<Int>, firstCell: Int) -> MeasuredWork {
    let seen = Double(rows.count) * (Double(firstCell) + Double(rows.lowerBound + rows.upperBound + 1) / 2)
    return MeasuredWork(operations: 4 * seen * Double(shape.heads * shape.headDimension))
  }

  private func rope(_ x: MatrixView<Float>, _ heads: Int, _ positions: UnsafePointer<Int32>, _ compute: Compute) {
    compute.tensors.rope(
      x, heads: heads, headDimension: shape.headDimension, positions: positions, table: rotary)
  }

  /// x += Wdown(silu(Wgate n) * Wup n), n = RMSNorm(x), some rows at a time.
  private func feedForward(_ layer: LlamaLayer, _ x: MatrixView<Float>, _ compute: Compute) {
    for start in stride(from: 0, to: x.rows, by: LlamaDecoder.feedForwardRows) {
      let part = x.slice(rows: start..<min(start + LlamaDecoder.feedForwardRows, x.rows))
      let normed = compute.view(.normed, rows: part.rows, columns: shape.hidden)
      let gate = compute.view(.gate, rows: part.rows, columns: shape.feedForward)
      let up = compute.view(.up, rows: part.rows, columns: shape.feedForward)
      timed("text.norm") {
        compute.tensors.rmsNorm(
          part, weight: layer.feedForwardNorm.pointer, epsilon: configuration.rmsEpsilon, into: normed)
      }
      timed("text.gate+up", products(part.rows, layer.gate, layer.up)) {
        compute.matmul.load(normed)
        compute.matmul.multiply([MatmulProduct(layer.gate, into: gate), MatmulProduct(layer.up, into: up)])
      }
      timed("text.silu") { compute.tensors.siluMultiply(gate: gate, up: up) }
      timed("text.down", products(part.rows, layer.down)) {
        compute.matmul.load(gate)
        compute.matmul.multiply(by: layer.down, into: part, accumulate: true)
      }
    }
  }

  package func logits(_ hidden: MatrixView<Float>, into logits: MatrixView<Float>, compute: Compute) {
    let normed = compute.view(.normed, rows: hidden.rows, columns: shape.hidden)
    compute.tensors.rmsNorm(hidden, weight: outputNorm.pointer, epsilon: configuration.rmsEpsilon, into: normed)
    timed("text.head", products(hidden.rows, outputHead)) {
      compute.matmul.load(normed)
      compute.matmul.multiply(by: outputHead, into: logits)
    }
    Probe.tensor("text.logits", logits)
  }
}
