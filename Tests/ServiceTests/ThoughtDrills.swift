import Occam
import OccamCore
import Testing

extension ServiceDrills {
  /// A model whose template lets it think: thoughts stand apart from the answer in each API, unless they are switched off.
  @Suite(.serialized) struct Thoughts {
    private let service: ServiceUnderTest
    private static let template = """
      {% for m in messages %}USER: {{ m['content'] }} {% endfor %}ASSISTANT:
      {%- if enable_thinking is not defined or enable_thinking %} <think>{% else %} <think></think>{% endif %}
      """

    init() throws {
      var options = ModelOptions(threads: 2)
      options.chatTemplate = Thoughts.template
      service = try ServiceUnderTest(
        try VisionLanguageModel(path: "\(Drill.scenes)/scenes-Q8_0.gguf", options: options))
    }

    @Test func chatCompletions() throws {
      let body = Drill.chat("What is red?")
      func message(_ members: [(String, JSONValue)]) throws -> JSONValue {
        try #require(
          try service.answer("/v1/chat/completions", body.with(members))[path: "choices.0.message"])
      }
      let thinking = try message([])
      #expect(thinking.text("content") == "" && thinking.text("reasoning_content")?.isEmpty == false)
      let chunks = try service.events("/v1/chat/completions", body).filter { $0.data != "[DONE]" }
        .map { try JSONValue(parsing: $0.data) }
      let told = chunks.compactMap { $0.text("choices.0.delta.reasoning_content") }.joined()
      #expect(told == thinking.text("reasoning_content"))
      for members: [(String, JSONValue)] in [
        [("reasoning_effort", "none")], [("chat_template_kwargs", ["enable_thinking": false])],
        [("reasoning_format", "none")],
      ] {
        let plain = try message(members)
        #expect(plain.text("content")?.isEmpty == false && plain["reasoning_content"] == nil)
      }
      // A grammar holds the reply from its beginning.
      let json = try message([("response_format", ["type": "json_object"]), ("max_tokens", 100)])
      #expect(json["reasoning_content"] == nil && json.text("content")?.hasPrefix("{") == true)
      let prompt = try service.answer("/apply-template", body.with("reasoning_effort", "none")).text("prompt")
      #expect(prompt == "USER: What is red? ASSISTANT: <think></think>")
    }

    @Test func responses() throws {
      let body: JSONValue = ["input": "What is red?", "max_output_tokens": 8, "temperature": 0]
      let answer = try service.answer("/v1/responses", body)
      #expect(answer.text("output.0.type") == "reasoning" && answer["output"]?.arrayValue?.count == 1)
      let names = try service.events("/v1/responses", body).map { $0.name ?? "" }
      #expect(names.contains("response.reasoning_text.delta") && !names.contains("response.output_text.delta"))
      let plain = try service.answer("/v1/responses", body.with("reasoning", ["effort": "none"]))
      #expect(plain.text("output.0.type") == "message")
      // The thoughts go back with the conversation.
      let item = try #require(answer[path: "output.0"])
      let next = body.with(
        "input",
        [
          ["role": "user", "content": "a"], item, ["role": "assistant", "content": "b"],
          ["role": "user", "content": "c"],
        ])
      #expect(try service.post("/v1/responses", next).status == 200)
    }

    @Test func messages() throws {
      let body: JSONValue = [
        "messages": [["role": "user", "content": "What is red?"]], "max_tokens": 8, "temperature": 0,
      ]
      let answer = try service.answer("/v1/messages", body)
      #expect(answer.text("content.0.type") == "thinking" && answer.text("content.0.thinking")?.isEmpty == false)
      let events = try service.events("/v1/messages", body).map { try JSONValue(parsing: $0.data) }
      #expect(events[1].text("content_block.type") == "thinking" && events[2].text("delta.type") == "thinking_delta")
      let plain = try service.answer("/v1/messages", body.with("thinking", ["type": "disabled"]))
      #expect(plain.text("content.0.type") == "text")
    }
  }
}
