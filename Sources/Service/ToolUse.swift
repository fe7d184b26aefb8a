import Occam
import OccamCore

/// What a request offers of tools, and how the model is made to ask for them.
///
/// Templates that have a notation for calls are told of the tools themselves. All other models are told in words, and a
/// schema holds their reply to one of two objects: an answer, or calls.
package struct ToolUse: Sendable {
  package enum Choice: Sendable, Equatable {
    case auto, none
    /// One of the tools at least.
    case required
    /// This one.
    case tool(String)
  }

  package let tools: [Tool]
  package let isRequired: Bool
  package let allowsSeveral: Bool
  package let notation: CallNotation

  /// nil: none are offered, or the request forbids their use.
  package init?(
    _ tools: [Tool], choice: Choice, allowsSeveral: Bool, template: String?
  ) throws(ServiceError) {
    guard !tools.isEmpty else { return nil }
    switch choice {
    case .none: return nil
    case .auto, .required: self.tools = tools
    case .tool(let name):
      self.tools = tools.filter { $0.name == name }
      guard !self.tools.isEmpty else { throw .invalid("'tool_choice' names '\(name)', which is none of 'tools'") }
    }
    isRequired = choice != .auto
    self.allowsSeveral = allowsSeveral
    notation = isRequired ? .json : .of(template: template)
  }

  /// As OpenAI's APIs say it.
  package init?(_ fields: Fields, _ tools: [Tool], template: String?) throws(ServiceError) {
    let choice: Choice
    switch fields["tool_choice"] {
    case nil, .some(.string("auto")): choice = .auto
    case .some(.string("none")): choice = .none
    case .some(.string("required")): choice = .required
    case .some(let value):
      guard let name = value["function"]?["name"]?.stringValue ?? value["name"]?.stringValue else {
        throw .invalid("'tool_choice' is not \"auto\", \"none\", \"required\" or a function's name")
      }
      choice = .tool(name)
    }
    try self.init(
      tools, choice: choice, allowsSeveral: try fields.bool("parallel_tool_calls") ?? false, template: template)
  }

  /// Tells the model of the tools, and holds its reply to what can be read back.
  package func prepare(_ messages: [Message], _ options: inout GenerationOptions) throws(ServiceError) -> [Message] {
    if notation != .json {
      options.tools = tools
      options.shownTokens += notation.tokens
      return messages
    }
    guard options.format == .text else { throw .invalid("'tools' and a format of the reply exclude each other here") }
    options.format = .schema(schema.text())
    let told = messages.map(ToolUse.inWords)
    guard told.first?.role == "system" else { return [.system(instructions)] + told }
    var first = told[0]
    first.content.append(.text("\n\n" + instructions))
    return [first] + told.dropFirst()
  }

  private var instructions: String {
    let list = tools.map { tool in
      let entry: JSONValue = [
        "name": .string(tool.name), "description": .string(tool.description),
        "parameters": (try? JSONValue(parsing: tool.parameters)) ?? [:],
      ]
      return entry.text()
    }
    let calls = #"{"tool_calls": [{"name": "...", "arguments": {...}}]}"#
    let answer = isRequired ? "" : #" Otherwise answer with {"response": "..."}."#
    return
      "You may call functions:\n\(list.joined(separator: "\n"))\nTo call, reply with \(calls) and nothing else.\(answer)"
  }

  private var schema: JSONValue {
    var definitions: [JSONMember] = []
    let calls = tools.enumerated().map { index, tool -> JSONValue in
      let parameters = (try? JSONValue(parsing: tool.parameters)) ?? ["type": "object"]
      let place = "#/$defs/tool\(index)"
      definitions.append(JSONMember("tool\(index)", ToolUse.moved(parameters, to: place)))
      return [
        "type": "object",
        "properties": ["name": ["const": .string(tool.name)], "arguments": ["$ref": .string(place)]],
        "required": ["name", "arguments"],
      ]
    }
    let list: JSONValue = [
      "type": "array", "items": ["anyOf": .array(calls)], "minItems": 1, "maxItems": allowsSeveral ? 16 : 1,
    ]
    let asking: JSONValue = ["type": "object", "properties": ["tool_calls": list], "required": ["tool_calls"]]
    if isRequired { return ["anyOf": [asking], "$defs": .object(definitions)] }
    let answering: JSONValue = [
      "type": "object", "properties": ["response": ["type": "string"]], "required": ["response"],
    ]
    return ["anyOf": [asking, answering], "$defs": .object(definitions)]
  }

  /// A schema whose references within itself are right where it stands in another. What is below `properties` and the
  /// like are names, not keywords; below `enum` and the like are no schemas.
  private static func moved(_ schema: JSONValue, to place: String, areNames: Bool = false) -> JSONValue {
    switch schema {
    case .array(let elements): return .array(elements.map { moved($0, to: place) })
    case .object(let members):
      return .object(
        members.map { member in
          let value = member.value
          if areNames { return JSONMember(member.name, moved(value, to: place)) }
          switch member.name {
          case "$ref":
            guard let target = value.stringValue, target.hasPrefix("#") else { return member }
            return JSONMember(member.name, .string(place + target.dropFirst()))
          case "const", "enum", "default", "example", "examples": return member
          case "properties", "$defs", "definitions":
            return JSONMember(member.name, moved(value, to: place, areNames: true))
          default: return JSONMember(member.name, moved(value, to: place))
          }
        })
    default: return schema
    }
  }

  /// Calls and their results as text, for templates that know nothing of them.
  private static func inWords(_ message: Message) -> Message {
    if message.role == "tool" {
      let name = message.name.map { " of \($0)" } ?? ""
      return Message(role: "user", content: [.text("Result\(name):\n")] + message.content)
    }
    guard !message.toolCalls.isEmpty else { return message }
    let calls = message.toolCalls.map { call -> JSONValue in
      ["name": .string(call.name), "arguments": (try? JSONValue(parsing: call.arguments)) ?? [:]]
    }
    let asked: JSONValue = ["tool_calls": .array(calls)]
    return Message(role: "assistant", content: message.content + [.text(asked.text())])
  }

  /// What stands between the marks of a call.
  func call(in body: String) -> ToolCall? {
    switch notation {
    case .hermes: (try? JSONValue(parsing: body)).flatMap(ToolUse.call)
    case .functions: FunctionCall.read(body, tools)
    case .gemma: GemmaCall.read(body)
    case .json: nil
    }
  }

  static func call(_ value: JSONValue) -> ToolCall? {
    guard let name = value["name"]?.stringValue else { return nil }
    let arguments = value["arguments"] ?? value["parameters"] ?? [:]
    return ToolCall(
      id: ReplyIdentity.random("call_"), name: name, arguments: arguments.stringValue ?? arguments.text())
  }
}
