import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// What each endpoint answers.
  @Suite(.serialized) struct Answers {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    /// What occam-run prints is a session's reply to the same words.
    @Test func greedyTextsAreALibrarySessions() throws {
      for question in try Drill.questions() {
        let expected = try Drill.model().makeSession().respond(
          to: question.text, images: [.file(question.picture)], options: Drill.greedy)
        let reply = try service.answer("/v1/chat/completions", try question.chat())
        #expect(reply.text("choices.0.message.content") == expected.text, "\(question.text)")
        #expect(reply.text("choices.0.message.role") == "assistant")
        #expect(reply.text("choices.0.finish_reason") == "stop")
        #expect(reply.int("choices.0.index") == 0)
        #expect(reply.int("usage.prompt_tokens") == expected.promptTokens)
        #expect(reply.int("usage.completion_tokens") == expected.generatedTokens)
        #expect(reply.int("usage.total_tokens") == expected.promptTokens + expected.generatedTokens)
        #expect(reply.text("object") == "chat.completion")
        #expect(reply.text("id")?.hasPrefix("chatcmpl-") == true)
        #expect(reply.text("model") == "scenes-Q8_0.gguf")
        #expect(reply.int("timings.predicted_n") == expected.generatedTokens)
        #expect(reply.int("occam.pruning.0.kept") == expected.pruning.first?.kept)
      }
    }

    @Test func streamedChatsAreTheWholeOnes() throws {
      for question in try Drill.questions().prefix(4) {
        let whole = try service.answer("/v1/chat/completions", try question.chat())
        let events = try service.events(
          "/v1/chat/completions", try question.chat().with("stream_options", ["include_usage": true]))
        #expect(events.last?.data == "[DONE]")
        let chunks = try events.dropLast().map { try $0.json }
        #expect(chunks.allSatisfy { $0.text("object") == "chat.completion.chunk" })
        #expect(chunks.first?.text("choices.0.delta.role") == "assistant")
        let text = chunks.compactMap { $0.text("choices.0.delta.content") }.joined()
        #expect(text == whole.text("choices.0.message.content"))
        let reasons = chunks.compactMap { $0.text("choices.0.finish_reason") }
        #expect(reasons == ["stop"])
        let usage = chunks.last?["usage"]
        #expect(chunks.last?["choices"] == [])
        for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
          #expect(usage?.int(name) == whole.int("usage.\(name)"), "\(name)")
        }
        #expect(Set(chunks.compactMap { $0.text("id") }).count == 1)
      }
    }

    @Test func streamedCompletionsAreTheWholeOnes() throws {
      let body: JSONValue = ["prompt": "USER: What do you see? ASSISTANT:", "max_tokens": 24, "temperature": 0]
      let whole = try service.answer("/v1/completions", body)
      #expect(whole.text("object") == "text_completion")
      let text = try #require(whole.text("choices.0.text"))
      #expect(!text.isEmpty)
      let chunks = try service.events("/v1/completions", body.with("stream_options", ["include_usage": true]))
      #expect(chunks.last?.data == "[DONE]")
      let values = try chunks.dropLast().map { try $0.json }
      #expect(values.compactMap { $0.text("choices.0.text") }.joined() == text)
      let reasons = values.compactMap { $0.text("choices.0.finish_reason") }
      #expect(reasons == [whole.text("choices.0.finish_reason")])
      #expect(
        values.last?["choices"] == [] && values.last?["usage"]?.int("total_tokens") == whole.int("usage.total_tokens"))
      // llama-server's own endpoint runs the same words to the same tokens.
      let own = try service.answer(
        "/completion", ["prompt": "USER: What do you see? ASSISTANT:", "n_predict": 24, "temperature": 0])
      #expect(own.text("content") == text)
    }

    @Test func llamaCompletionHasItsShape() throws {
      let question = try Drill.question()
      let body: JSONValue = [
        "prompt": [
          "prompt_string": .string("USER: <__media__>\n\(question.text) ASSISTANT:"),
          "multimodal_data": [.string(Drill.base64(try question.bytes()))],
        ], "temperature": 0, "n_predict": 40, "return_tokens": true,
      ]
      let whole = try service.answer("/completion", body)
      let expected = try Drill.model().makeSession().respond(
        to: question.text, images: [.file(question.picture)], options: Drill.greedy)
      // Around a conversation's reply the template may put spaces that a raw prompt has not.
      #expect(whole.text("content")?.split(separator: " ") == expected.text.split(separator: " "))
      #expect(whole["stop"] == true && whole.text("stop_type") == "eos" && whole["truncated"] == false)
      #expect(whole.int("tokens_predicted") == whole["tokens"]?.arrayValue?.count)
      #expect(whole.text("generation_settings.samplers.0") == "penalties")
      let events = try service.events("/completion", body).map { try $0.json }
      #expect(events.compactMap { $0.text("content") }.joined() == whole.text("content"))
      #expect(events.dropLast().allSatisfy { $0["stop"] == false } && events.last?["stop"] == true)
      #expect(events.last?.int("tokens_predicted") == whole.int("tokens_predicted"))
      #expect(events.last?.int("tokens_evaluated") == whole.int("tokens_evaluated"))
    }

    @Test func responsesAreStreamedAsTheyAreWhole() throws {
      let question = try Drill.question(1)
      let body: JSONValue = [
        "input": [
          [
            "role": "user",
            "content": [
              ["type": "input_image", "image_url": .string(try question.url())],
              ["type": "input_text", "text": .string(question.text)],
            ],
          ]
        ], "temperature": 0, "max_output_tokens": 40,
      ]
      let chat = try service.answer("/v1/chat/completions", try question.chat())
      let whole = try service.answer("/v1/responses", body)
      let text = try #require(whole.text("output.0.content.0.text"))
      #expect(text == chat.text("choices.0.message.content"))
      #expect(whole.text("status") == "completed" && whole.text("object") == "response")
      #expect(whole.int("usage.input_tokens") == chat.int("usage.prompt_tokens"))
      let events = try service.events("/v1/responses", body)
      let values = try events.map { try $0.json }
      #expect(zip(events, values).allSatisfy { $0.name == $1.text("type") })
      #expect(values.compactMap { $0.int("sequence_number") } == Array(0..<values.count))
      #expect(values.compactMap { $0.text("delta") }.joined() == text)
      #expect(values.first?.text("type") == "response.created")
      #expect(values.last?.text("type") == "response.completed")
      #expect(values.last?.text("response.output.0.content.0.text") == text)
      let short = try service.answer("/v1/responses", body.with("max_output_tokens", 1))
      #expect(short.text("status") == "incomplete")
      #expect(short.text("incomplete_details.reason") == "max_output_tokens")
      let cut = try service.events("/v1/responses", body.with("max_output_tokens", 1))
      #expect(cut.last?.name == "response.incomplete")
    }

    @Test func messagesAreStreamedAsTheyAreWhole() throws {
      func prompt(_ value: JSONValue, _ usage: String) -> Int? {
        guard let input = value.int("\(usage).input_tokens") else { return nil }
        return value.int("\(usage).cache_read_input_tokens").map { input + $0 }
      }
      let question = try Drill.question(2)
      let source: JSONValue = [
        "type": "base64", "media_type": "image/png", "data": .string(Drill.base64(try question.bytes())),
      ]
      let content: JSONValue = [
        ["type": "image", "source": source], ["type": "text", "text": .string(question.text)],
      ]
      let body: JSONValue = [
        "model": "claude", "max_tokens": 40, "temperature": 0, "messages": [["role": "user", "content": content]],
      ]
      let chat = try service.answer("/v1/chat/completions", try question.chat())
      let whole = try service.answer("/v1/messages", body)
      let text = try #require(whole.text("content.0.text"))
      #expect(text == chat.text("choices.0.message.content"))
      #expect(whole.text("type") == "message" && whole.text("stop_reason") == "end_turn")
      #expect(whole.text("model") == "claude")
      #expect(prompt(whole, "usage") == chat.int("usage.prompt_tokens"))
      let counted = try service.answer("/v1/messages/count_tokens", body)
      #expect(counted.int("input_tokens") == prompt(whole, "usage"))
      let events = try service.events("/v1/messages", body)
      let names = events.compactMap(\.name)
      #expect(names.prefix(3) == ["message_start", "content_block_start", "content_block_delta"])
      #expect(names.suffix(3) == ["content_block_stop", "message_delta", "message_stop"])
      let values = try events.map { try $0.json }
      #expect(values.compactMap { $0.text("delta.text") }.joined() == text)
      // Both say the prompt, and what of it the KV cache held.
      #expect(try prompt(#require(values.first), "message.usage") == counted.int("input_tokens"))
      #expect(try prompt(#require(values.dropLast().last), "usage") == counted.int("input_tokens"))
      #expect(values.dropLast().last?.int("usage.output_tokens") == whole.int("usage.output_tokens"))
      let short = try service.answer("/v1/messages", body.with("max_tokens", 1))
      #expect(short.text("stop_reason") == "max_tokens")
    }
  }
}
