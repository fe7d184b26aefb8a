import OccamCore
import OccamGGUF
import OccamMatmul
import OccamTensors

/// Gemma 4's eyes: pictures in their own proportions, as large as a budget of tokens allows, 3 x 3 patches averaged to a
/// token, one matrix. Reference: Hugging Face transformers, modeling_gemma4.py and image_processing_gemma4.py; layout of
/// the file: llama.cpp, conversion/gemma.py and tools/mtmd.
enum Gemma4Vision {
  static func plan(_ file: GGUFFile) throws -> VisionPlan {
    let configuration = try Gemma4VisionConfiguration(file)
    return VisionPlan(
      shape: configuration.shape, merge: configuration.merge, processor: configuration.processor,
      outputs: configuration.outputs)
  }

  static func load(_ loader: WeightLoader) throws -> VisionModel {
    let configuration = try Gemma4VisionConfiguration(loader.file)
    return VisionModel(
      plan: try plan(loader.file), encoder: try Gemma4Encoder(loader, configuration),
      projector: try Gemma4Projector(loader, configuration),
      chat: ChatDefaults(
        format: "plain", placeholders: [ImagePlaceholder("<|image|>")],
        markers: ["<|image>", "<image|>", "<|audio|>", "<|video|>"]))
  }
}

/// Hyperparameters of Gemma 4's encoder, as GGUF's `clip.vision.*` keys name them.
struct Gemma4VisionConfiguration: Sendable {
  static let positions = "v.position_embd.weight"
  static let projection = "mm.input_projection.weight"

  /// Pixels on -1...1: the encoder's first step, 2 x - 1, is part of it.
  let shape: VisionShape
  let epsilon: Float
  let merge: TokenMerge
  /// Columns of patches that have a position, and as many rows.
  let positionCount: Int
  let outputs: Int

  /// Tokens of a picture unless told otherwise, of the budgets 70, 140, 280, 560 and 1,120 that the model was trained with;
  /// no key holds it. Reference: preprocessor_config.json of google/gemma-4-E2B-it. llama.cpp takes pictures of 70 to
  /// 1,120 tokens as they are.
  private static let tokens = 280

  init(_ file: GGUFFile) throws {
    let common = try ViTConfiguration(file)
    var shape = common.shape
    let head = shape.hidden / shape.heads
    guard head % 4 == 0 else {
      throw ModelError(.badValue, file.subject, "clip.vision: head size \(head) is no multiple of 4")
    }
    shape.takesAnySize = true
    shape.hasClassToken = false
    shape.mean += 0.5 * shape.deviation
    shape.deviation *= 0.5
    self.shape = shape
    epsilon = common.epsilon
    let key = "clip.vision.projector.scale_factor"
    let side = try file.integer(key) ?? 3
    guard side >= 1, side <= 16 else {
      throw ModelError(.badValue, file.subject, "\(key) is \(side), expected 1...16")
    }
    merge = .average(side: side)
    guard let table = file.tensor(Self.positions) else {
      throw ModelError(.missingTensor, file.subject, "tensor '\(Self.positions)' is missing")
    }
    guard table.dimensions.count == 3, table.dimensions[2] == 2, table.dimensions[1] >= side else {
      throw ModelError(
        .wrongShape, file.subject,
        "tensor '\(Self.positions)' has shape \(table.dimensions), expected [\(shape.hidden), \(side) or more, 2]")
    }
    positionCount = table.dimensions[1]
    guard let matrix = file.tensor(Self.projection), matrix.dimensions.count == 2 else {
      throw ModelError(.missingTensor, file.subject, "projector tensor '\(Self.projection)' is missing")
    }
    outputs = matrix.dimensions[1]
    let token = shape.patchSize * side
    guard token * token * limit <= TileLimits.pixels, side * side * limit <= TileLimits.patches else {
      throw ModelError(
        .badValue, file.subject,
        "clip.vision.patch_size and \(key) make \(limit) tokens of \(token) x \(token) pixels and \(side) x \(side) "
          + "patches, over the limits of \(TileLimits.pixels) pixels and \(TileLimits.patches) patches")
    }
  }

  /// The largest budget that the model was trained with, unless that is longer, in a row of tokens, than the table of
  /// positions.
  private var limit: Int { min(1120, positionCount / merge.side) }

  var processor: NativeResolutionProcessor {
    NativeResolutionProcessor(
      shape: shape,
      budget: ResolutionBudget(
        rule: .largest, multiple: shape.patchSize * merge.side, minimumTokens: 1,
        maximumTokens: min(Self.tokens, limit), limit: limit),
      filter: .bicubic, before: [.text("<|image>")], after: [.text("<image|>")])
  }
}

/// Tokens to the language model's width: W norm((sqrt(hidden) x - bias) * scale), bias and scale where the file has them.
/// Reference: Hugging Face transformers, modeling_gemma4.py, `Gemma4VisionPooler` and `Gemma4MultimodalEmbedder`.
struct Gemma4Projector: Projector {
  let weightBytes: Int
  private let bias: AlignedBuffer<Float>?  // [inputs]
  private let scale: AlignedBuffer<Float>?  // [inputs]
  private let norm: RMSNormWeights
  private let matrix: PackedMatrix  // [outputs x inputs]

  init(_ loader: WeightLoader, _ configuration: Gemma4VisionConfiguration) throws {
    let before = loader.bytes
    let inputs = configuration.shape.hidden
    let isStandardized = loader.has("v.std_bias") || loader.has("v.std_scale")
    bias = isStandardized ? try loader.vector("v.std_bias", count: inputs) : nil
    scale = isStandardized ? try loader.vector("v.std_scale", count: inputs) : nil
    norm = RMSNormWeights(ones: inputs, epsilon: configuration.epsilon)
    matrix = try loader.matrix(Gemma4VisionConfiguration.projection, rows: configuration.outputs, columns: inputs)
    weightBytes = loader.bytes - before
  }

  var inputs: Int { matrix.columns }
  var outputs: Int { matrix.rows }

  func project(_ features: MatrixView<Float>, into target: MatrixView<Float>, compute: Compute) {
    let normed = compute.view(.hidden, rows: features.rows, columns: inputs)
    let root = Float(inputs).squareRoot()
    timed("projector", products(features.rows, matrix)) {
      for row in 0..<features.rows {
        let (source, token) = (features.row(row), normed.row(row))
        for index in 0..<inputs { token[index] = source[index] * root }
        guard let bias, let scale else { continue }
        for index in 0..<inputs { token[index] = (token[index] - bias.pointer[index]) * scale.pointer[index] }
      }
      norm.apply(normed, into: normed, compute)
      compute.matmul.load(normed)
      compute.matmul.multiply(by: matrix, into: target)
    }
    Probe.tensor("vision.embeddings", target)
  }
}
