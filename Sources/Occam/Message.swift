import OccamCore
import OccamTokenizer

/// One turn of a conversation, with its pictures where they stand.
public struct Message: Sendable {
  public enum Part: Sendable {
    case text(String)
    case image(ImageSource)
  }

  /// "system", "user", "assistant", "tool", or what the model's chat template knows besides.
  public var role: String
  public var content: [Part]
  /// What an assistant thought before it answered; templates that know thoughts may show it to the model.
  public var reasoning: String?
  /// What an assistant asked to have called.
  public var toolCalls: [ToolCall] = []
  /// Of a tool's message: the call that it answers.
  public var toolCallID: String?
  /// Of a tool's message: the tool.
  public var name: String?

  public init(role: String, content: [Part]) {
    self.role = role
    self.content = content
  }

  public static func system(_ text: String) -> Message { Message(role: "system", content: [.text(text)]) }
  public static func assistant(_ text: String) -> Message { Message(role: "assistant", content: [.text(text)]) }

  /// - Parameter images: in front of the text.
  public static func user(_ text: String, images: [ImageSource] = []) -> Message {
    Message(role: "user", content: images.map { .image($0) } + [.text(text)])
  }
}

/// A function that the model is told about.
public struct Tool: Sendable {
  public var name: String
  public var description: String
  /// A JSON Schema of the arguments, as JSON text.
  public var parameters: String

  public init(name: String, description: String = "", parameters: String = "{}") {
    self.name = name
    self.description = description
    self.parameters = parameters
  }
}

/// A call of a tool, as a model asked for it.
public struct ToolCall: Sendable, Equatable {
  public var id: String
  public var name: String
  /// A JSON object, as JSON text.
  public var arguments: String

  public init(id: String, name: String, arguments: String) {
    self.id = id
    self.name = name
    self.arguments = arguments
  }
}

extension Message {
  var images: [ImageSource] {
    content.compactMap { if case .image(let source) = $0 { source } else { nil } }
  }

  var text: String {
    content.map { if case .text(let text) = $0 { text } else { "" } }.joined()
  }

  /// As the chat template sees it.
  fileprivate func forTemplate() throws(OccamError) -> ChatMessage {
    var members: [JSONMember] = []
    if !toolCalls.isEmpty {
      let calls = try toolCalls.map { call throws(OccamError) in try call.json() }
      members.append(JSONMember("tool_calls", .array(calls)))
    }
    if let reasoning { members.append(JSONMember("reasoning_content", .string(reasoning))) }
    if let toolCallID { members.append(JSONMember("tool_call_id", .string(toolCallID))) }
    if let name { members.append(JSONMember("name", .string(name))) }
    let parts = content.map { part -> ChatMessage.Part in
      switch part {
      case .text(let text): .text(text)
      case .image: .image
      }
    }
    return ChatMessage(role: role, content: parts, members: members)
  }
}

extension [Message] {
  func forTemplate() throws(OccamError) -> [ChatMessage] {
    try map { message throws(OccamError) in try message.forTemplate() }
  }
}

extension ToolCall {
  fileprivate func json() throws(OccamError) -> JSONValue {
    let function: JSONValue = [
      "name": .string(name), "arguments": try JSONText.object(arguments, of: "arguments of the call of '\(name)'"),
    ]
    return ["id": .string(id), "type": "function", "function": function]
  }
}

extension Tool {
  /// As OpenAI's API writes it, which is what chat templates expect.
  func json() throws(OccamError) -> JSONValue {
    let function: JSONValue = [
      "name": .string(name), "description": .string(description),
      "parameters": try JSONText.object(parameters, of: "parameters of the tool '\(name)'"),
    ]
    return ["type": "function", "function": function]
  }
}

/// JSON that comes as text.
enum JSONText {
  /// - Parameter subject: for the error.
  static func object(_ text: String, of subject: String) throws(OccamError) -> JSONValue {
    let value: JSONValue
    do { value = try JSONValue(parsing: text) } catch {
      throw OccamError(.invalidOption, subject, "is not JSON: \(error)")
    }
    guard case .object = value else {
      throw OccamError(.invalidOption, subject, "is \(value.kindName), not a JSON object")
    }
    return value
  }
}
