import OccamCore

/// The feed-forward network of a text decoder's layer: one for all tokens, or a mixture of experts.
enum FeedForward: Sendable {
  case dense(GatedMLP)
  case experts(ExpertMLP)

  /// Rows a pass takes at once, so that its activations stay small for long prompts.
  var rowsPerStep: Int {
    switch self {
    case .dense: GatedMLP.rowsPerStep
    case .experts: ExpertMLP.rowsPerStep
    }
  }

  /// Bytes of weights that a token does not read.
  var unreadBytes: Int {
    switch self {
    case .dense: 0
    case .experts(let network): network.unreadBytes
    }
  }

  /// target (+)= network(n), both [rows x hidden].
  func run(_ normed: MatrixView<Float>, into target: MatrixView<Float>, accumulate: Bool, _ compute: Compute) {
    switch self {
    case .dense(let network): network.run(normed, into: target, accumulate: accumulate, compute)
    case .experts(let network): network.run(normed, into: target, accumulate: accumulate, compute)
    }
  }
}
