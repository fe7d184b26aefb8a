import OccamCore
import OccamMatmul
import OccamTensors

/// LFM2's mixing of neighbouring rows: a depthwise convolution over a few rows, gated before and behind.
/// Reference: Hugging Face transformers, modeling_lfm2.py (`Lfm2ShortConv`).
struct ShortConvolution: Sendable {
  let input: LinearWeights  // [3 * hidden x hidden]: B, C, x
  let convolution: CausalConvolution
  let output: LinearWeights  // [hidden x hidden]

  /// - Parameters: prefix: of the tensors, "blk.0.shortconv."; taps: rows that a result is made of.
  init(_ loader: WeightLoader, _ prefix: String, hidden: Int, taps: Int) throws {
    input = try LinearWeights(loader, prefix + "in_proj", outputs: 3 * hidden, inputs: hidden)
    convolution = CausalConvolution(
      taps: taps, channels: hidden,
      weights: try loader.table(prefix + "conv.weight", rows: hidden, columns: taps),
      bias: try loader.optionalVector(prefix + "conv.bias", count: hidden))
    output = try LinearWeights(loader, prefix + "out_proj", outputs: hidden, inputs: hidden)
  }

  /// target += Wout(C * convolution(B * x)), (B, C, x) = Win n. All rows pass through the convolution, which `states`
  /// carry on; only the rows `outputs` are wanted.
  /// - Parameters: normed: n, [rows x hidden]; target: [outputs x hidden].
  func run(
    _ normed: MatrixView<Float>, _ states: RecurrentStates, outputs: Range<Int>, into target: MatrixView<Float>,
    _ compute: Compute
  ) {
    let hidden = normed.columns
    let parts = compute.view(.mixed, rows: normed.rows, columns: 3 * hidden)
    timed("text.conv.in", products(normed.rows, input.weight)) {
      compute.matmul.load(normed)
      input.multiply(into: parts, compute)
    }
    let x = parts.slice(columns: 2 * hidden..<3 * hidden)
    timed("text.conv") {
      compute.tensors.multiply(parts.slice(columns: 0..<hidden), into: x)
      states.forEach(normed.rows) { state, part in
        let own = x.slice(rows: part)
        convolution.run(own, state: state.values.pointer, activation: nil, into: own, ops: compute.tensors)
      }
      compute.tensors.multiply(
        parts.slice(columns: hidden..<2 * hidden).slice(rows: outputs), into: x.slice(rows: outputs))
    }
    timed("text.conv.out", products(outputs.count, output.weight)) {
      compute.matmul.load(x.slice(rows: outputs))
      output.multiply(into: target, accumulate: true, compute)
    }
  }
}
