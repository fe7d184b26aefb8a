import Glibc
import Occam
import OccamCore

/// What a reply came to, for the shapes of all APIs.
struct Outcome: Sendable {
  let metrics: GenerationMetrics
  let tokens: [GeneratedToken]
  /// PNG files, one a picture of the conversation; empty unless asked for.
  let keepMaps: [[UInt8]]
  /// Tokens of the choices before this one: of their prompts, and of their replies.
  var earlier = Tokens()
  /// The choice before this one answers the same prompt.
  var repeatsPrompt = false

  /// What a request with several choices is billed for.
  struct Tokens: Sendable {
    var prompt = 0
    var cached = 0
    var generated = 0
  }

  var text: String { metrics.text }

  /// Whether the reply ended before its limit because the context was full.
  func isTruncated(limit: Int?) -> Bool { metrics.stop == .length && metrics.generatedTokens < limit ?? .max }

  /// OpenAI's word for why the reply ended.
  var finishReason: String { metrics.stop == .length ? "length" : "stop" }

  /// Of this choice and those before; a prompt counts once.
  var tokensSoFar: Tokens {
    var sum = earlier
    if !repeatsPrompt {
      sum.prompt += metrics.promptTokens
      sum.cached += metrics.cachedTokens
    }
    sum.generated += metrics.generatedTokens
    return sum
  }

  var usage: JSONValue {
    let sum = tokensSoFar
    return [
      "completion_tokens": .integer(sum.generated), "prompt_tokens": .integer(sum.prompt),
      "total_tokens": .integer(sum.prompt + sum.generated),
      "prompt_tokens_details": ["cached_tokens": .integer(sum.cached)],
    ]
  }

  /// llama-server's timings, and what pruning did.
  var extras: [JSONMember] { [JSONMember("timings", timings)] + pruningMember }

  /// Empty where nothing was pruned.
  var pruningMember: [JSONMember] { pruning.map { [JSONMember("occam", $0)] } ?? [] }

  private var imageTokens: (full: Int, kept: Int) {
    guard !metrics.pruning.isEmpty else {
      let tokens = Int(metrics.meanVisualTokensPerLayer.rounded())
      return (tokens, tokens)
    }
    return metrics.pruning.reduce((0, 0)) { ($0.0 + $1.total, $0.1 + $1.kept) }
  }

  /// llama-server's members, and what it has no word for.
  var timings: JSONValue {
    let times = metrics.timings
    let (full, kept) = imageTokens
    var speed = ReplySpeed()
    speed.cached = metrics.cachedTokens
    speed.prompt = metrics.promptTokens - metrics.cachedTokens
    speed.promptMilliseconds = times.prefill
    speed.generated = metrics.generatedTokens
    speed.generationMilliseconds = times.decode
    speed.drafted = metrics.draftedTokens
    speed.accepted = metrics.acceptedTokens
    let images = [
      JSONMember("image_n", .integer(metrics.encodedImages + metrics.reusedImages)),
      JSONMember("image_tokens_full", .integer(full)), JSONMember("image_tokens_kept", .integer(kept)),
      JSONMember("image_decode_ms", rounded(times.imageDecode)),
      JSONMember("image_encode_ms", rounded(times.imageEncode)),
      JSONMember("image_cache_hit", .bool(metrics.reusedImages > 0 && metrics.encodedImages == 0)),
      JSONMember("kv_bytes", .integer(metrics.kvBytes)),
      JSONMember("kv_bytes_unpruned", .integer(metrics.kvBytesUnpruned)),
      JSONMember("ttft_ms", rounded(times.timeToFirstToken)),
    ]
    return .object(speed.members + images)
  }

  /// What pruning did to each picture; nil where nothing was pruned.
  var pruning: JSONValue? {
    guard !metrics.pruning.isEmpty || !keepMaps.isEmpty else { return nil }
    var members = [
      JSONMember(
        "pruning",
        .array(
          metrics.pruning.map { image in
            [
              "image": .integer(image.image), "total": .integer(image.total), "stage1": .integer(image.stage1),
              "kept": .integer(image.kept), "layer": .integer(image.layer), "reference": .string(image.reference),
            ]
          }))
    ]
    if !keepMaps.isEmpty {
      let maps = keepMaps.map { JSONValue.string("data:image/png;base64,\(Base64.encode($0))") }
      members.append(JSONMember("keep_maps", .array(maps)))
    }
    return .object(members)
  }

  private func rounded(_ value: Double) -> JSONValue { .number((value * 1000).rounded() / 1000) }
}

extension GeneratedToken {
  /// Probabilities as OpenAI's chat completions and llama-server say them.
  /// - Parameter asProbability: itself instead of its logarithm, as llama-server says what it drew by.
  func probability(asProbability: Bool = false) -> JSONValue {
    func entry(_ id: Int32, _ bytes: [UInt8], _ logprob: Float?) -> [JSONMember] {
      let logprob = max(logprob ?? 0, -9999)
      return [
        JSONMember("id", .integer(Int(id))), JSONMember("token", .string(String(decoding: bytes, as: UTF8.self))),
        asProbability ? JSONMember("prob", .number(exp(Double(logprob)))) : JSONMember("logprob", .float(logprob)),
        JSONMember("bytes", .array(bytes.map { .integer(Int($0)) })),
      ]
    }
    let top = self.top.map { JSONValue.object(entry($0.id, $0.bytes, $0.logprob)) }
    return .object(
      entry(id, bytes, logprob) + [JSONMember(asProbability ? "top_probs" : "top_logprobs", .array(top))])
  }
}

extension [GeneratedToken] {
  /// OpenAI's `logprobs`.
  var logprobs: JSONValue { ["content": .array(filter { $0.id >= 0 }.map { $0.probability() })] }
}
