import Occam
import OccamCore

/// Messages and tools as OpenAI's chat completions have them.
struct ChatFields {
  let fields: Fields
  let pictures: PictureReference

  func messages() throws(ServiceError) -> [Message] {
    let list = try fields.require("messages", try fields.objects("messages"))
    guard !list.isEmpty else { throw .invalid("'messages' is empty") }
    var messages: [Message] = []
    for entry in list { messages.append(try message(entry)) }
    let ends = messages.suffix(2)
    guard ends.count < 2 || ends.contains(where: { $0.role != "assistant" }) else {
      throw .invalid("'messages' ends with two messages of the assistant: only one can be gone on with")
    }
    return messages
  }

  private func message(_ entry: Fields) throws(ServiceError) -> Message {
    var role = try entry.require("role", try entry.string("role"))
    // What OpenAI's newer models call it.
    if role == "developer" { role = "system" }
    guard ["system", "user", "assistant", "tool"].contains(role) else {
      throw .invalid("'\(entry.path)role' is \"\(role)\", not \"system\", \"user\", \"assistant\" or \"tool\"")
    }
    var message = Message(role: role, content: try content(entry))
    message.toolCallID = try entry.string("tool_call_id")
    message.name = try entry.string("name")
    message.reasoning = try entry.string("reasoning_content")
    for call in try entry.objects("tool_calls") ?? [] {
      let function = try call.require("function", try call.object("function"))
      message.toolCalls.append(
        ToolCall(
          id: try call.string("id") ?? "", name: try function.require("name", try function.string("name")),
          arguments: try function.string("arguments") ?? "{}"))
    }
    if message.content.isEmpty, message.toolCalls.isEmpty, role != "assistant" {
      throw .invalid("'\(entry.path)content' is missing")
    }
    return message
  }

  private func content(_ entry: Fields) throws(ServiceError) -> [Message.Part] {
    guard let content = entry["content"] else { return [] }
    if let text = content.stringValue { return [.text(text)] }
    guard content.arrayValue != nil else { throw entry.error("content", "a string or an array of parts") }
    var parts: [Message.Part] = []
    for part in try entry.objects("content") ?? [] {
      switch try part.string("type") {
      case "text": parts.append(.text(try part.require("text", try part.string("text"))))
      case "image_url":
        let name = "image_url"
        let url = part[name]?.stringValue ?? part[name]?["url"]?.stringValue
        let reference = try part.require("\(name).url", url)
        parts.append(.image(try pictures.source(reference, field: "\(part.path)\(name).url")))
      case .some(let type): throw .invalid("'\(part.path)type' is \"\(type)\": this service takes text and pictures")
      case nil: throw .invalid("'\(part.path)type' is missing")
      }
    }
    return parts
  }

  /// `tools` and what `tool_choice` leaves of them.
  func tools() throws(ServiceError) -> [Tool] {
    guard let list = try fields.objects("tools") else { return [] }
    var tools: [Tool] = []
    for entry in list {
      guard let type = try entry.string("type"), type == "function" else {
        throw .invalid("'\(entry.path)type' is not \"function\"")
      }
      let function = try entry.require("function", try entry.object("function"))
      tools.append(
        Tool(
          name: try function.require("name", try function.string("name")),
          description: try function.string("description") ?? "",
          parameters: function["parameters"]?.text() ?? Tool.noParameters))
    }
    return tools
  }
}
