import Glibc
import OccamCore
import OccamTensors
import Testing

/// The causal convolution of every kernel set against double precision, and passes cut at every place.
@Suite struct CausalConvolutionTests {
  /// Kernel lengths of published models (LFM2: 3, Qwen3.5: 4) and the limits; widths with tails, and of several items.
  static let shapes = [(1, 16), (2, 7), (3, 40), (4, 1100), (64, 33)]

  @Test(arguments: VectorSets.names, shapes) func againstDoubles(set: String, shape: (taps: Int, channels: Int)) throws
  {
    let (taps, channels) = shape
    for rows in [1, 2, 5, 70] {
      for activation in [nil, Activation.silu] {
        for biased in [false, true] {
          let sample = Sample(taps: taps, channels: channels, rows: rows, biased: biased)
          let expected = sample.reference(activation)
          let ops = try TensorOps(set)
          let out = Matrix(rows: rows, columns: channels, gap: 4)
          sample.convolution.run(
            sample.x.view, state: sample.state.buffer.pointer, activation: activation, into: out.view, ops: ops)
          #expect(relativeError(out.values, expected.out) < 1e-6)
          #expect(sample.state.values == expected.state)
        }
      }
    }
  }

  /// In place, with any number of threads, and in two passes cut at every place: the same bits.
  @Test(arguments: VectorSets.names) func passesAndThreads(set: String) throws {
    func run(_ cut: Int, threads: Int, inPlace: Bool) throws -> ([UInt32], [UInt32]) {
      let sample = Sample(taps: 4, channels: 1040, rows: 9, biased: true)
      let ops = try TensorOps(set, threads: threads)
      let out = inPlace ? sample.x : Matrix(rows: 9, columns: 1040)
      for rows in [0..<cut, cut..<9] {
        sample.convolution.run(
          sample.x.view.slice(rows: rows), state: sample.state.buffer.pointer, activation: .silu,
          into: out.view.slice(rows: rows), ops: ops)
      }
      return (bits(out), bits(sample.state))
    }
    let whole = try run(0, threads: 1, inPlace: false)
    for cut in 0...9 {
      for threads in [1, 3] {
        #expect(try run(cut, threads: threads, inPlace: cut % 2 == 0) == whole, "cut at \(cut)")
      }
    }
  }

  private struct Sample {
    let taps: Int
    let x: Matrix
    let state: Matrix
    let weights: Matrix
    let bias: Matrix?
    let convolution: CausalConvolution

    init(taps: Int, channels: Int, rows: Int, biased: Bool) {
      self.taps = taps
      x = Matrix(rows: rows, columns: channels, gap: 3, seed: 20)
      state = Matrix(rows: taps - 1, columns: channels, seed: 21)
      weights = Matrix(rows: channels, columns: taps, seed: 22)
      bias = biased ? Matrix(rows: 1, columns: channels, seed: 23) : nil
      convolution = CausalConvolution(
        taps: taps, channels: channels, weights: weights.buffer, bias: bias?.buffer)
    }

    func reference(_ activation: Activation?) -> (out: [Double], state: [Float]) {
      let inputs = state.doubles + x.doubles
      let out = (0..<x.view.rows).flatMap { row in
        (0..<x.view.columns).map { channel in
          var sum = Double(bias?.values[channel] ?? 0)
          for tap in 0..<taps { sum += inputs[row + tap][channel] * Double(weights.view.row(channel)[tap]) }
          return activation == .silu ? sum / (1 + exp(-sum)) : sum
        }
      }
      return (out, inputs.suffix(taps - 1).flatMap { $0.map(Float.init) })
    }
  }
}
