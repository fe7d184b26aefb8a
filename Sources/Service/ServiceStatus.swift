import Occam
import OccamCore
import OccamHTTP

// What the service says of itself.

extension Service {
  func models(_ ready: Ready) -> JSONValue {
    let facts = ready.model.facts
    let capabilities: [JSONValue] = ["completion"] + (facts.seesImages ? ["multimodal"] : [])
    let meta: JSONValue = [
      "n_vocab": .integer(facts.vocabularySize), "n_ctx_train": .integer(ready.model.contextLength),
      "n_embd": .integer(facts.embeddingWidth), "n_params": .integer(facts.parameterCount),
      "size": .integer(facts.fileBytes),
    ]
    return [
      "object": "list",
      "data": [
        [
          "id": .string(ready.name), "object": "model", "created": .integer(started), "owned_by": "occam",
          "capabilities": .array(capabilities), "meta": meta,
          "aliases": .array(options.aliases.map { .string($0) }), "tags": .array(options.tags.map { .string($0) }),
        ]
      ],
      "models": [
        [
          "name": .string(ready.name), "model": .string(ready.name), "type": "model",
          "capabilities": .array(capabilities),
          "details": ["format": "gguf", "family": .string(facts.architecture)],
        ]
      ],
    ]
  }

  func props(_ ready: Ready) -> JSONValue {
    let facts = ready.model.facts
    var defaults = options.defaults
    defaults.seed = options.seed ?? UInt64(UInt32.max)
    return [
      "default_generation_settings": [
        "n_ctx": .integer(contextLength(ready)), "params": Service.settings(defaults, ready.model),
      ],
      "total_slots": .integer(ready.pool.counts.sessions), "model_alias": .string(ready.name),
      "model_path": .string(ready.model.path), "chat_template": .string(facts.chatTemplate ?? ""),
      "modalities": ["vision": .bool(facts.seesImages), "audio": false], "media_marker": "<__media__>",
      "bos_token": .string(facts.bosText), "eos_token": .string(facts.eosText),
      "build_info": .string(buildName),
      "occam": [
        "kernel": .string(ready.model.kernel), "threads": .integer(ready.model.threads),
        "calibrated": .bool(ready.model.isCalibrated),
      ],
    ]
  }

  /// Positions that a conversation may have.
  func contextLength(_ ready: Ready) -> Int { contextLength(ready.model) }

  func contextLength(_ model: VisionLanguageModel) -> Int {
    min(options.session.contextLength ?? model.contextLength, model.contextLength)
  }

  /// Bytes of the longest text that so many tokens may stand for, generously: tokenizers may shorten text first.
  static func textLimit(_ model: VisionLanguageModel, context: Int) -> Int {
    let ids = 0..<Int32(clamping: model.facts.vocabularySize)
    let longest = ids.reduce(4) { max($0, model.bytes(ofToken: $1).count) }
    let (limit, isBeyond) = (4 * longest).multipliedReportingOverflow(by: max(context, 1))
    return isBeyond ? .max : limit
  }

  /// Under llama-server's names.
  static func settings(_ options: GenerationOptions, _ model: VisionLanguageModel) -> JSONValue {
    var bias = options.logitBias
    if options.ignoresEndOfText { for id in model.facts.endTokens { bias[id] = -.infinity } }
    let entries = bias.sorted { $0.key < $1.key }.map { id, value -> JSONValue in
      ["token": .integer(Int(id)), "bias": value.isFinite ? .float(value) : nil]
    }
    return [
      "seed": .integer(Int(clamping: options.seed)), "temperature": .float(options.temperature),
      "top_k": .integer(options.topK), "top_p": .float(options.topP), "min_p": .float(options.minP),
      "repeat_penalty": .float(options.repeatPenalty), "repeat_last_n": .integer(options.repeatLastN),
      "presence_penalty": .float(options.presencePenalty), "frequency_penalty": .float(options.frequencyPenalty),
      "max_tokens": .integer(options.maxTokens ?? -1), "n_predict": .integer(options.maxTokens ?? -1),
      "stop": .array(options.stop.map { .string($0) }), "ignore_eos": .bool(options.ignoresEndOfText),
      "logit_bias": .array(entries), "n_probs": .integer(options.logprobs ?? 0),
      "post_sampling_probs": .bool(options.logprobsBehindSampling),
      "speculative.n_max": .integer(options.speculation.maxTokens),
      "speculative.n_min": .integer(options.speculation.minTokens),
      "speculative.p_min": .float(options.speculation.minProbability),
      "samplers": ["penalties", "top_k", "top_p", "min_p", "temperature"],
      // Samplers that there are none of, as switched off.
      "typical_p": 1, "top_n_sigma": -1, "xtc_probability": 0, "dynatemp_range": 0, "mirostat": 0, "dry_multiplier": 0,
      "adaptive_target": -1, "adaptive_decay": .number(0.9),
    ]
  }

  /// - Parameter head: `?fail_on_no_slot=1` makes it a health check of those who look for a free slot.
  func slots(_ ready: Ready, _ head: HTTPRequestHead) throws(ServiceError) -> HTTPResponse {
    guard options.showsSlots else {
      throw ServiceError(501, "not_supported_error", "this service was started with --no-slots")
    }
    let busy = ready.pool.areBusy
    if head.query("fail_on_no_slot") == "1", busy.allSatisfy({ $0 }) {
      throw ServiceError(503, "unavailable_error", "no slot available", retryAfter: 1)
    }
    let slots = busy.enumerated().map { index, isBusy -> JSONValue in
      [
        "id": .integer(index), "n_ctx": .integer(contextLength(ready)), "is_processing": .bool(isBusy),
        "speculative": false,
      ]
    }
    return HTTPResponse(.array(slots))
  }

  func metricsText(_ ready: Ready) -> String {
    var text = MetricsText()
    let (totals, counts) = (metrics.totals, ready.pool.counts)
    text.add(totals, counts, ready.model)
    text.add(ready.cache.counts)
    if options.metricsCompat { text.addCompatible(totals, counts, ready.model.decodeCounts) }
    return text.text
  }
}
