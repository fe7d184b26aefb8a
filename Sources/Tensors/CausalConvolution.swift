import OccamCore
import OccamKernelContract

/// A depthwise convolution over the rows of a sequence: every channel has a few weights of its own, and a row sees itself
/// and the rows before it. What a pass leaves for the next are its last `taps - 1` inputs.
///
/// Reference: the Conv1d with `groups` = channels of Hugging Face transformers (modeling_qwen3_5.py, modeling_lfm2.py);
/// ggml_ssm_conv.
package struct CausalConvolution: Sendable {
  /// Rows that a result is made of, its own included.
  package let taps: Int
  package let channels: Int
  /// taps x channels, the weight of the row's own input last.
  private let weights: AlignedBuffer<Float>
  private let bias: AlignedBuffer<Float>?

  /// Channels that one thread takes along all rows: two kilobytes of each row.
  static let channelsPerItem = 512
  package static let maximumTaps = 64

  /// - Parameters:
  ///   - weights: channels x taps, as files store them: of each channel the weight of the oldest row first.
  ///   - bias: one a channel, or none.
  package init(taps: Int, channels: Int, weights: AlignedBuffer<Float>, bias: AlignedBuffer<Float>? = nil) {
    precondition(taps >= 1 && taps <= CausalConvolution.maximumTaps, "CausalConvolution: taps out of range")
    precondition(channels >= 1 && weights.count == taps * channels, "CausalConvolution: one weight a channel and tap")
    precondition(bias.map { $0.count == channels } ?? true, "CausalConvolution: one bias a channel")
    self.taps = taps
    self.channels = channels
    self.bias = bias
    self.weights = AlignedBuffer(count: taps * channels, zeroed: false)
    for channel in 0..<channels {
      for tap in 0..<taps {
        self.weights.pointer[tap * channels + channel] = weights.pointer[channel * taps + tap]
      }
    }
  }

  /// Floats that a sequence carries from pass to pass: (taps - 1) x channels inputs, oldest row first; zeros at the start.
  package var stateCount: Int { (taps - 1) * channels }

  /// out[t] = f(bias + sum over j of weights[j] * x[t - taps + 1 + j]), rows before the first taken from `state`, which
  /// then holds the last inputs of this pass. Allocates nothing. A row's result does not depend on how rows are divided
  /// into passes.
  /// - Parameters:
  ///   - x: rows x channels.
  ///   - state: `stateCount` floats.
  ///   - activation: f; nil: none.
  ///   - out: of the same shape, may be `x`.
  package func run(
    _ x: MatrixView<Float>, state: UnsafeMutablePointer<Float>, activation: Activation?, into out: MatrixView<Float>,
    ops: TensorOps
  ) {
    precondition(x.columns == channels && out.columns == channels, "CausalConvolution: rows of another width")
    precondition(x.rows == out.rows, "CausalConvolution: shapes differ")
    guard x.rows > 0 else { return }
    let items = (channels + CausalConvolution.channelsPerItem - 1) / CausalConvolution.channelsPerItem
    let grain = max(1, TensorOps.elementsPerStep / (x.rows * CausalConvolution.channelsPerItem))
    ops.team.parallel(
      items, grain: grain,
      Step(
        x: x, out: out, weights: weights.pointer, bias: bias?.pointer, taps: taps, state: state,
        convolve: ops.vector.convolve, activation: activation.map(ops.function)))
  }

  /// Item by item some channels along all rows.
  private struct Step: TeamStep {
    let x: MatrixView<Float>
    let out: MatrixView<Float>
    let weights: UnsafePointer<Float>
    let bias: UnsafePointer<Float>?
    let taps: Int
    let state: UnsafeMutablePointer<Float>
    let convolve: VectorKernels.Convolve
    let activation: (@Sendable (UnsafeMutablePointer<Float>, Int) -> Void)?

    func run(_ range: Range<Int>, worker: Int) {
      let width = CausalConvolution.channelsPerItem
      withUnsafeTemporaryAllocation(of: Float.self, capacity: max(taps - 1, 1) * width) { kept in
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: taps) { rows in
          guard let kept = kept.baseAddress, let rows = rows.baseAddress else { return }
          for item in range {
            run(item * width..<min((item + 1) * width, x.columns), kept, rows)
          }
        }
      }
    }

    /// Last row first, so that `out` may be `x`: a row is overwritten when no other row needs it any more. Hence the
    /// inputs that the next pass sees are set aside beforehand.
    private func run(
      _ channels: Range<Int>, _ kept: UnsafeMutablePointer<Float>, _ rows: UnsafeMutablePointer<UnsafePointer<Float>>
    ) {
      let count = channels.count
      for index in 0..<taps - 1 {
        (kept + index * count).update(from: input(x.rows - taps + 1 + index, channels.lowerBound), count: count)
      }
      for row in (0..<x.rows).reversed() {
        for tap in 0..<taps { rows[tap] = input(row - taps + 1 + tap, channels.lowerBound) }
        let target = out.row(row) + channels.lowerBound
        convolve(
          rows, weights + channels.lowerBound, x.columns, taps, bias.map { $0 + channels.lowerBound }, target, count)
        activation?(target, count)
      }
      for index in 0..<taps - 1 {
        (state + index * x.columns + channels.lowerBound).update(from: kept + index * count, count: count)
      }
    }

    /// Row `row` of the sequence from this channel on; negative: of the passes before.
    private func input(_ row: Int, _ channel: Int) -> UnsafePointer<Float> {
      UnsafePointer(row >= 0 ? x.row(row) : state + (taps - 1 + row) * x.columns) + channel
    }
  }
}
