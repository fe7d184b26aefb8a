import OccamCore
import Testing

extension ServiceDrills {
  /// Calls of tools in the words of each API, whole and streamed, and their results given back.
  @Suite(.serialized) struct Tools {
    private let service: ServiceUnderTest
    private static let colours: JSONValue = [
      "type": "object", "properties": ["colour": ["enum": ["red", "blue"]]], "required": ["colour"],
      "additionalProperties": false,
    ]

    init() throws { service = try Drill.service() }

    /// What the schema allows, and nothing else.
    private func check(_ arguments: String?, location: SourceLocation = #_sourceLocation) throws {
      let value = try JSONValue(parsing: try #require(arguments, sourceLocation: location))
      #expect(["red", "blue"].contains(value.text("colour")), sourceLocation: location)
    }

    @Test func chatCompletions() throws {
      let function: JSONValue = ["name": "paint", "description": "Paints.", "parameters": Tools.colours]
      let body = Drill.chat("Paint it", tokens: 60).with([
        ("tools", [["type": "function", "function": function]]), ("tool_choice", "required"),
      ])
      let message = try #require(try service.answer("/v1/chat/completions", body)[path: "choices.0.message"])
      #expect(message["content"] == .null && message.text("tool_calls.0.function.name") == "paint")
      try check(message.text("tool_calls.0.function.arguments"))
      let events = try service.events("/v1/chat/completions", body).filter { $0.data != "[DONE]" }
      let chunks = try events.map { try JSONValue(parsing: $0.data) }
      #expect(chunks.last?.text("choices.0.finish_reason") == "tool_calls")
      let calls = chunks.compactMap { $0[path: "choices.0.delta.tool_calls.0"] }
      #expect(calls.count == 1 && calls.first?.int("index") == 0)
      #expect(calls.first?.text("function.arguments") == message.text("tool_calls.0.function.arguments"))
      // The result of the call goes back.
      let id = try #require(message.text("tool_calls.0.id"))
      let next = body.with([
        ("tool_choice", "auto"),
        (
          "messages",
          [
            ["role": "user", "content": "Paint it"], message,
            ["role": "tool", "tool_call_id": .string(id), "content": "ok"],
          ]
        ),
      ])
      #expect(try service.post("/v1/chat/completions", next).status == 200)
      #expect(try service.post("/v1/chat/completions", body.with("tool_choice", nil)).status == 200)
      let none = body.with("tool_choice", "none")
      #expect(try service.answer("/v1/chat/completions", none).text("choices.0.message.content") != nil)
    }

    @Test func responses() throws {
      let body: JSONValue = [
        "input": "Paint it", "max_output_tokens": 60, "temperature": 0, "tool_choice": "required",
        "tools": [["type": "function", "name": "paint", "parameters": Tools.colours]],
      ]
      let answer = try service.answer("/v1/responses", body)
      let call = try #require(answer["output"]?.arrayValue?.last)
      #expect(call.text("type") == "function_call" && call.text("name") == "paint")
      try check(call.text("arguments"))
      let events = try service.events("/v1/responses", body).map { ($0.name ?? "", try JSONValue(parsing: $0.data)) }
      #expect(
        events.map(\.0) == [
          "response.created", "response.in_progress", "response.output_item.added",
          "response.function_call_arguments.delta", "response.function_call_arguments.done",
          "response.output_item.done", "response.completed",
        ])
      #expect(events.enumerated().allSatisfy { $1.1.int("sequence_number") == $0 })
      #expect(events.last?.1.text("response.output.0.arguments") == call.text("arguments"))
      let id = try #require(call.text("call_id"))
      let next = body.with([
        ("tool_choice", "auto"),
        (
          "input",
          [
            ["role": "user", "content": "Paint it"], call,
            ["type": "function_call_output", "call_id": .string(id), "output": "ok"],
          ]
        ),
      ])
      #expect(try service.post("/v1/responses", next).status == 200)
      #expect(try service.post("/v1/responses", body.with("previous_response_id", "resp_1")).status == 400)
      #expect(try service.post("/v1/responses", body.with("tools", [["type": "web_search"]])).status == 400)
    }

    @Test func messages() throws {
      let body: JSONValue = [
        "messages": [["role": "user", "content": "Paint it"]], "max_tokens": 60, "temperature": 0,
        "tools": [["name": "paint", "input_schema": Tools.colours]], "tool_choice": ["type": "any"],
      ]
      let answer = try service.answer("/v1/messages", body)
      #expect(answer.text("stop_reason") == "tool_use")
      let block = try #require(answer["content"]?.arrayValue?.last)
      #expect(block.text("type") == "tool_use" && block.text("name") == "paint")
      try check(block["input"]?.text())
      let events = try service.events("/v1/messages", body).map { ($0.name ?? "", try JSONValue(parsing: $0.data)) }
      #expect(
        events.map(\.0) == [
          "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
          "message_stop",
        ])
      #expect(events[1].1.text("content_block.type") == "tool_use")
      try check(events[2].1.text("delta.partial_json"))
      #expect(events[4].1.text("delta.stop_reason") == "tool_use")
      let id = try #require(block.text("id"))
      let result: JSONValue = ["type": "tool_result", "tool_use_id": .string(id), "content": "ok"]
      let next = body.with([
        ("tool_choice", ["type": "auto"]),
        (
          "messages",
          [
            ["role": "user", "content": "Paint it"], ["role": "assistant", "content": [block]],
            ["role": "user", "content": [result, ["type": "text", "text": "And now?"]]],
          ]
        ),
      ])
      #expect(try service.post("/v1/messages", next).status == 200)
      #expect(try service.answer("/v1/messages/count_tokens", next).int("input_tokens") ?? 0 > 20)
      for choice: JSONValue in [["type": "all"], ["type": "tool"], ["type": "tool", "name": "fly"], "any"] {
        #expect(try service.post("/v1/messages", body.with("tool_choice", choice)).status == 400)
      }
    }
  }
}
