import OccamCore

/// How fast a reply comes, at its end or on the way, in the members of llama-server's `timings`.
struct ReplySpeed {
  /// Tokens of the prompt that an earlier reply left, and those computed so far.
  var cached = 0
  var prompt = 0
  var promptMilliseconds = 0.0
  var generated = 0
  var generationMilliseconds = 0.0
  /// Guesses of speculative decoding, and the right ones; said where there are any.
  var drafted = 0
  var accepted = 0
  private var total = 0
  /// Nanoseconds; nil: not yet.
  private var promptBegan: UInt64?
  private var generationBegan: UInt64?

  var members: [JSONMember] {
    // The first token comes out of the prompt.
    let decoded = max(generated - 1, 0)
    return [
      JSONMember("cache_n", .integer(cached)), JSONMember("prompt_n", .integer(prompt)),
      JSONMember("prompt_ms", .number(promptMilliseconds)),
      JSONMember("prompt_per_token_ms", .number(prompt > 0 ? promptMilliseconds / Double(prompt) : 0)),
      JSONMember("prompt_per_second", .number(perSecond(prompt, promptMilliseconds))),
      JSONMember("predicted_n", .integer(generated)), JSONMember("predicted_ms", .number(generationMilliseconds)),
      JSONMember("predicted_per_token_ms", .number(decoded > 0 ? generationMilliseconds / Double(decoded) : 0)),
      JSONMember("predicted_per_second", .number(perSecond(decoded, generationMilliseconds))),
    ] + (drafted > 0 ? drafts : [])
  }

  private var drafts: [JSONMember] {
    [JSONMember("draft_n", .integer(drafted)), JSONMember("draft_n_accepted", .integer(accepted))]
  }

  var member: JSONMember { JSONMember("timings", .object(members)) }

  /// llama-server's `prompt_progress`.
  var progress: JSONMember {
    let members: JSONValue = [
      "total": .integer(cached + total), "cache": .integer(cached), "processed": .integer(cached + prompt),
      "time_ms": .number(promptMilliseconds),
    ]
    return JSONMember("prompt_progress", members)
  }

  /// - Returns: whether more of the prompt is computed than was.
  mutating func computed(_ fraction: Double, of tokens: Int, cached: Int) -> Bool {
    let began = promptBegan ?? Clock.nanoseconds()
    let done = Int(fraction * Double(tokens))
    guard promptBegan == nil || done > prompt else { return false }
    promptMilliseconds = promptBegan == nil ? 0 : Clock.milliseconds(since: began)
    promptBegan = began
    total = tokens
    self.cached = cached
    prompt = done
    return true
  }

  mutating func generatedToken() {
    generated += 1
    if let generationBegan {
      generationMilliseconds = Clock.milliseconds(since: generationBegan)
    } else {
      generationBegan = Clock.nanoseconds()
    }
  }

  private func perSecond(_ count: Int, _ milliseconds: Double) -> Double {
    count > 0 ? Double(count) / max(milliseconds, 1e-6) * 1000 : 0
  }
}
