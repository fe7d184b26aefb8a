import OccamCore
import OccamModels
import OccamTokenizer

/// Writes conversations as the model's chat format has them.
struct ChatPrompt {
  let model: VisionLanguageModel
  /// What the template is told besides the messages: tools, and variables as `enable_thinking`.
  private var variables: [JSONMember] = []

  init(_ model: VisionLanguageModel, _ options: GenerationOptions) throws(OccamError) {
    self.model = model
    if let text = options.templateVariables {
      guard case .object(let members) = try JSONText.object(text, of: "template variables") else { return }
      variables = members
    }
    guard !options.tools.isEmpty else { return }
    let tools = try options.tools.map { tool throws(OccamError) in try tool.json() }
    variables.append(JSONMember("tools", .array(tools)))
  }

  /// - Parameter turns: a last one of the assistant's is begun already: the reply goes on behind it.
  func prompt(_ turns: [ChatMessage]) throws(OccamError) -> Prompt {
    let (asked, begun) = try divided(turns)
    return try translating("chat template") {
      var prompt = try render(asked, addGenerationPrompt: true, begun: begun)
      // What the prompt would be without the last turn tells where the question starts.
      if asked.count > 1, let older = try? render(asked.dropLast(), addGenerationPrompt: false) {
        prompt.questionStart = Prompt.common(older.items, prompt.items)
      }
      return prompt
    }
  }

  /// The same prompt's text, each image as `Prompt.imageMarker`.
  /// - Parameter asksForReply: false: without the beginning of the reply's turn.
  func text(_ turns: [ChatMessage], asksForReply: Bool = true) throws(OccamError) -> String {
    let (asked, begun) = try divided(turns)
    return try translating("chat template") {
      try segments(asked, addGenerationPrompt: asksForReply || begun != nil, begun: begun).map { segment in
        switch segment {
        case .template(let text), .text(let text): text
        case .image: Prompt.imageMarker
        }
      }.joined()
    }
  }

  /// What is asked, and the beginning of the reply where there is one.
  private func divided(_ turns: [ChatMessage]) throws(OccamError) -> (asked: [ChatMessage], begun: ChatMessage?) {
    guard let last = turns.last else { throw OccamError(.invalidOption, "messages", "there is none") }
    guard last.role == "assistant", last.members.isEmpty else { return (turns, nil) }
    guard turns.count > 1 else {
      throw OccamError(.invalidOption, "messages", "there is none but the reply's beginning")
    }
    return (Array(turns.dropLast()), last)
  }

  private func render(
    _ turns: some Collection<ChatMessage>, addGenerationPrompt: Bool, begun: ChatMessage? = nil
  ) throws -> Prompt {
    let segments = try segments(turns, addGenerationPrompt: addGenerationPrompt, begun: begun)
    return Prompt(segments, chat: model.vision?.chat, tokenizer: model.tokenizer)
  }

  private func segments(
    _ turns: some Collection<ChatMessage>, addGenerationPrompt: Bool, begun: ChatMessage?
  ) throws(TemplateError) -> [PromptSegment] {
    let defaults = model.vision?.chat
    var segments = try model.chat.segments(
      messages: Array(turns), addGenerationPrompt: addGenerationPrompt,
      imageLiterals: defaults?.placeholders.map(\.literal) ?? [], imageBreak: defaults?.imageBreak ?? "",
      variables: variables)
    let texts = (begun?.content ?? []).compactMap { part in
      if case .text(let text) = part { text } else { nil }
    }
    // As llama-server has several.
    if !texts.isEmpty { segments.append(.text(texts.joined(separator: "\n\n"))) }
    return segments
  }
}
