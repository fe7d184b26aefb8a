import OccamGGUF
import OccamTensors

/// Hyperparameters of the `gemma4` architecture, as GGUF's `gemma4.*` keys name them: what differs from layer to layer
/// stands in arrays or in keys of its own for layers with a sliding window (`_swa`). Reference: llama.cpp,
/// conversion/gemma.py and src/models/gemma4.cpp.
struct Gemma4Configuration: Sendable {
  let shape: TextShape
  let epsilon: Float
  /// Of each layer.
  let feedForward: [Int]
  /// Numbers of each token's embedding that belong to one layer; 0: there are none.
  let perLayerWidth: Int
  /// The token whose embeddings of layers stand in for rows that are no token.
  let padding: Int32
  /// The logits' limit; nil: none.
  let softcap: Float?
  let windowRope: Rope
  let wholeRope: Rope

  struct Rope: Sendable {
    let dimension: Int
    let base: Float
  }

  init(_ file: GGUFFile) throws {
    let reader = KeyReader(file)
    guard try file.integer("gemma4.expert_count") ?? 0 == 0 else {
      throw ModelError(
        .unknownArchitecture, file.subject, "mixture-of-experts models are not supported (gemma4.expert_count)")
    }
    let hidden = try reader.size("embedding_length", 1 << 16)
    let layers = try reader.size("block_count", 1024)
    let heads = try reader.size("attention.head_count", 1024)
    let kvHeads = try reader.perLayer("attention.head_count_kv", layers, 1024)
    guard kvHeads.allSatisfy({ heads % $0 == 0 }) else {
      throw reader.bad("attention.head_count_kv", "\(kvHeads) does not divide the \(heads) heads")
    }
    let windowed = try reader.pattern(layers)
    let window = try reader.size("attention.sliding_window", 1 << 30)
    let (whole, narrow) = (try reader.head("", hidden / heads), try reader.head("_swa", hidden / heads))
    let sharedLayers = try reader.count("attention.shared_kv_layers", layers - 1)
    perLayerWidth = try reader.count("embedding_length_per_layer_input", 1 << 16)
    feedForward = try reader.perLayer("feed_forward_length", layers, 1 << 20)
    let vocabulary = try file.integer("gemma4.vocab_size") ?? file.strings("tokenizer.ggml.tokens")?.count ?? 0
    guard vocabulary >= 1, vocabulary <= 1 << 22 else {
      throw ModelError(.missingKey, file.subject, "no vocabulary: neither gemma4.vocab_size nor tokenizer.ggml.tokens")
    }
    var states: [LayerStateShape] = (0..<layers).map { layer in
      .attention(
        KVCacheShape(
          kvHeads: kvHeads[layer], headDimension: windowed[layer] ? narrow : whole,
          window: windowed[layer] ? window : nil))
    }
    // The last layers read the entries of the last layer of their kind before them.
    for layer in layers - sharedLayers..<layers {
      guard let source = windowed[..<(layers - sharedLayers)].lastIndex(of: windowed[layer]) else {
        throw reader.bad("attention.shared_kv_layers", "\(sharedLayers): layer \(layer) finds none of its kind before")
      }
      states[layer] = .shared(layer: source)
    }
    var shape = TextShape(
      hidden: hidden, heads: heads, feedForward: feedForward.max() ?? 0, vocabulary: vocabulary,
      contextLength: try reader.size("context_length", 1 << 30), states: states)
    // E2B and E4B, which alone have embeddings of layers, were trained with causal pictures; no key says so. Reference:
    // `use_bidirectional_attention` of their config.json.
    shape.imagesAreBidirectional = perLayerWidth == 0
    shape.readsInputs = perLayerWidth > 0
    shape.layerInputs = perLayerWidth * layers
    self.shape = shape
    padding = Int32(clamping: try file.integer("tokenizer.ggml.padding_token_id") ?? 0)
    guard padding >= 0, padding < vocabulary else {
      throw ModelError(.badValue, file.subject, "tokenizer.ggml.padding_token_id is \(padding)")
    }
    epsilon = try reader.float("attention.layer_norm_rms_epsilon", 1e-6, 0...1)
    let cap = try reader.float("final_logit_softcapping", 0, 0...1e6)
    softcap = cap > 0 ? cap : nil
    wholeRope = try reader.rope("", whole, 1_000_000)
    windowRope = try reader.rope("_swa", narrow, 10_000)
  }
}

/// Keys of the architecture, within limits.
private struct KeyReader {
  let file: GGUFFile

  init(_ file: GGUFFile) { self.file = file }

  func bad(_ name: String, _ text: String) -> ModelError {
    ModelError(.badValue, file.subject, "gemma4.\(name): \(text)")
  }

  func size(_ name: String, _ limit: Int) throws -> Int {
    let value = try file.requireInteger("gemma4.\(name)")
    guard value >= 1, value <= limit else { throw bad(name, "is \(value), expected 1...\(limit)") }
    return value
  }

  /// 0 where the key is missing.
  func count(_ name: String, _ limit: Int) throws -> Int {
    let value = try file.integer("gemma4.\(name)") ?? 0
    guard value >= 0, value <= limit else { throw bad(name, "is \(value), expected 0...\(limit)") }
    return value
  }

  /// One number for all layers, or one a layer.
  func perLayer(_ name: String, _ layers: Int, _ limit: Int) throws -> [Int] {
    guard case .array = file.metadata["gemma4.\(name)"] else {
      return Array(repeating: try size(name, limit), count: layers)
    }
    let values = try file.requireIntegers("gemma4.\(name)")
    guard values.count == layers else { throw bad(name, "\(values.count) values for \(layers) layers") }
    guard values.allSatisfy({ $0 >= 1 && $0 <= limit }) else { throw bad(name, "expected 1...\(limit) each") }
    return values
  }

  /// Which layers have a sliding window.
  func pattern(_ layers: Int) throws -> [Bool] {
    let name = "attention.sliding_window_pattern"
    guard let values = try file.bools("gemma4.\(name)") else {
      throw ModelError(.missingKey, file.subject, "gemma4.\(name) is missing")
    }
    guard values.count == layers else { throw bad(name, "\(values.count) values for \(layers) layers") }
    return values
  }

  func head(_ suffix: String, _ standard: Int) throws -> Int {
    let name = "attention.key_length\(suffix)"
    let keys = try file.integer("gemma4.\(name)") ?? standard
    let values = try file.integer("gemma4.attention.value_length\(suffix)") ?? keys
    let limit = LayerKVCache.maximumHeadDimension
    guard keys >= 2, keys <= limit, keys % 2 == 0, values == keys else {
      throw bad(name, "head size \(keys) (values: \(values)) is not supported: even, 2...\(limit), both equal")
    }
    return keys
  }

  func float(_ name: String, _ standard: Float, _ range: ClosedRange<Float>) throws -> Float {
    let value = try file.float("gemma4.\(name)") ?? standard
    guard range.contains(value) else { throw bad(name, "is \(value)") }
    return value
  }

  func rope(_ suffix: String, _ head: Int, _ base: Float) throws -> Gemma4Configuration.Rope {
    let name = "rope.dimension_count\(suffix)"
    let dimension = try file.integer("gemma4.\(name)") ?? head
    guard dimension >= 2, dimension <= head, dimension % 2 == 0 else { throw bad(name, "is \(dimension)") }
    let base = try float("rope.freq_base\(suffix)", base, 1e-3...Float.greatestFiniteMagnitude)
    return Gemma4Configuration.Rope(dimension: dimension, base: base)
  }
}
