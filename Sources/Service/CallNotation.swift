import Occam
import OccamCore

/// How a model writes its calls.
package enum CallNotation: Sendable, Equatable {
  /// `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`: Hermes, Qwen2.5 and Qwen3.
  case hermes
  /// `<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`: Qwen3.5, Qwen3-Coder.
  case functions
  /// `<|tool_call>call:name{key:<|"|>value<|"|>}<tool_call|>`: Gemma 4.
  case gemma
  /// The reply is JSON by a schema: for all others, and where a call is required.
  case json

  package static func of(template: String?) -> CallNotation {
    guard let template else { return .json }
    if template.contains("<|tool_call>call:") { return .gemma }
    guard template.contains("<tool_call>") else { return .json }
    return template.contains("<function=") ? .functions : .hermes
  }

  /// What stands around a call.
  var marks: (open: String, close: String)? {
    switch self {
    case .hermes, .functions: ("<tool_call>", "</tool_call>")
    case .gemma: ("<|tool_call>", "<tool_call|>")
    case .json: nil
    }
  }

  /// Control tokens of the notation, which no text shows otherwise.
  var tokens: [String] {
    switch self {
    case .hermes, .functions: ["<tool_call>", "</tool_call>"]
    case .gemma: ["<|tool_call>", "<tool_call|>", GemmaCall.quote]
    case .json: []
    }
  }
}

/// A call as Qwen3.5 writes it. Its values are bare text: what they are is told by the function's parameters.
enum FunctionCall {
  static func read(_ body: String, _ tools: [Tool]) -> ToolCall? {
    guard let (name, rest) = header(body[...], "<function=") else { return nil }
    let text = tools.first { $0.name == name }?.parameters
    let properties = text.flatMap { try? JSONValue(parsing: $0) }?["properties"]
    var members: [JSONMember] = []
    var at = rest
    while let (key, behind) = header(at, "<parameter=") {
      let end = behind.firstRange(of: "</parameter>")
      var value = behind[..<(end?.lowerBound ?? behind.endIndex)]
      // One line end belongs to each mark.
      if value.first?.isNewline == true { value = value.dropFirst() }
      if value.last?.isNewline == true { value = value.dropLast() }
      members.append(JSONMember(key, typed(String(value), properties?[key])))
      at = behind[(end?.upperBound ?? behind.endIndex)...]
    }
    return ToolCall(id: ReplyIdentity.random("call_"), name: name, arguments: JSONValue.object(members).text())
  }

  /// `<function=NAME>`: the name, and what stands behind.
  private static func header(_ text: Substring, _ open: String) -> (name: String, rest: Substring)? {
    guard let start = text.firstRange(of: open) else { return nil }
    let behind = text[start.upperBound...]
    guard let end = behind.firstIndex(of: ">") else { return nil }
    return (String(behind[..<end]), behind[behind.index(after: end)...])
  }

  private static func typed(_ value: String, _ schema: JSONValue?) -> JSONValue {
    let types = schema?["type"]?.arrayValue ?? (schema?["type"]).map { [$0] } ?? []
    if types.isEmpty || types.contains("string") { return .string(value) }
    // Templates print Python's words.
    let words = ["True": "true", "False": "false", "None": "null"]
    return (try? JSONValue(parsing: words[value] ?? value)) ?? .string(value)
  }
}
