import OccamCore
import OccamMatmul
import OccamPruning
import OccamTensors

/// The feed-forward network of a vision encoder's layer.
protocol EncoderFeedForward: Sendable {
  /// Of the hidden values.
  var width: Int { get }
  /// Whether a hidden value is a product of two.
  var isGated: Bool { get }
  /// `hidden` [rows x width] = what the down projection takes, of n [rows x hidden size].
  func expand(_ normed: MatrixView<Float>, into hidden: MatrixView<Float>, _ compute: Compute)
  /// x += Wdown hidden. `hidden` may be changed.
  func contract(_ hidden: MatrixView<Float>, into x: MatrixView<Float>, _ compute: Compute)
}

extension EncoderFeedForward {
  /// x += Wdown h(n); register neurons move their largest patch activation to the register.
  /// - Parameters: normed: n; patches: their rows; register: its row, if there is one.
  func run(
    _ normed: MatrixView<Float>, layer: Int, patches: Range<Int>, register: Int?, plan: RegisterPlan?,
    observer: EncoderObserver?, into x: MatrixView<Float>, _ compute: Compute
  ) {
    let moves = register != nil && plan.map { !$0.neurons(inLayer: layer).isEmpty } ?? false
    guard moves || observer != nil else {
      // Nobody looks at all patches' values together: some rows at a time take less memory.
      for start in stride(from: 0, to: x.rows, by: EncoderLimits.rowsPerStep) {
        compute.team.giveWay()
        let rows = start..<min(start + EncoderLimits.rowsPerStep, x.rows)
        let hidden = compute.view(.gate, rows: rows.count, columns: width)
        expand(normed.slice(rows: rows), into: hidden, compute)
        contract(hidden, into: x.slice(rows: rows), compute)
      }
      return
    }
    compute.team.giveWay()
    let hidden = compute.view(.gate, rows: x.rows, columns: width)
    expand(normed, into: hidden, compute)
    if let plan, let register {
      plan.moveActivations(hidden, layer: layer, patches: patches, register: register, gated: isGated)
    }
    observer?.hidden(layer: layer, hidden.slice(rows: patches))
    contract(hidden, into: x, compute)
  }
}

/// What a pass of an encoder holds at a time.
package enum EncoderLimits {
  /// Rows that a feed-forward takes at once where it may.
  package static let rowsPerStep = 1024
}

/// f(Wup n): CLIP, SigLIP, InternViT, Qwen2-VL.
struct PlainFeedForward: EncoderFeedForward {
  let activation: Activation
  let up: LinearWeights  // [width x hidden size]
  let down: ScaledBranch  // [hidden size x width]

  /// - Parameter scale: of what the layer adds, one factor a channel (LayerScale).
  ///
  /// Files of the older converter name the two matrices the other way round; the shape tells (llama.cpp does the same:
  /// they are swapped iff "down" takes `hidden` inputs).
  init(
    _ loader: WeightLoader, _ prefix: String, hidden: Int, feedForward: Int, activation: Activation,
    scale: AlignedBuffer<Float>? = nil
  ) throws {
    self.activation = activation
    let swapped = loader.file.tensor(prefix + "ffn_down.weight")?.dimensions.first == hidden
    up = try LinearWeights(loader, prefix + (swapped ? "ffn_down" : "ffn_up"), outputs: feedForward, inputs: hidden)
    down = ScaledBranch(
      linear: try LimitedLinear(
        loader, prefix + (swapped ? "ffn_up" : "ffn_down"), outputs: hidden, inputs: feedForward), scale: scale)
  }

  var width: Int { up.weight.rows }
  var isGated: Bool { false }

  func expand(_ normed: MatrixView<Float>, into hidden: MatrixView<Float>, _ compute: Compute) {
    timed("vision.up+activation", products(normed.rows, up.weight)) {
      compute.matmul.load(normed)
      up.multiply(into: hidden, activation: compute.tensors.function(activation), compute)
    }
  }

  func contract(_ hidden: MatrixView<Float>, into x: MatrixView<Float>, _ compute: Compute) {
    timed("vision.down", products(x.rows, down.linear.weight)) { down.add(hidden, to: x, compute) }
  }
}

/// f(Wgate n) * Wup n: Qwen2.5-VL, Gemma 4.
struct GatedFeedForward: EncoderFeedForward {
  /// f.
  let kind: GatedMLP.Gate
  let gate: LimitedLinear  // [width x hidden size]
  let up: LimitedLinear  // [width x hidden size]
  let down: ScaledBranch  // [hidden size x width]

  /// - Parameters:
  ///   - isLimited: whether the file may limit inputs and outputs of the three.
  ///   - norm: of what is added.
  init(
    _ loader: WeightLoader, _ prefix: String, hidden: Int, feedForward: Int, gate kind: GatedMLP.Gate = .silu,
    isLimited: Bool = false, norm: RMSNormWeights? = nil
  ) throws {
    self.kind = kind
    func linear(_ name: String, outputs: Int, inputs: Int) throws -> LimitedLinear {
      try LimitedLinear(loader, prefix + name, outputs: outputs, inputs: inputs, isLimited: isLimited)
    }
    gate = try linear("ffn_gate", outputs: feedForward, inputs: hidden)
    up = try linear("ffn_up", outputs: feedForward, inputs: hidden)
    down = ScaledBranch(linear: try linear("ffn_down", outputs: hidden, inputs: feedForward), norm: norm)
  }

  var width: Int { up.weight.rows }
  var isGated: Bool { true }

  func expand(_ normed: MatrixView<Float>, into hidden: MatrixView<Float>, _ compute: Compute) {
    let u = compute.view(.up, rows: normed.rows, columns: width)
    timed("vision.gate+up", products(normed.rows, gate.weight, up.weight)) {
      LimitedLinear.multiply(
        normed, [(gate, hidden), (up, u)],
        clamping: compute.view(.branch, rows: normed.rows, columns: normed.columns), compute)
    }
    timed("vision.gating") {
      switch kind {
      case .silu: compute.tensors.siluMultiply(gate: hidden, up: u)
      case .gelu:
        compute.tensors.activate(hidden, .gelu)
        compute.tensors.multiply(u, into: hidden)
      }
    }
  }

  func contract(_ hidden: MatrixView<Float>, into x: MatrixView<Float>, _ compute: Compute) {
    timed("vision.down", products(x.rows, down.linear.weight)) { down.add(hidden, to: x, compute) }
  }
}
