import OccamCore
import OccamMatmul
import OccamTensors

/// The feed-forward network of a text decoder's layer: Wdown(f(Wgate n) * Wup n).
struct GatedMLP: Sendable {
  /// f.
  enum Gate: Sendable {
    /// SwiGLU.
    case silu
    /// GeGLU, the tanh form.
    case gelu
  }

  let kind: Gate
  let gate: PackedMatrix  // [feedForward x hidden]
  let up: PackedMatrix  // [feedForward x hidden]
  let down: PackedMatrix  // [hidden x feedForward]

  /// Rows a pass takes at once, so that its activations stay small for long prompts.
  static let rowsPerStep = 256

  /// - Parameter suffix: of the tensors' names, "_shexp" of an expert that all tokens share.
  init(
    _ loader: WeightLoader, _ prefix: String, hidden: Int, feedForward: Int, gate kind: Gate, suffix: String = ""
  ) throws {
    self.kind = kind
    gate = try loader.matrix(prefix + "ffn_gate\(suffix).weight", rows: feedForward, columns: hidden)
    up = try loader.matrix(prefix + "ffn_up\(suffix).weight", rows: feedForward, columns: hidden)
    down = try loader.matrix(prefix + "ffn_down\(suffix).weight", rows: hidden, columns: feedForward)
  }

  /// target (+)= Wdown(f(Wgate n) * Wup n).
  /// - Parameters: normed: n, [rows x hidden]; target: of the same shape.
  func run(_ normed: MatrixView<Float>, into target: MatrixView<Float>, accumulate: Bool, _ compute: Compute) {
    let g = compute.view(.gate, rows: normed.rows, columns: gate.rows)
    let u = compute.view(.up, rows: normed.rows, columns: up.rows)
    timed("text.gate+up", products(normed.rows, gate, up)) {
      compute.matmul.load(normed)
      let activation = kind == .gelu ? compute.tensors.function(.gelu) : nil
      compute.matmul.multiply([
        MatmulProduct(gate, into: g, activation: activation), MatmulProduct(up, into: u),
      ])
    }
    timed("text.gating") {
      switch kind {
      case .silu: compute.tensors.siluMultiply(gate: g, up: u)
      case .gelu: compute.tensors.multiply(u, into: g)
      }
    }
    timed("text.down", products(normed.rows, down)) {
      compute.matmul.load(g)
      compute.matmul.multiply(by: down, into: target, accumulate: accumulate)
    }
  }
}

/// `body` with some rows of x at a time, in order. Before each of them others' decoding may come through.
func inSteps(
  _ x: MatrixView<Float>, of rows: Int = GatedMLP.rowsPerStep, _ compute: Compute, _ body: (MatrixView<Float>) -> Void
) {
  for start in stride(from: 0, to: x.rows, by: rows) {
    compute.team.giveWay()
    body(x.slice(rows: start..<min(start + rows, x.rows)))
  }
}
