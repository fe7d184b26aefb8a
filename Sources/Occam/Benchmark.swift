import OccamCore
import OccamModels

/// What `occam-bench` measures inside a session: bare forward passes, no sampling and no text.
extension Session {
  /// Seconds to prefill `tokens` arbitrary tokens into an empty cache; the logits of the last are computed.
  public func secondsToPrefill(tokens: Int) throws(OccamError) -> Double {
    try measured { core throws(OccamError) in try core.prefillSeconds(tokens) }
  }

  /// The same with the seconds that attention took of them; nil unless `OccamEnvironment.enableTimings` was called before
  /// anything was computed.
  package func prefillProfile(tokens: Int) throws(OccamError) -> (seconds: Double, attention: Double)? {
    guard let table = TimingTable.shared else { return nil }
    let before = table.nanoseconds(of: "text.attention")
    let seconds = try secondsToPrefill(tokens: tokens)
    return (seconds, Double(table.nanoseconds(of: "text.attention") - before) / 1e9)
  }

  /// Seconds to generate `tokens` tokens one by one after a single one, the output head included.
  public func secondsToDecode(tokens: Int) throws(OccamError) -> Double {
    try measured { core throws(OccamError) in try core.decodeSeconds(tokens) }
  }
}

extension SessionCore {
  /// Fixed pseudo-random ids: the work does not depend on them, but equal ids would be kind to the embedding's cache.
  private func ids(_ count: Int) -> [PromptItem] {
    var generator = SeededGenerator(seed: 1)
    return (0..<count).map { _ in .token(Int32(generator.next() % UInt64(model.decoder.shape.vocabulary))) }
  }

  func prefillSeconds(_ tokens: Int) throws(OccamError) -> Double {
    clear()
    var prompt = Prompt()
    prompt.items = ids(tokens)
    var metrics = GenerationMetrics()
    let start = Clock.nanoseconds()
    _ = try prefill(prompt, nil, { _ in }, &metrics)
    let elapsed = Clock.milliseconds(since: start) / 1000
    clear()
    return elapsed
  }

  func decodeSeconds(_ tokens: Int) throws(OccamError) -> Double {
    clear()
    var prompt = Prompt()
    prompt.items = ids(1)
    var metrics = GenerationMetrics()
    _ = try prefill(prompt, nil, { _ in }, &metrics)
    let start = Clock.nanoseconds()
    for item in ids(tokens) {
      if case .token(let id) = item { _ = try decode(id) }
    }
    let elapsed = Clock.milliseconds(since: start) / 1000
    clear()
    return elapsed
  }
}
