/// What stands around a model's thoughts.
package struct ThoughtMarks: Sendable, Equatable {
  package let open: String
  package let close: String
  /// Control tokens among them, which no text shows otherwise.
  let tokens: [String]

  private static let think = ThoughtMarks(open: "<think>", close: "</think>", tokens: ["<think>", "</think>"])
  private static let channel = ThoughtMarks(
    open: "<|channel>thought", close: "<channel|>", tokens: ["<|channel>", "<channel|>"])

  /// As the chat template has them: the Qwen line's and what follows DeepSeek, or Gemma 4's.
  package static func of(template: String?) -> ThoughtMarks? {
    guard let template else { return nil }
    return [think, channel].first { template.contains($0.close) }
  }

  /// Whether the reply to a prompt goes on with a thought.
  func isOpen(behind prompt: String) -> Bool {
    guard let last = prompt.lastIndex(where: { !$0.isWhitespace }) else { return false }
    return prompt[...last].hasSuffix(open)
  }
}
