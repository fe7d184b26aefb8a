import Glibc
import OccamCore

/// Effective number of attended patches: exp of the entropy of the weights, normalised to sum 1. 1 when one patch
/// takes all, the count of patches when all take the same; 0 without a positive weight.
package func effectiveCount(_ weights: some Sequence<Float>) -> Double {
  var sum = 0.0
  var product = 0.0
  for weight in weights where weight > 0 && weight.isFinite {
    sum += Double(weight)
    product += Double(weight) * log(Double(weight))
  }
  // H = -sum p log p with p = w / sum, i.e. log sum - (sum w log w) / sum.
  return sum > 0 ? exp(log(sum) - product / sum) : 0
}

/// Patches whose norm exceeds mean + 3 standard deviations (Jiang et al., Algorithm 1) and twice the mean (ours), ascending.
///
/// Sinks of pre-trained encoders have norms of several times the mean. In a small encoder without any, the same rule of three
/// deviations names the patches that show something, and moving their activations away blinds it.
package func outlierPatches(norms: [Float]) -> [Int] {
  guard !norms.isEmpty else { return [] }
  let count = Double(norms.count)
  let mean = norms.reduce(0) { $0 + Double($1) } / count
  let variance = norms.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
  let bound = max(mean + 3 * variance.squareRoot(), 2 * mean)
  return norms.indices.filter { Double(norms[$0]) > bound }
}

/// Euclidean norm of each of `rows`.
package func rowNorms(_ view: MatrixView<Float>, rows: Range<Int>) -> [Float] {
  rows.map { index in
    let row = view.row(index)
    var sum = 0.0
    for column in 0..<view.columns { sum += Double(row[column]) * Double(row[column]) }
    return Float(sum.squareRoot())
  }
}

/// Finds the register neurons of an encoder (Jiang et al., Alg. 1) from calibration images.
///
/// Per image: `beginImage` with the patch norms at every layer's output (one encoder run), then `addActivations` for
/// each layer (a second run, or activations held back). At the end `plan(top:)`.
package struct RegisterNeuronFinder: Sendable {
  package let layers: Int
  package let channels: Int
  /// Sums of |h[i,k]| over outlier patches, layers x channels.
  private var sums: [Double]
  private var outliers: [Int] = []
  /// Outlier patches at the last layer, all images.
  package private(set) var outlierCount = 0
  package private(set) var images = 0
  /// Of these, how many were outliers at each layer's output already.
  private var early: [Int]

  package init(layers: Int, channels: Int) {
    precondition(layers > 0 && channels > 0, "RegisterNeuronFinder: empty encoder")
    self.layers = layers
    self.channels = channels
    sums = Array(repeating: 0, count: layers * channels)
    early = Array(repeating: 0, count: layers)
  }

  /// - Parameter norms: per layer, the norms of the patches' output vectors (CLS left out).
  /// - Returns: the image's outlier patches, by the last layer's output.
  @discardableResult
  package mutating func beginImage(norms: [[Float]]) -> [Int] {
    precondition(norms.count == layers, "RegisterNeuronFinder: one list of norms per layer")
    outliers = outlierPatches(norms: norms[layers - 1])
    outlierCount += outliers.count
    images += 1
    for layer in 0..<layers {
      early[layer] += Set(outlierPatches(norms: norms[layer])).intersection(outliers).count
    }
    return outliers
  }

  /// - Parameters:
  ///   - activations: tokens x channels, the MLP's hidden vectors of `layer` after the activation.
  ///   - firstPatch: row of patch 0 (1 behind a CLS token).
  package mutating func addActivations(_ activations: MatrixView<Float>, layer: Int, firstPatch: Int) {
    precondition(layer >= 0 && layer < layers && activations.columns == channels, "RegisterNeuronFinder: wrong shape")
    for patch in outliers {
      precondition(firstPatch + patch < activations.rows, "RegisterNeuronFinder: patch out of range")
      let row = activations.row(firstPatch + patch)
      for channel in 0..<channels { sums[layer * channels + channel] += Double(abs(row[channel])) }
    }
  }

  /// The first layer whose output already singles out at least half of the last layer's outliers (ours: a layer with
  /// any outlier at all would be too early, since 1 of 740 normally distributed norms lies beyond 3 deviations); nil
  /// without outliers.
  package var firstOutlierLayer: Int? {
    outlierCount > 0 ? early.firstIndex { 2 * $0 >= outlierCount } : nil
  }

  /// The `top` channels with the largest mean |h[i,k]| at the outliers, among layers up to the first outlier layer;
  /// ties by lower layer and channel. Empty without outliers: such an encoder needs no register neurons.
  package func plan(top: Int) -> RegisterPlan {
    guard let last = firstOutlierLayer, top > 0 else { return RegisterPlan([]) }
    let candidates = sums[..<((last + 1) * channels)].enumerated().filter { $0.element > 0 }
    let ranked = candidates.sorted { ($1.element, $0.offset) < ($0.element, $1.offset) }
    return RegisterPlan(
      ranked.prefix(top).map { .init(layer: $0.offset / channels, channel: $0.offset % channels) })
  }

  /// Mean |h[i,k]| at the outlier patches seen so far.
  package func meanActivation(_ neuron: RegisterPlan.Neuron) -> Double {
    guard outlierCount > 0, (0..<layers).contains(neuron.layer), (0..<channels).contains(neuron.channel) else {
      return 0
    }
    return sums[neuron.layer * channels + neuron.channel] / Double(outlierCount)
  }
}
