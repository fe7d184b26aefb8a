import OccamGGUF
import OccamTensors

/// Hyperparameters of the `llama` architecture and its kin, as GGUF's `llama.*`, `qwen3.*`, ... keys name them.
struct LlamaConfiguration: Sendable {
  let shape: TextShape
  /// What each layer stores of a token.
  let cache: KVCacheShape
  let rmsEpsilon: Float
  let ropeDimension: Int
  let ropeBase: Float
  let ropeFrequencyScale: Float
  /// Which number of a position turns each pair; nil: one dimension.
  let ropeAxes: [RotaryAxis]?

  /// - Parameters:
  ///   - sections: how positions of several dimensions share a head's pairs; nil: positions have one.
  ///   - hasExperts: the architecture's feed-forward networks are mixtures of experts; others must not have any.
  init(_ file: GGUFFile, prefix: String, sections: RotarySections? = nil, hasExperts: Bool = false) throws {
    func key(_ name: String) -> String { "\(prefix).\(name)" }
    func size(_ name: String, _ limit: Int) throws -> Int {
      let value = try file.requireInteger(key(name))
      guard value >= 1, value <= limit else {
        throw ModelError(.badValue, file.subject, "\(key(name)) is \(value), expected 1...\(limit)")
      }
      return value
    }
    let hidden = try size("embedding_length", 1 << 16)
    let heads = try size("attention.head_count", 1024)
    let kvHeads = try file.integer(key("attention.head_count_kv")) ?? heads
    guard kvHeads >= 1, heads % kvHeads == 0 else {
      throw ModelError(
        .badValue, file.subject, "\(key("attention.head_count_kv")) \(kvHeads) does not divide the \(heads) heads")
    }
    let keyLength = try file.integer(key("attention.key_length"))
    guard keyLength != nil || hidden % heads == 0 else {
      throw ModelError(
        .badValue, file.subject, "\(key("attention.head_count")): \(heads) heads do not divide the width \(hidden)")
    }
    let headDimension = keyLength ?? hidden / heads
    let valueDimension = try file.integer(key("attention.value_length")) ?? headDimension
    let limit = LayerKVCache.maximumHeadDimension
    guard headDimension >= 2, headDimension <= limit, headDimension % 2 == 0, valueDimension == headDimension else {
      throw ModelError(
        .badValue, file.subject,
        "head size \(headDimension) (values: \(valueDimension)) is not supported: even, 2...\(limit), both equal")
    }
    let experts = hasExperts ? try ExpertShape(file, prefix: prefix) : nil
    guard try hasExperts || file.integer(key("expert_count")) ?? 0 == 0 else {
      throw ModelError(
        .unknownArchitecture, file.subject, "mixture-of-experts models are not supported (\(key("expert_count")))")
    }
    let vocabulary = try file.integer(key("vocab_size")) ?? file.strings("tokenizer.ggml.tokens")?.count ?? 0
    guard vocabulary >= 1, vocabulary <= 1 << 22 else {
      throw ModelError(
        .missingKey, file.subject, "no vocabulary: neither \(key("vocab_size")) nor tokenizer.ggml.tokens")
    }
    cache = KVCacheShape(kvHeads: kvHeads, headDimension: headDimension)
    let feedForward: Int
    if let experts, file.metadata[key("feed_forward_length")] == nil {
      feedForward = experts.feedForward
    } else {
      feedForward = try size("feed_forward_length", 1 << 20)
    }
    var shape = TextShape(
      hidden: hidden, heads: heads, feedForward: feedForward, vocabulary: vocabulary,
      contextLength: try size("context_length", 1 << 30),
      caches: Array(repeating: cache, count: try size("block_count", 1024)))
    shape.experts = experts
    if sections != nil { shape.positions = .grid }
    if sections == .interleaved { shape.pruningDepth = .qwen3VL }
    let planesKey = key("n_deepstack_layers")
    shape.injectedLayers = try file.integer(planesKey) ?? 0
    guard shape.injectedLayers >= 0, shape.injectedLayers <= shape.layers else {
      throw ModelError(.badValue, file.subject, "\(planesKey) is \(shape.injectedLayers) of \(shape.layers) layers")
    }
    self.shape = shape
    rmsEpsilon = try file.float(key("attention.layer_norm_rms_epsilon")) ?? 1e-5
    guard rmsEpsilon >= 0, rmsEpsilon <= 1 else {
      throw ModelError(
        .badValue, file.subject, "\(key("attention.layer_norm_rms_epsilon")) is \(rmsEpsilon), expected 0...1")
    }
    ropeDimension = try file.integer(key("rope.dimension_count")) ?? headDimension
    guard ropeDimension >= 2, ropeDimension <= headDimension, ropeDimension % 2 == 0 else {
      throw ModelError(.badValue, file.subject, "\(key("rope.dimension_count")) is \(ropeDimension)")
    }
    ropeBase = try file.float(key("rope.freq_base")) ?? 10_000
    guard ropeBase > 0, ropeBase.isFinite else {
      throw ModelError(.badValue, file.subject, "\(key("rope.freq_base")) is \(ropeBase)")
    }
    ropeFrequencyScale = try LlamaConfiguration.frequencyScale(file, prefix)
    ropeAxes = try sections?.axes(file, key: key("rope.dimension_sections"), pairs: ropeDimension / 2)
  }

  /// Llama 3.1 and later scale the frequencies by a stored factor each.
  func rotaryTable(_ loader: WeightLoader, _ pairing: RotaryTable.Style) throws -> RotaryTable {
    let factors = try loader.optionalVector("rope_freqs.weight", count: ropeDimension / 2)
    guard factors?.buffer.allSatisfy({ $0.isFinite && $0 > 0 }) ?? true else {
      throw ModelError(
        .badValue, loader.file.subject, "tensor 'rope_freqs.weight' holds a divisor that is not a positive number")
    }
    return RotaryTable(
      dimension: ropeDimension, base: ropeBase, frequencyScale: ropeFrequencyScale,
      frequencyFactors: factors.map { Array($0.buffer) }, style: pairing, axes: ropeAxes)
  }

  /// `rope.scaling`: none and linear; the newer `factor` or the older `scale_linear`.
  private static func frequencyScale(_ file: GGUFFile, _ prefix: String) throws -> Float {
    let kind = try file.string("\(prefix).rope.scaling.type") ?? "none"
    let factor =
      try file.float("\(prefix).rope.scaling.factor") ?? file.float("\(prefix).rope.scale_linear") ?? 1
    switch kind {
    case "none": return 1
    case "linear":
      guard factor > 0, factor.isFinite, (1 / factor).isFinite else {
        throw ModelError(.badValue, file.subject, "\(prefix).rope.scaling.factor is \(factor)")
      }
      return 1 / factor
    default:
      throw ModelError(.badValue, file.subject, "\(prefix).rope.scaling.type '\(kind)' is not supported")
    }
  }
}
