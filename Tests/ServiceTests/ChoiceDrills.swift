import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Several replies to one request, and the forms that a prompt without a template may have.
  @Suite(.serialized) struct Choices {
    private let service: ServiceUnderTest
    private static let prompt = "USER: What do you see? ASSISTANT:"

    init() throws { service = try Drill.service() }

    private func completion(_ prompt: JSONValue, _ members: [(String, JSONValue)] = []) throws -> JSONValue {
      let body: JSONValue = ["prompt": prompt, "temperature": 0, "n_predict": 8, "ignore_eos": true]
      return try service.answer("/completion", body.with(members))
    }

    private func tokens(_ text: String) throws -> JSONValue {
      try #require(try service.answer("/tokenize", ["content": .string(text), "add_special": true])["tokens"])
    }

    /// Each choice is what a request of its own with its seed gets.
    @Test func choicesHaveSeedsOfTheirOwn() throws {
      let body = Drill.chat("Hello", tokens: 6).with([("temperature", 1.5), ("seed", 40), ("top_k", 0), ("min_p", 0)])
      let reply = try service.answer("/v1/chat/completions", body.with("n", 3))
      let choices = try #require(reply["choices"]?.arrayValue)
      #expect(choices.compactMap { $0.int("index") } == [0, 1, 2])
      let texts = choices.compactMap { $0.text("message.content") }
      for (index, text) in texts.enumerated() {
        let alone = try service.answer("/v1/chat/completions", body.with("seed", .integer(40 + index)))
        #expect(alone.text("choices.0.message.content") == text)
      }
      #expect(Set(texts).count > 1)
      let prompt = try #require(reply.int("usage.prompt_tokens"))
      #expect(reply.int("usage.completion_tokens") == 18 && reply.int("usage.total_tokens") == prompt + 18)
      let alone = try service.answer("/v1/chat/completions", body)
      #expect(alone.int("usage.prompt_tokens") == prompt)
    }

    @Test func choicesFollowEachOtherInAStream() throws {
      let body = Drill.chat("Hello", tokens: 5).with([("n", 2), ("stream_options", ["include_usage": true])])
      let whole = try service.answer("/v1/chat/completions", body)
      let events = try service.events("/v1/chat/completions", body)
      #expect(events.count { $0.data == "[DONE]" } == 1 && events.last?.data == "[DONE]")
      let values = try events.dropLast().map { try $0.json }
      for index in 0..<2 {
        let own = values.filter { $0.int("choices.0.index") == index }
        #expect(own.first?.text("choices.0.delta.role") == "assistant")
        #expect(own.last?.text("choices.0.finish_reason") == "length")
        let text = own.compactMap { $0.text("choices.0.delta.content") }.joined()
        #expect(text == whole.text("choices.\(index).message.content"))
      }
      let usages = values.compactMap { $0["usage"] }
      #expect(usages.count == 1 && usages.first == whole["usage"])
      #expect(Set(values.compactMap { $0.text("id") }).count == 1)
    }

    @Test func promptsMayBeTokens() throws {
      let expected = try #require(try completion(.string(Choices.prompt)).text("content"))
      let ids = try tokens(Choices.prompt)
      let reply = try completion(ids)
      #expect(reply.text("content") == expected && reply.text("prompt")?.hasSuffix(Choices.prompt) == true)
      let whole: JSONValue = ["prompt_string": .string(Choices.prompt)]
      for (list, count): (JSONValue, Int) in [
        ([ids], 1), ([ids, .string(Choices.prompt)], 2), ([.string(Choices.prompt), whole, ids], 3),
      ] {
        let reply = try completion(list)
        let replies = reply.arrayValue ?? [reply]
        #expect(replies.count == count && replies.allSatisfy { $0.text("content") == expected })
        #expect(replies.compactMap { $0.int("index") } == Array(0..<count))
        let choices = try service.answer(
          "/v1/completions", ["prompt": list, "temperature": 0, "max_tokens": 8, "ignore_eos": true])["choices"]
        #expect(choices?.arrayValue?.compactMap { $0.text("text") } == Array(repeating: expected, count: count))
      }
      // Tokens and texts in one prompt.
      let mixed = try #require(ids.arrayValue) + [.string(" a cup and"), 42]
      let read = try completion(.array(mixed)).int("tokens_evaluated")
      let added = try Drill.model().tokenize(" a cup and").count
      #expect(read == mixed.count - 1 + added)
    }

    @Test func promptsAndChoicesMultiply() throws {
      let body: JSONValue = [
        "prompt": ["a cup", "a red ball"], "n": 2, "max_tokens": 3, "ignore_eos": true, "seed": 1,
      ]
      let reply = try service.answer("/v1/completions", body)
      #expect(reply["choices"]?.arrayValue?.compactMap { $0.int("index") } == [0, 1, 2, 3])
      let each = try ["a cup", "a red ball"].map { text in
        try #require(
          try service.answer("/v1/completions", body.with([("prompt", .string(text)), ("n", 1)]))
            .int("usage.prompt_tokens"))
      }
      #expect(reply.int("usage.prompt_tokens") == each.reduce(0, +) && reply.int("usage.completion_tokens") == 12)
    }

    @Test func promptsThatAreNoneAreRefused() throws {
      let model = try Drill.model()
      for prompt: JSONValue in [
        [], [[]], [[[1]]], [1, nil], [1, true], [-1], [.integer(model.facts.vocabularySize)], [4_294_967_296, 1],
        .array(Array(repeating: "a", count: 129)), ["a", ["prompt_string": "<__media__>"]],
      ] {
        let reply = try service.post("/completion", ["prompt": prompt, "n_predict": 1])
        #expect(reply.status == 400, "\(prompt.text().prefix(100)): \(reply.status)")
      }
      let many: JSONValue = ["prompt": ["a", "b"], "n": 65, "max_tokens": 1]
      #expect(try service.post("/v1/completions", many).status == 400)
      let turns: JSONValue = [
        ["role": "user", "content": "a"], ["role": "assistant", "content": "b"], ["role": "assistant", "content": "c"],
      ]
      #expect(try service.post("/v1/chat/completions", ["messages": turns, "max_tokens": 1]).status == 400)
    }
  }
}
