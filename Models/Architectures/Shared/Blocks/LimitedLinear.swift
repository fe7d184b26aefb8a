import OccamCore
import OccamMatmul

/// A linear layer whose inputs and outputs may be limited, as Gemma 4's encoders have them: clamp(W clamp(x) + b).
/// Reference: Hugging Face transformers, modeling_gemma4.py, `Gemma4ClippableLinear`.
struct LimitedLinear: Sendable {
  let weights: LinearWeights
  /// nil: neither inputs nor outputs are limited.
  let limits: Limits?

  struct Limits: Sendable {
    let inputs: ClosedRange<Float>
    let outputs: ClosedRange<Float>
  }

  init(_ weights: LinearWeights) {
    self.weights = weights
    limits = nil
  }

  /// - Parameter isLimited: whether the file may hold limits; it holds all four, or none.
  init(_ loader: WeightLoader, _ name: String, outputs: Int, inputs: Int, isLimited: Bool = false) throws {
    weights = try LinearWeights(loader, name, outputs: outputs, inputs: inputs)
    let names = ["input_min", "input_max", "output_min", "output_max"].map { "\(name).\($0)" }
    guard isLimited, names.contains(where: loader.has) else {
      limits = nil
      return
    }
    let ends = try names.map { try loader.number($0) }
    func range(_ low: Int) throws -> ClosedRange<Float> {
      guard ends[low] <= ends[low + 1] else {
        throw ModelError(
          .badValue, loader.file.subject,
          "tensors '\(names[low])' and '\(names[low + 1])' hold \(ends[low]) and \(ends[low + 1]), which is no range")
      }
      return ends[low]...ends[low + 1]
    }
    limits = Limits(inputs: try range(0), outputs: try range(2))
  }

  var weight: PackedMatrix { weights.weight }

  /// y = clamp(W clamp(x) + b) for layers that all take x; those with the same limits of inputs in one step.
  /// - Parameter scratch: of x's shape, for the limited inputs; of one layer, x itself where it is needed no more.
  static func multiply(
    _ x: MatrixView<Float>, _ layers: [(layer: LimitedLinear, y: MatrixView<Float>)],
    clamping scratch: @autoclosure () -> MatrixView<Float>, _ compute: Compute
  ) {
    var rest = layers[...]
    while let first = rest.first {
      let inputs = first.layer.limits?.inputs
      let group = rest.prefix { $0.layer.limits?.inputs == inputs }
      rest = rest.dropFirst(group.count)
      if let inputs {
        let limited = scratch()
        compute.tensors.clamp(x, to: inputs, into: limited)
        compute.matmul.load(limited)
      } else {
        compute.matmul.load(x)
      }
      compute.matmul.multiply(each: ContiguousArray(group.map { $0.layer.weights.product(into: $0.y) }))
    }
    for (layer, y) in layers {
      if let outputs = layer.limits?.outputs { compute.tensors.clamp(y, to: outputs, into: y) }
    }
  }
}
