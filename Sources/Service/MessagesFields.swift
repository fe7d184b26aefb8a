import Occam
import OccamCore

/// POST /v1/messages, Anthropic's API: what it asks.
struct MessagesFields {
  let fields: Fields
  let pictures: PictureReference

  func messages() throws(ServiceError) -> [Message] {
    var messages: [Message] = []
    if let system = fields["system"] {
      messages.append(.system(try text(system, field: "system")))
    }
    let list = try fields.require("messages", try fields.objects("messages"))
    guard !list.isEmpty else { throw .invalid("'messages' is empty") }
    for entry in list {
      let role = try entry.role(among: ["user", "assistant"])
      messages += try turns(entry, role)
    }
    messages.nameTools()
    return messages
  }

  private func text(_ value: JSONValue, field: String) throws(ServiceError) -> String {
    if let text = value.stringValue { return text }
    var texts: [String] = []
    for block in value.arrayValue ?? [] {
      guard let text = block["text"]?.stringValue else { throw .invalid("'\(field)' holds something that is no text") }
      texts.append(text)
    }
    guard value.arrayValue != nil else { throw fields.error(field, "a string or an array of text blocks") }
    return texts.joined(separator: "\n")
  }

  /// A message of this API; results of tools in it are messages of their own for the model.
  private func turns(_ entry: Fields, _ role: String) throws(ServiceError) -> [Message] {
    guard let content = entry["content"] else { throw .invalid("'\(entry.path)content' is missing") }
    if let text = content.stringValue { return [Message(role: role, content: [.text(text)])] }
    var results: [Message] = []
    var message = Message(role: role, content: [])
    for block in try entry.objects("content") ?? [] {
      switch (try block.string("type"), role) {
      case ("thinking", "assistant"):
        message.reasoning = (message.reasoning ?? "") + (try block.string("thinking") ?? "")
      case ("redacted_thinking", "assistant"): break
      case ("tool_use", "assistant"):
        message.toolCalls.append(
          ToolCall(
            id: try block.requiredString("id"),
            name: try block.requiredString("name"),
            arguments: try block.object("input")?.value.text() ?? "{}"))
      case ("tool_result", "user"):
        let id = try block.requiredString("tool_use_id")
        var result = Message(role: "tool", content: [])
        if let text = block["content"]?.stringValue {
          result.content = [.text(text)]
        } else {
          for part in try block.objects("content") ?? [] { result.content.append(try self.part(part)) }
        }
        result.toolCallID = id
        results.append(result)
      default: message.content.append(try part(block))
      }
    }
    let isEmpty = message.content.isEmpty && message.toolCalls.isEmpty && message.reasoning == nil
    return results + (isEmpty && !results.isEmpty ? [] : [message])
  }

  private func part(_ block: Fields) throws(ServiceError) -> Message.Part {
    switch try block.string("type") {
    case "text": return .text(try block.requiredString("text"))
    case "image":
      let source = try block.require("source", try block.object("source"))
      var given = try source.string("data")
      if given == nil { given = try source.string("url") }
      let field = "\(source.path)\(source["url"] == nil ? "data" : "url")"
      let reference = try source.require("data", given)
      return .image(try pictures.source(reference, field: field, allowsBare: source["data"] != nil))
    case let type:
      throw .invalid(
        "'\(block.path)type' is \"\(type ?? "")\": not text, image or what the role has of tools and thoughts")
    }
  }

  /// nil: no tools are offered, or the request forbids their use.
  func toolUse(template: String?) throws(ServiceError) -> ToolUse? {
    var tools: [Tool] = []
    for entry in try fields.objects("tools") ?? [] {
      // Anthropic's own tools, which a type names, run on their side.
      if let type = try entry.string("type"), type != "custom" {
        throw .invalid("'\(entry.path)type' is \"\(type)\": this service has no tools of its own")
      }
      tools.append(try entry.tool(parameters: "input_schema"))
    }
    let asked = try fields.object("tool_choice")
    let choice: ToolUse.Choice
    switch try asked?.string("type") {
    case nil, "auto": choice = .auto
    case "any": choice = .required
    case "none": choice = .none
    case "tool":
      let name = try asked?.string("name")
      choice = .tool(try fields.require("tool_choice.name", name))
    case .some(let type):
      throw .invalid("'tool_choice.type' is \"\(type)\", not \"auto\", \"any\", \"tool\" or \"none\"")
    }
    let isSingle = try asked?.bool("disable_parallel_tool_use") ?? false
    return try ToolUse(tools, choice: choice, allowsSeveral: !isSingle, template: template)
  }

  /// `"thinking": {"type": "enabled" | "adaptive" | "disabled"}`.
  func thinks() throws(ServiceError) -> Bool? {
    switch try fields.object("thinking")?.string("type") {
    case nil: nil
    case "disabled": false
    default: true
    }
  }
}
