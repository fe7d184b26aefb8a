import Occam
import OccamCore
import OccamService
import Testing

/// Tools: what the model is told, and calls read back out of what it says.
@Suite struct ToolUseTests {
  private static let hermes = "{% for m in messages %}...{{ '<tool_call>' }}{% endfor %}"

  private static func fields(_ text: String) throws -> Fields { try Fields(try JSONValue(parsing: text)) }

  private static let look = Tool(
    name: "look", description: "Looks.", parameters: #"{"type":"object","properties":{"n":{"type":"integer"}}}"#)
  private static let ask = Tool(name: "ask")

  private static func use(_ body: String, template: String? = nil) throws -> ToolUse? {
    try ToolUse(try fields(body), [look, ask], template: template)
  }

  @Test func choices() throws {
    #expect(try ToolUseTests.use(#"{"tool_choice":"none"}"#) == nil)
    #expect(try ToolUse(try ToolUseTests.fields("{}"), [], template: nil) == nil)
    let auto = try #require(try ToolUseTests.use("{}"))
    #expect(!auto.isRequired && auto.tools.count == 2 && !auto.allowsSeveral)
    let one = try #require(try ToolUseTests.use(#"{"tool_choice":{"type":"function","function":{"name":"ask"}}}"#))
    #expect(one.isRequired && one.tools.map(\.name) == ["ask"])
    #expect(throws: ServiceError.self) { try ToolUseTests.use(#"{"tool_choice":{"function":{"name":"fly"}}}"#) }
    #expect(throws: ServiceError.self) { try ToolUseTests.use(#"{"tool_choice":3}"#) }
  }

  /// Templates that know tools are told by themselves; others in words, behind a system prompt that is there.
  @Test func theModelIsTold() throws {
    var options = GenerationOptions()
    let native = try #require(try ToolUseTests.use("{}", template: ToolUseTests.hermes))
    let messages = try native.prepare([.user("x")], &options)
    #expect(messages.count == 1 && options.tools.count == 2 && options.format == .text)
    options = GenerationOptions()
    let told = try #require(try ToolUseTests.use("{}", template: "{{ messages }}"))
    let words = try told.prepare([.system("Be kind."), .user("x")], &options)
    #expect(words.count == 2 && words[0].role == "system" && options.tools.isEmpty)
    guard case .text(let system) = words[0].content[0], case .text(let instructions) = words[0].content[1] else {
      Issue.record("the system prompt is gone")
      return
    }
    #expect(system == "Be kind." && instructions.contains("\"look\"") && instructions.contains("\"ask\""))
    guard case .schema(let schema) = options.format else {
      Issue.record("the reply is free")
      return
    }
    #expect(schema.contains("response") && schema.contains("tool_calls"))
    #expect(throws: ServiceError.self) { try told.prepare([.user("x")], &options) }
    // One that must be called is held to a schema even where the template knows tools.
    var forced = GenerationOptions()
    let required = try #require(try ToolUseTests.use(#"{"tool_choice":"required"}"#, template: ToolUseTests.hermes))
    _ = try required.prepare([.user("x")], &forced)
    guard case .schema(let calls) = forced.format else {
      Issue.record("the reply is free")
      return
    }
    #expect(!calls.contains("response"))
  }

  /// Parameters that refer to their own definitions, as Pydantic writes nested models, still do within the whole.
  @Test func referencesOfParametersStay() throws {
    let parameters =
      ##"{"type":"object","properties":{"at":{"$ref":"#/$defs/Point"},"enum":{"$ref":"#"},"$ref":{"const":"#"}},"##
      + ##""$defs":{"Point":{"enum":[{"$ref":"#"}]}}}"##
    let told = try #require(
      try ToolUse(
        try ToolUseTests.fields("{}"), [ToolUseTests.look, Tool(name: "move", parameters: parameters)], template: nil))
    var options = GenerationOptions()
    _ = try told.prepare([.user("x")], &options)
    guard case .schema(let text) = options.format else {
      Issue.record("the reply is free")
      return
    }
    let moved = try JSONValue(parsing: text)["$defs"]?["tool1"]
    #expect(moved?["properties"]?["at"] == ["$ref": "#/$defs/tool1/$defs/Point"])
    #expect(moved?["properties"]?["enum"] == ["$ref": "#/$defs/tool1"])
    #expect(moved?["properties"]?["$ref"] == ["const": "#"])
    #expect(moved?["$defs"]?["Point"] == ["enum": [["$ref": "#"]]])
    #expect(text.contains(##""arguments":{"$ref":"#/$defs/tool1"}"##))
  }

  @Test func earlierCallsAreText() throws {
    var options = GenerationOptions()
    var asked = Message(role: "assistant", content: [])
    asked.toolCalls = [ToolCall(id: "1", name: "look", arguments: #"{"n":1}"#)]
    var answered = Message(role: "tool", content: [.text("a cat")])
    answered.name = "look"
    let told = try #require(try ToolUseTests.use("{}"))
    let messages = try told.prepare([.user("x"), asked, answered], &options)
    #expect(messages.map(\.role) == ["system", "user", "assistant", "user"])
    guard case .text(let call) = messages[2].content[0], case .text(let name) = messages[3].content[0] else {
      Issue.record("no text")
      return
    }
    #expect(call == #"{"tool_calls":[{"name":"look","arguments":{"n":1}}]}"# && name.contains("look"))
    #expect(messages[2].toolCalls.isEmpty)
  }
}
