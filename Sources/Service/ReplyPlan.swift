import Occam
import OccamCore

/// What a conversation is made of once thoughts and tools are settled: what the model is told, and how its reply is read.
struct ReplyPlan: Sendable {
  let messages: [Message]
  let options: GenerationOptions
  let reader: ReplyReader

  /// - Parameters:
  ///   - thinks: whether the request wants thoughts; nil: as the template has it.
  ///   - showsThoughts: they stay in the text, marks and all.
  init(
    _ model: VisionLanguageModel, _ messages: [Message], _ options: GenerationOptions, tools: ToolUse?,
    thinks: Bool?, showsThoughts: Bool = false
  ) throws(ServiceError) {
    let template = model.facts.chatTemplate
    var (messages, options) = (messages, options)
    if let tools { messages = try tools.prepare(messages, &options) }
    let marks = ThoughtMarks.of(template: template)
    // A grammar holds the reply from its first token on: there is no place for thoughts.
    let isHeld = options.format != .text
    if let wanted = isHeld && marks != nil ? thinks ?? false : thinks {
      options.templateVariables = try ReplyPlan.adding("enable_thinking", wanted, to: options.templateVariables)
    }
    options.shownTokens += marks?.tokens ?? []
    let thoughts = showsThoughts ? nil : marks
    var beginsInThought = false
    if let thoughts, !isHeld {
      let (asked, settled) = (messages, options)
      do throws(OccamError) {
        beginsInThought = thoughts.isOpen(behind: try model.promptText(asked, options: settled))
      } catch { throw ServiceError(error) }
    }
    self.messages = messages
    self.options = options
    reader = ReplyReader(tools: tools, thoughts: thoughts, beginsInThought: beginsInThought)
  }

  /// What the client says itself of a variable counts.
  private static func adding(_ name: String, _ value: Bool, to text: String?) throws(ServiceError) -> String {
    let given = text.flatMap { try? JSONValue(parsing: $0) } ?? [:]
    guard case .object(let members) = given, given[name] == nil else { return text ?? "{}" }
    return JSONValue.object(members + [JSONMember(name, .bool(value))]).text()
  }
}
