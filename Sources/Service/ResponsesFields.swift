import Occam
import OccamCore

/// POST /v1/responses, OpenAI's newer API: what it asks.
struct ResponsesFields {
  let fields: Fields
  let pictures: PictureReference

  func messages() throws(ServiceError) -> [Message] {
    guard fields["previous_response_id"] == nil else {
      throw .invalid("'previous_response_id': this service keeps no responses; send the conversation in 'input'")
    }
    var messages: [Message] = []
    if let instructions = try fields.string("instructions") { messages.append(.system(instructions)) }
    let input = try fields.require("input", fields["input"])
    if let text = input.stringValue { return messages + [.user(text)] }
    let items = try fields.require("input", try fields.objects("input"))
    guard !items.isEmpty else { throw .invalid("'input' is empty") }
    var reasoning: String?
    for item in items {
      switch try item.string("type") ?? "message" {
      case "message":
        var message = try message(item)
        if message.role == "assistant" { message.reasoning = take(&reasoning) }
        messages.append(message)
      case "reasoning": reasoning = try thought(item)
      case "function_call":
        // Calls belong to the assistant's turn before them.
        if messages.last?.role != "assistant" {
          var turn = Message(role: "assistant", content: [])
          turn.reasoning = take(&reasoning)
          messages.append(turn)
        }
        messages[messages.count - 1].toolCalls.append(
          ToolCall(
            id: try item.requiredString("call_id"),
            name: try item.requiredString("name"), arguments: try item.string("arguments") ?? "{}"))
      case "function_call_output":
        var turn = Message(role: "tool", content: try content(item, "output"))
        turn.toolCallID = try item.requiredString("call_id")
        messages.append(turn)
      case let type:
        throw .invalid(
          "'\(item.path)type' is \"\(type)\", not \"message\", \"reasoning\", \"function_call\" or "
            + "\"function_call_output\"")
      }
    }
    messages.nameTools()
    guard messages.contains(where: { $0.role != "system" }) else { throw .invalid("'input' holds no message") }
    return messages
  }

  private func take(_ reasoning: inout String?) -> String? {
    defer { reasoning = nil }
    return reasoning
  }

  private func message(_ item: Fields) throws(ServiceError) -> Message {
    Message(role: try item.role(among: ["system", "user", "assistant"]), content: try content(item, "content"))
  }

  private func content(_ item: Fields, _ name: String) throws(ServiceError) -> [Message.Part] {
    guard let content = item[name] else { throw .invalid("'\(item.path)\(name)' is missing") }
    if let text = content.stringValue { return [.text(text)] }
    var parts: [Message.Part] = []
    for part in try item.objects(name) ?? [] {
      switch try part.string("type") {
      case "input_text", "output_text", "text": parts.append(.text(try part.requiredString("text")))
      case "input_image":
        let reference = try part.requiredString("image_url")
        parts.append(.image(try pictures.source(reference, field: "\(part.path)image_url")))
      case let type: throw .invalid("'\(part.path)type' is \"\(type ?? "")\": this endpoint takes text and pictures")
      }
    }
    return parts
  }

  private func thought(_ item: Fields) throws(ServiceError) -> String? {
    var texts: [String] = []
    for part in try item.objects("content") ?? [] { texts.append(try part.string("text") ?? "") }
    return texts.isEmpty ? nil : texts.joined()
  }

  /// Functions; their members stand beside the type.
  func tools() throws(ServiceError) -> [Tool] {
    var tools: [Tool] = []
    for entry in try fields.objects("tools") ?? [] {
      guard let type = try entry.string("type"), type == "function" else {
        throw .invalid("'\(entry.path)type' is not \"function\": this service has no tools of its own")
      }
      tools.append(try entry.tool(parameters: "parameters"))
    }
    return tools
  }

  /// `"reasoning": {"effort": "none"}`.
  func thinks() throws(ServiceError) -> Bool? {
    try fields.object("reasoning")?.string("effort") == "none" ? false : nil
  }
}
