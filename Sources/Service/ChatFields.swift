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
    messages.nameTools()
    let ends = messages.suffix(2)
    guard ends.count < 2 || ends.contains(where: { $0.role != "assistant" }) else {
      throw .invalid("'messages' ends with two messages of the assistant: only one can be gone on with")
    }
    return messages
  }

  private func message(_ entry: Fields) throws(ServiceError) -> Message {
    let role = try entry.role(among: ["system", "user", "assistant", "tool"])
    var message = Message(role: role, content: try content(entry))
    message.toolCallID = try entry.string("tool_call_id")
    message.name = try entry.string("name")
    message.reasoning = try entry.string("reasoning_content")
    for call in try entry.objects("tool_calls") ?? [] {
      let function = try call.require("function", try call.object("function"))
      message.toolCalls.append(
        ToolCall(
          id: try call.string("id") ?? "", name: try function.requiredString("name"),
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
      case "text": parts.append(.text(try part.requiredString("text")))
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

  func tools() throws(ServiceError) -> [Tool] {
    var tools: [Tool] = []
    for entry in try fields.objects("tools") ?? [] {
      guard let type = try entry.string("type"), type == "function" else {
        throw .invalid("'\(entry.path)type' is not \"function\"")
      }
      tools.append(try entry.require("function", try entry.object("function")).tool(parameters: "parameters"))
    }
    return tools
  }
}

extension [Message] {
  /// Results of tools get the name of the tool whose call they answer, where the request does not say it.
  mutating func nameTools() {
    var names: [String: String] = [:]
    for index in indices {
      for call in self[index].toolCalls { names[call.id] = call.name }
      if self[index].role == "tool", self[index].name == nil {
        self[index].name = self[index].toolCallID.flatMap { names[$0] }
      }
    }
  }
}
