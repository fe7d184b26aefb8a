import OccamCore
import OccamImages
import OccamPruning
import OccamTensors

/// Sizes of a vision encoder.
package struct VisionShape: Sendable, Equatable {
  /// Side of the square input, pixels; of an encoder that takes any size, what its positions were trained for.
  package var imageSize: Int
  /// Side of a patch, pixels.
  package var patchSize: Int
  package var hidden: Int
  package var heads: Int
  package var feedForward: Int
  /// Layers that run (not the ones stored).
  package var layers: Int
  package var hasClassToken: Bool
  package var mean: SIMD3<Float>
  package var deviation: SIMD3<Float>
  /// Tiles are of any size; `patches` speaks of the trained one.
  package var takesAnySize = false

  package var patchesPerSide: Int { imageSize / patchSize }
  package var patches: Int { patchesPerSide * patchesPerSide }
}

/// What an encoder returns for one tile, before patches are merged into the tokens that the language model sees.
package struct EncodedPatches: Sendable {
  /// One row a patch, [patches x hidden]; with a register one row more, the last.
  package let features: AlignedBuffer<Float>
  package let patches: Int
  package let hidden: Int
  package let hasRegister: Bool
  /// Stage I scores s1: one a patch, then the register's if there is one; nil when not asked for.
  /// With a class token: its attention to them in the last layer run, mean over heads. Without: the column mean of that
  /// layer's attention over all patches and the register (mutual scoring). Or the lengths of that layer's keys.
  package let scores: [Float]?
  /// Features of inner layers, shaped like `features`, which join the first text layers (DeepStack).
  package let planes: [AlignedBuffer<Float>]

  /// - Parameters: features, planes and scores: of the patches, then of the register if there is one.
  package init(
    features: AlignedBuffer<Float>, patches: Int, hidden: Int, hasRegister: Bool, scores: [Float]?,
    planes: [AlignedBuffer<Float>] = []
  ) {
    self.features = features
    self.planes = planes
    self.patches = patches
    self.hidden = hidden
    self.hasRegister = hasRegister
    self.scores = scores
  }

  package var rows: MatrixView<Float> { view(features) }

  /// `features` or a plane, [patches + register x hidden].
  func view(_ buffer: AlignedBuffer<Float>) -> MatrixView<Float> {
    MatrixView(buffer, rows: patches + (hasRegister ? 1 : 0), columns: hidden)
  }
}

/// How stage I is to be prepared inside the encoder.
package struct EncoderRequest: Sendable {
  package var wantsScores: Bool
  package var score: StageOneScore
  /// Register neurons; nil runs without a register token.
  package var register: RegisterPlan?

  package init(wantsScores: Bool = false, score: StageOneScore = .attention, register: RegisterPlan? = nil) {
    self.wantsScores = wantsScores
    self.score = score
    self.register = register
  }
}

/// Sees an encoder's inner values, for calibration.
package protocol EncoderObserver: AnyObject {
  /// MLP hidden values of a layer's patches after the activation, [patches x feedForward].
  func hidden(layer: Int, _ values: MatrixView<Float>)
  /// A layer's output for the patches, [patches x hidden].
  func output(layer: Int, _ values: MatrixView<Float>)
}

package protocol VisionEncoder: Sendable {
  var shape: VisionShape { get }
  var weightBytes: Int { get }
  /// - Throws: `Cancelled` between two layers.
  func encode(
    _ image: PreparedImage, request: EncoderRequest, compute: Compute, observer: EncoderObserver?
  ) throws(Cancelled) -> EncodedPatches
}

/// Vision features to the language model's embedding space.
package protocol Projector: Sendable {
  var inputs: Int { get }
  var outputs: Int { get }
  var weightBytes: Int { get }
  /// [rows x inputs] -> [rows x outputs].
  func project(_ features: MatrixView<Float>, into: MatrixView<Float>, compute: Compute)
}
