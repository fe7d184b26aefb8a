import OccamCore
import OccamMatmul

/// A linear layer [outputs x inputs] with an optional bias [outputs].
struct LinearWeights: Sendable {
  let weight: PackedMatrix
  let bias: AlignedBuffer<Float>?

  init(_ loader: WeightLoader, _ name: String, outputs: Int, inputs: Int) throws {
    weight = try loader.matrix(name + ".weight", rows: outputs, columns: inputs)
    bias = try loader.optionalVector(name + ".bias", count: outputs)
  }

  private init(weight: PackedMatrix, bias: AlignedBuffer<Float>?) {
    self.weight = weight
    self.bias = bias
  }

  /// Layers that the file stores as one, their outputs one behind the other.
  /// - Parameters:
  ///   - outputs: of each part.
  ///   - run: of so many outputs each, the parts take turns; nil: all of a part's.
  static func split(
    _ loader: WeightLoader, _ name: String, outputs: Int, parts: Int, inputs: Int, alternating run: Int? = nil
  ) throws -> [LinearWeights] {
    let weights = try loader.splitMatrix(
      name + ".weight", rows: outputs, parts: parts, columns: inputs, alternating: run)
    let bias = try loader.optionalVector(name + ".bias", count: parts * outputs)
    let run = run ?? outputs
    return weights.enumerated().map { part, weight in
      LinearWeights(
        weight: weight,
        bias: bias.map { whole in
          AlignedBuffer(copying: (0..<outputs).map { whole.pointer[($0 / run * parts + part) * run + $0 % run] })
        })
    }
  }

  /// As a product of a step: y (+)= f(x Wᵀ + b).
  func product(
    into y: MatrixView<Float>, accumulate: Bool = false, activation: MatmulProduct.Activation? = nil
  ) -> MatmulProduct {
    MatmulProduct(weight, into: y, bias: bias?.pointer, accumulate: accumulate, activation: activation)
  }

  /// y (+)= f(x Wᵀ + b), x being what `compute.matmul` has loaded.
  func multiply(
    into y: MatrixView<Float>, accumulate: Bool = false, activation: MatmulProduct.Activation? = nil,
    _ compute: Compute
  ) {
    compute.matmul.multiply(
      by: weight, into: y, bias: bias?.pointer, accumulate: accumulate, activation: activation)
  }
}

/// What a layer of an encoder adds to its input: s * norm(W h + b), s one factor a channel (LayerScale); factors and norm
/// where the encoder has them.
struct ScaledBranch: Sendable {
  let linear: LimitedLinear
  var scale: AlignedBuffer<Float>?  // [outputs]
  var norm: RMSNormWeights?  // [outputs]

  /// x += s * norm(W h + b). `h` is changed where the layer's inputs are limited.
  func add(_ h: MatrixView<Float>, to x: MatrixView<Float>, _ compute: Compute) {
    guard scale != nil || norm != nil || linear.limits != nil else {
      compute.matmul.load(h)
      return linear.weights.multiply(into: x, accumulate: true, compute)
    }
    let branch = compute.view(.branch, rows: x.rows, columns: x.columns)
    LimitedLinear.multiply(h, [(linear, branch)], clamping: h, compute)
    norm?.apply(branch, into: branch, compute)
    if let scale {
      compute.tensors.add(branch, scaledBy: scale.pointer, into: x)
    } else {
      compute.tensors.add(branch, into: x)
    }
  }
}

/// A LayerNorm's weight and bias, [hidden] each.
struct LayerNormWeights: Sendable {
  let weight: AlignedBuffer<Float>
  let bias: AlignedBuffer<Float>

  init(_ loader: WeightLoader, _ name: String, _ count: Int) throws {
    weight = try loader.vector(name + ".weight", count: count)
    bias = try loader.vector(name + ".bias", count: count)
  }

  /// nil where the file holds neither of the two; half a norm is an error.
  init?(optional loader: WeightLoader, _ name: String, _ count: Int) throws {
    guard loader.has(name + ".weight") || loader.has(name + ".bias") else { return nil }
    try self.init(loader, name, count)
  }

  func apply(_ x: MatrixView<Float>, epsilon: Float, into out: MatrixView<Float>, _ compute: Compute) {
    compute.tensors.layerNorm(x, weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, into: out)
  }
}

/// An RMSNorm's weight, [width], and its epsilon.
struct RMSNormWeights: Sendable {
  let weight: AlignedBuffer<Float>
  let epsilon: Float

  init(_ loader: WeightLoader, _ name: String, _ count: Int, epsilon: Float) throws {
    weight = try loader.vector(name + ".weight", count: count)
    self.epsilon = epsilon
  }

  /// A norm without weight.
  init(ones count: Int, epsilon: Float) {
    weight = AlignedBuffer(copying: [Float](repeating: 1, count: count))
    self.epsilon = epsilon
  }

  /// nil where the file has no such norm.
  init?(optional loader: WeightLoader, _ name: String, _ count: Int, epsilon: Float) throws {
    guard loader.has(name + ".weight") else { return nil }
    try self.init(loader, name, count, epsilon: epsilon)
  }

  /// Each row for itself; `out` may be `x`.
  func apply(_ x: MatrixView<Float>, into out: MatrixView<Float>, _ compute: Compute) {
    compute.tensors.rmsNorm(x, weight: weight.pointer, epsilon: epsilon, into: out)
  }

  /// Each head of each row for itself, in place: x is rows x (heads * width), its rows packed without gaps.
  func applyToHeads(_ x: MatrixView<Float>, _ compute: Compute) {
    precondition(x.stride == x.columns && x.columns % weight.count == 0, "RMSNorm: rows that divide into heads")
    let heads = MatrixView(x.pointer, rows: x.rows * (x.columns / weight.count), columns: weight.count)
    apply(heads, into: heads, compute)
  }
}

/// A norm of either kind, with its epsilon.
enum Norm: Sendable {
  case layer(LayerNormWeights, epsilon: Float)
  case rms(RMSNormWeights)

  /// Each row for itself; `out` may be `x`.
  func apply(_ x: MatrixView<Float>, into out: MatrixView<Float>, _ compute: Compute) {
    switch self {
    case .layer(let weights, let epsilon): weights.apply(x, epsilon: epsilon, into: out, compute)
    case .rms(let weights): weights.apply(x, into: out, compute)
    }
  }
}
