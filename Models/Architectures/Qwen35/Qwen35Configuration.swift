import OccamGGUF
import OccamTensors

/// Hyperparameters of `qwen35` and its mixtures of experts, `qwen35moe`, as GGUF's `qwen35.*` and `qwen35moe.*` keys name
/// them. Key names: llama.cpp, src/models/qwen35.cpp, qwen35moe.cpp and conversion/qwen.py.
struct Qwen35Configuration: Sendable {
  let base: LlamaConfiguration
  let shape: TextShape
  /// Sizes of the layers that do not attend.
  let delta: DeltaNetShape

  /// Floats of one layer's delta-rule state at most: 64 MiB.
  static let maximumState = 1 << 24

  /// - Parameter hasExperts: feed-forward networks are mixtures of experts.
  init(_ file: GGUFFile, prefix: String, hasExperts: Bool) throws {
    func key(_ name: String) -> String { "\(prefix).\(name)" }
    func size(_ name: String, _ limit: Int) throws -> Int {
      let value = try file.requireInteger(key(name))
      guard value >= 1, value <= limit else {
        throw ModelError(.badValue, file.subject, "\(key(name)) is \(value), expected 1...\(limit)")
      }
      return value
    }
    base = try LlamaConfiguration(file, prefix: prefix, sections: .interleaved, hasExperts: hasExperts)
    let keyHeads = try size("ssm.group_count", 1024)
    let valueHeads = try size("ssm.time_step_rank", 1024)
    guard valueHeads % keyHeads == 0 else {
      throw ModelError(
        .badValue, file.subject, "\(key("ssm.group_count")) \(keyHeads) does not divide the \(valueHeads) value heads")
    }
    let dimension = try size("ssm.state_size", DeltaRule.maximumDimension)
    let inner = try size("ssm.inner_size", 1024 * DeltaRule.maximumDimension)
    guard inner == valueHeads * dimension else {
      throw ModelError(
        .badValue, file.subject,
        "\(key("ssm.inner_size")) is \(inner), expected \(valueHeads) heads of \(key("ssm.state_size")) \(dimension)")
    }
    delta = DeltaNetShape(
      taps: try size("ssm.conv_kernel", CausalConvolution.maximumTaps), keyHeads: keyHeads, valueHeads: valueHeads,
      dimension: dimension, epsilon: base.rmsEpsilon)
    guard delta.state.floats <= Qwen35Configuration.maximumState else {
      throw ModelError(
        .badValue, file.subject, "\(key("ssm.inner_size")): \(delta.state.floats) numbers of state are too many")
    }
    var shape = base.shape
    // llama.cpp's rule: without a width of its own the shared expert is as wide as a network for all.
    if shape.experts?.shared == 0 { shape.experts?.shared = shape.feedForward }
    shape.states = try Qwen35Configuration.recurrentLayers(file, prefix, base.shape.layers).map { [base, delta] in
      $0 ? .recurrent(delta.state) : .attention(base.cache)
    }
    shape.pruningDepth = .llava
    // Queries, keys and values, gate, result, decay and rate; or the gate of attention beside its other numbers.
    shape.mixerWidth = max(
      delta.channels + 2 * delta.valueWidth + 2 * valueHeads,
      (3 * shape.heads + 2 * base.cache.kvHeads) * base.cache.headDimension)
    guard shape.injectedLayers <= shape.layers else {
      throw ModelError(
        .badValue, file.subject, "\(key("n_deepstack_layers")) is \(shape.injectedLayers) of \(shape.layers) layers")
    }
    guard shape.pruningLayer(atLeast: shape.defaultPruningLayer) != nil else {
      throw ModelError(.badValue, file.subject, "no attention behind a third of the \(shape.layers) layers")
    }
    self.shape = shape
  }

  /// Which layers do not attend: as listed, else all but every fourth. The layers of multi-token prediction, the last
  /// of a file, are no part of the model's own depth and are left out.
  /// - Parameter blocks: layers in the file.
  private static func recurrentLayers(_ file: GGUFFile, _ prefix: String, _ blocks: Int) throws -> [Bool] {
    let predictionKey = "\(prefix).nextn_predict_layers"
    let predicting = try file.integer(predictionKey) ?? 0
    guard predicting >= 0, predicting < blocks else {
      throw ModelError(.badValue, file.subject, "\(predictionKey) is \(predicting) of \(blocks) layers")
    }
    let layers = blocks - predicting
    let listKey = "\(prefix).attention.recurrent_layers"
    if let value = file.metadata[listKey] {
      guard case .array(.bool(let marks)) = value, marks.count >= layers else {
        throw ModelError(.badValue, file.subject, "\(listKey) does not say yes or no for each of \(layers) layers")
      }
      return Array(marks.prefix(layers))
    }
    let intervalKey = "\(prefix).full_attention_interval"
    let interval = try file.integer(intervalKey) ?? 4
    guard interval >= 1, interval <= layers else {
      throw ModelError(.badValue, file.subject, "\(intervalKey) is \(interval), expected 1...\(layers)")
    }
    return (1...layers).map { $0 % interval != 0 }
  }
}

/// Sizes of a gated delta-net layer.
struct DeltaNetShape: Sendable {
  /// Rows that the convolution sees.
  let taps: Int
  let keyHeads: Int
  let valueHeads: Int
  /// Of a head, keys and values alike.
  let dimension: Int
  let epsilon: Float

  var keyWidth: Int { keyHeads * dimension }
  var valueWidth: Int { valueHeads * dimension }
  /// Queries, keys and values in a row.
  var channels: Int { 2 * keyWidth + valueWidth }

  var rule: DeltaRule {
    DeltaRule(
      keyHeads: keyHeads, valueHeads: valueHeads, keyDimension: dimension, valueDimension: dimension, epsilon: epsilon)
  }

  /// The convolution's last inputs, and from a cache line's beginning on the rule's state.
  var ruleOffset: Int { ((taps - 1) * channels + 15) / 16 * 16 }
  var state: RecurrentShape { RecurrentShape(floats: ruleOffset + rule.stateCount) }
}
