import OccamCore

/// The register neurons of one encoder: MLP hidden channels whose activation at the patches makes outliers, and is
/// moved to the register token instead (Jiang et al., arXiv:2506.08010).
package struct RegisterPlan: Sendable, Equatable {
  package struct Neuron: Sendable, Hashable, Comparable {
    /// Encoder layer, from 0.
    package let layer: Int
    /// Channel of the MLP's hidden vector, after the activation and before the down projection.
    package let channel: Int

    package init(layer: Int, channel: Int) {
      self.layer = layer
      self.channel = channel
    }

    package static func < (left: Neuron, right: Neuron) -> Bool {
      (left.layer, left.channel) < (right.layer, right.channel)
    }
  }

  /// Ascending by layer and channel, no neuron twice.
  package let neurons: [Neuron]
  private let channels: [[Int]]

  /// Layers an encoder may have; a file's larger numbers are refused before they get here.
  package static let layerLimit = 4096

  /// - Precondition: layers in 0..<layerLimit, channels not negative.
  package init(_ neurons: [Neuron]) {
    precondition(
      neurons.allSatisfy { (0..<RegisterPlan.layerLimit).contains($0.layer) && $0.channel >= 0 },
      "RegisterPlan: neuron out of range")
    self.neurons = Set(neurons).sorted()
    var channels = [[Int]](repeating: [], count: (self.neurons.last?.layer ?? -1) + 1)
    for neuron in self.neurons { channels[neuron.layer].append(neuron.channel) }
    self.channels = channels
  }

  package var isEmpty: Bool { neurons.isEmpty }

  /// Channels of one encoder layer, ascending; empty for a layer without register neurons.
  package func neurons(inLayer layer: Int) -> [Int] { channels.indices.contains(layer) ? channels[layer] : [] }

  /// Moves the activations of one layer from the patches to the register: `h[r,k] = max over patches of h[i,k]`, then
  /// `h[i,k] = 0` for every patch. Other rows (CLS) are untouched.
  /// - Parameters:
  ///   - hidden: tokens x channels of this layer's MLP, after the activation (for gated MLPs: the gated product).
  ///   - gated: takes the value of the largest magnitude instead of the maximum, the first of equals.
  package func moveActivations(
    _ hidden: MatrixView<Float>, layer: Int, patches: Range<Int>, register: Int, gated: Bool = false
  ) {
    precondition(
      patches.lowerBound >= 0 && patches.upperBound <= hidden.rows && register >= 0 && register < hidden.rows
        && !patches.contains(register), "RegisterPlan: row out of range")
    guard let first = patches.first else { return }
    for channel in neurons(inLayer: layer) where channel < hidden.columns {
      var value = hidden.row(first)[channel]
      for patch in patches {
        let candidate = hidden.row(patch)[channel]
        if gated ? abs(candidate) > abs(value) : candidate > value { value = candidate }
        hidden.row(patch)[channel] = 0
      }
      hidden.row(register)[channel] = value
    }
  }
}
