import Occam
import OccamCore

/// What the service did so far, as Prometheus reads it.
final class ServiceMetrics: Sendable {
  struct Totals: Sendable {
    var requests = 0
    var failures = 0
    var refusals = 0
    var cancelled = 0
    /// Answers sent in one piece.
    var whole = 0
    var promptTokens = 0
    var cachedTokens = 0
    var promptSeconds = 0.0
    var generatedTokens = 0
    var generationSeconds = 0.0
    var drafted = 0
    var accepted = 0
    var drafts = 0
    var images = 0
    var imagesEncoded = 0
    var encodeSeconds = 0.0
    var imageTokens = 0
    var imageTokensKept = 0
    var firstTokenSeconds = 0.0
    /// Of any one conversation, at most.
    var mostTokens = 0
    var lastPromptPerSecond = 0.0
    var lastGeneratedPerSecond = 0.0
  }

  private let state = Guarded(Totals())

  var totals: Totals { state.withLock { $0 } }

  func count(_ body: (inout Totals) -> Void) { state.withLock { body(&$0) } }

  func count(_ error: ServiceError) {
    count { totals in
      switch error.status {
      case 499: totals.cancelled += 1
      case 503: totals.refusals += 1
      default: totals.failures += 1
      }
    }
  }

  func count(_ metrics: GenerationMetrics) {
    state.withLock { totals in
      totals.requests += 1
      if metrics.stop == .cancelled { totals.cancelled += 1 }
      totals.promptTokens += metrics.promptTokens - metrics.cachedTokens
      totals.cachedTokens += metrics.cachedTokens
      totals.promptSeconds += metrics.timings.prefill / 1000
      totals.generatedTokens += metrics.generatedTokens
      totals.generationSeconds += metrics.timings.decode / 1000
      totals.drafted += metrics.draftedTokens
      totals.accepted += metrics.acceptedTokens
      totals.drafts += metrics.drafts
      totals.images += metrics.encodedImages + metrics.reusedImages
      totals.imagesEncoded += metrics.encodedImages
      totals.encodeSeconds += metrics.timings.imageEncode / 1000
      totals.imageTokens += metrics.pruning.reduce(0) { $0 + $1.total }
      totals.imageTokensKept += metrics.pruning.reduce(0) { $0 + $1.kept }
      totals.firstTokenSeconds += metrics.timings.timeToFirstToken / 1000
      totals.mostTokens = max(totals.mostTokens, metrics.promptTokens + metrics.generatedTokens)
      totals.lastPromptPerSecond = metrics.timings.prefillTokensPerSecond
      totals.lastGeneratedPerSecond = metrics.timings.decodeTokensPerSecond
    }
  }
}

/// Prometheus' text format.
struct MetricsText {
  private(set) var text = ""

  mutating func add(_ name: String, _ kind: String, _ help: String, _ value: Double) {
    let number = value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n\(name) \(number)\n"
  }

  mutating func add(_ totals: ServiceMetrics.Totals, _ pool: SessionPool.Counts, _ model: VisionLanguageModel) {
    func counter(_ name: String, _ help: String, _ value: Double) {
      add("occam:\(name)", "counter", help, value)
    }
    func gauge(_ name: String, _ help: String, _ value: Double) { add("occam:\(name)", "gauge", help, value) }
    counter("requests_total", "Replies that were begun and ended.", Double(totals.requests))
    counter("requests_cancelled_total", "Replies whose client went away.", Double(totals.cancelled))
    counter("requests_failed_total", "Requests that ended with an error.", Double(totals.failures))
    counter(
      "requests_refused_total", "Requests told to come again: the queue was full, or the service came or went.",
      Double(totals.refusals))
    counter("prompt_tokens_total", "Prompt tokens that were computed, as if unpruned.", Double(totals.promptTokens))
    counter(
      "prompt_tokens_cached_total", "Prompt tokens taken over from an earlier reply.", Double(totals.cachedTokens))
    counter("prompt_seconds_total", "Seconds of prefill.", totals.promptSeconds)
    counter("tokens_predicted_total", "Tokens that were generated.", Double(totals.generatedTokens))
    counter("tokens_predicted_seconds_total", "Seconds in which they were.", totals.generationSeconds)
    counter("draft_tokens_total", "Tokens that were guessed.", Double(totals.drafted))
    counter("draft_tokens_accepted_total", "Guesses that were right.", Double(totals.accepted))
    counter("images_total", "Pictures of the conversations.", Double(totals.images))
    counter("images_encoded_total", "Pictures that the encoder ran for.", Double(totals.imagesEncoded))
    counter("image_encode_seconds_total", "Seconds of encoding.", totals.encodeSeconds)
    counter("image_tokens_total", "Visual tokens before pruning.", Double(totals.imageTokens))
    counter("image_tokens_kept_total", "Visual tokens behind pruning.", Double(totals.imageTokensKept))
    counter("first_token_seconds_total", "Seconds to first tokens.", totals.firstTokenSeconds)
    let decoded = model.decodeCounts
    counter("decode_passes_total", "Passes over the weights that decoded.", Double(decoded.passes))
    counter("decode_tokens_total", "Tokens in them.", Double(decoded.tokens))
    gauge("requests_processing", "Requests at work.", Double(pool.busy))
    gauge("requests_deferred", "Requests that wait for a slot.", Double(pool.queued))
    gauge("slots", "Slots.", Double(pool.sessions))
    gauge("session_bytes", "Memory that sessions hold or are planned to.", Double(pool.memoryBytes))
    gauge("resident_peak_bytes", "The most memory that the process had.", Double(OccamProcess.peakResidentBytes))
  }

  mutating func add(_ cache: ImageCache.Counts) {
    add("occam:image_cache_hits_total", "counter", "Pictures found in the cache.", Double(cache.hits))
    add("occam:image_cache_misses_total", "counter", "Pictures not found in it.", Double(cache.misses))
    add("occam:image_cache_bytes", "gauge", "Bytes that the cache holds.", Double(cache.bytes))
    add("occam:image_cache_images", "gauge", "Pictures that it holds.", Double(cache.images))
  }

  /// llama-server's names for the same.
  mutating func addCompatible(
    _ totals: ServiceMetrics.Totals, _ pool: SessionPool.Counts, _ decoded: (passes: Int, tokens: Int)
  ) {
    func counter(_ name: String, _ help: String, _ value: Double) { add("llamacpp:\(name)", "counter", help, value) }
    func gauge(_ name: String, _ help: String, _ value: Double) { add("llamacpp:\(name)", "gauge", help, value) }
    counter("prompt_tokens_total", "Number of prompt tokens processed.", Double(totals.promptTokens))
    counter(
      "prompt_tokens_cached_total", "Number of prompt tokens taken from the cache.", Double(totals.cachedTokens))
    counter("prompt_seconds_total", "Prompt process time", totals.promptSeconds)
    counter("tokens_predicted_total", "Number of generation tokens processed.", Double(totals.generatedTokens))
    counter("tokens_predicted_seconds_total", "Predict process time", totals.generationSeconds)
    counter("n_decode_total", "Passes that decoded.", Double(decoded.passes))
    counter("n_tokens_max", "Largest number of tokens of a conversation.", Double(totals.mostTokens))
    counter("spec_decode_num_draft_tokens_total", "Number of draft tokens.", Double(totals.drafted))
    counter("spec_decode_num_accepted_tokens_total", "Number of accepted draft tokens.", Double(totals.accepted))
    counter("spec_decode_num_drafts_total", "Number of drafts.", Double(totals.drafts))
    let share = decoded.passes > 0 ? Double(decoded.tokens) / Double(decoded.passes) : 0
    gauge("n_busy_slots_per_decode", "Average number of sequences in a pass that decodes.", share)
    gauge("prompt_tokens_seconds", "Prompt throughput in tokens/s.", totals.lastPromptPerSecond)
    gauge("predicted_tokens_seconds", "Generation throughput in tokens/s.", totals.lastGeneratedPerSecond)
    gauge("requests_processing", "Number of requests processing.", Double(pool.busy))
    gauge("requests_deferred", "Number of requests deferred.", Double(pool.queued))
  }
}
