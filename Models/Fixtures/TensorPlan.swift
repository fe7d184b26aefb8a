import OccamCore

/// One tensor of a fixture: its place in the file and how its numbers come about.
package struct TensorPlan: Sendable {
  /// What the tensor does; decides its storage type.
  package enum Role: Sendable, Equatable {
    /// A matrix of the text model's layers.
    case textMatrix
    case textValue(layer: Int)
    case textDown(layer: Int)
    case tokenEmbedding
    case output
    /// A matrix of the encoder or the projector.
    case visionMatrix
    case patchKernel
    case positions
    /// Norms, biases, the class embedding: always F32.
    case vector
  }

  package let name: String
  /// GGUF order: `shape[0]` is the contiguous dimension, a row.
  package let shape: [Int]
  package let role: Role
  /// Fills one row of `shape[0]` numbers; called with rows 0, 1, ... in order on one `Noise`.
  let fill: @Sendable (_ row: Int, _ noise: inout Noise, _ destination: UnsafeMutableBufferPointer<Float>) -> Void
  /// Deviation of the numbers, for the fixtures that are only timed.
  let deviation: Float

  package var elements: Int { shape.reduce(1, *) }
  package var rowLength: Int { shape[0] }
  package var rows: Int { shape.dropFirst().reduce(1, *) }

  /// Independent numbers of one deviation.
  static func noise(_ name: String, _ shape: [Int], _ role: Role, deviation: Float) -> TensorPlan {
    TensorPlan(
      name: name, shape: shape, role: role,
      fill: { _, noise, destination in
        for i in destination.indices { destination[i] = noise.normal() * deviation }
      }, deviation: deviation)
  }

  /// A matrix `[input, output]` whose product with a row of unit deviation has deviation `gain`.
  static func matrix(_ name: String, _ input: Int, _ output: Int, _ role: Role, gain: Float = 1) -> TensorPlan {
    noise(name, [input, output], role, deviation: gain / Float(input).squareRoot())
  }

  /// One number.
  static func constant(_ name: String, _ value: Float) -> TensorPlan {
    TensorPlan(name: name, shape: [1], role: .vector, fill: { _, _, numbers in numbers[0] = value }, deviation: 0)
  }

  static func bias(_ name: String, _ count: Int, deviation: Float = 0.05) -> TensorPlan {
    noise(name, [count], .vector, deviation: deviation)
  }

  /// Weights of a norm, around `mean`; the outlier channels are damped as trained norms damp theirs.
  static func norm(_ name: String, _ count: Int, mean: Float = 1) -> TensorPlan {
    TensorPlan(
      name: name, shape: [count], role: .vector,
      fill: { _, noise, destination in
        for i in destination.indices {
          let weight = mean * (1 + 0.1 * noise.normal())
          destination[i] = isOutlier(channel: i, of: count) ? weight * 0.4 : weight
        }
      }, deviation: 0)
  }

  /// Weights of a norm over one head: no outlier channels.
  static func headNorm(_ name: String, _ count: Int, mean: Float) -> TensorPlan {
    TensorPlan(
      name: name, shape: [count], role: .vector,
      fill: { _, noise, destination in
        for i in destination.indices { destination[i] = mean * (1 + 0.1 * noise.normal()) }
      }, deviation: 0)
  }

  /// Three channels carry far larger numbers than the rest, as in trained models.
  static func isOutlier(channel: Int, of width: Int) -> Bool {
    channel == width / 7 || channel == width / 3 || channel == width - 5
  }
}
