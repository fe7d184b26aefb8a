import Glibc
import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// How a request shapes its reply.
  @Suite(.serialized) struct Sampling {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    private func completion(_ members: [(String, JSONValue)] = []) throws -> JSONValue {
      let body: JSONValue = ["prompt": "USER: What do you see? ASSISTANT:", "temperature": 0, "n_predict": 16]
      return try service.answer("/completion", body.with(members))
    }

    /// A description of several words.
    private func description() throws -> (question: Drill.Question, text: String) {
      let question = try #require(try Drill.questions().first { $0.text == "What do you see?" })
      let reply = try service.answer("/v1/chat/completions", try question.chat())
      return (question, try #require(reply.text("choices.0.message.content")))
    }

    @Test func seedsRepeatARepliesChoices() throws {
      func text(_ seed: Int) throws -> String {
        let members: [(String, JSONValue)] = [
          ("temperature", 1.5), ("top_k", 0), ("top_p", 1), ("min_p", 0), ("seed", .integer(seed)),
          ("ignore_eos", true),
        ]
        return try #require(try completion(members).text("content"))
      }
      #expect(try text(7) == text(7))
      #expect(try text(Int.max) == text(Int.max))
      #expect(Set(try (1...6).map(text)).count > 1)
      // -1 and none: another one each time.
      #expect(Set(try (1...6).map { _ in try text(-1) }).count > 1)
    }

    @Test func repliesEndBeforeStopStrings() throws {
      let (question, text) = try description()
      let words = text.split(separator: " ").map(String.init)
      #expect(words.count >= 4)
      let stop = " \(words[2])"
      let before = try #require(text.firstRange(of: stop)).lowerBound
      let expected = String(text[..<before])
      for list: JSONValue in [.string(stop), [.string("never to be seen"), .string(stop)]] {
        let reply = try service.answer("/v1/chat/completions", try question.chat().with("stop", list))
        #expect(reply.text("choices.0.message.content") == expected)
        #expect(reply.text("choices.0.finish_reason") == "stop")
        let events = try service.events("/v1/chat/completions", try question.chat().with("stop", list))
        let streamed = try events.dropLast().compactMap { try $0.json.text("choices.0.delta.content") }.joined()
        #expect(streamed == expected)
      }
      let message = try service.answer(
        "/v1/messages",
        [
          "max_tokens": 40, "temperature": 0, "stop_sequences": [.string(stop)],
          "messages": [
            [
              "role": "user",
              "content": [
                [
                  "type": "image",
                  "source": ["type": "base64", "data": .string(Drill.base64(try question.bytes()))],
                ], ["type": "text", "text": .string(question.text)],
              ],
            ]
          ],
        ])
      #expect(message.text("content.0.text") == expected)
      #expect(message.text("stop_reason") == "stop_sequence" && message.text("stop_sequence") == stop)
      let empty = try service.answer("/v1/chat/completions", try question.chat().with("stop", [""]))
      #expect(empty.text("choices.0.message.content") == text)
    }

    @Test func biasForbidsAndForcesTokens() throws {
      let first = try #require(try completion([("return_tokens", true)]).int("tokens.0"))
      let name = "\(first)"
      for bias: JSONValue in [
        .object([JSONMember(name, -1000)]), [[.integer(first), false]], [[.integer(first), -1000]],
        .object([JSONMember(name, -1e300)]),
      ] {
        let reply = try completion([("logit_bias", bias), ("return_tokens", true)])
        #expect(reply["tokens"]?.arrayValue?.contains(.integer(first)) == false, "\(bias.text())")
      }
      for bias: Double in [1e4, 1e300] {
        let reply = try completion([("logit_bias", [[.integer(first), .number(bias)]]), ("return_tokens", true)])
        #expect(reply["tokens"] == .array(Array(repeating: .integer(first), count: 16)))
      }
      // Whatever is no token biases nothing.
      let plain = try completion().text("content")
      #expect(try completion([("logit_bias", ["99999": 100, "-7": 100])]).text("content") == plain)
      let hot = try completion([("logit_bias", [[.integer(first), 1e300]]), ("temperature", 1)])
      #expect(hot.int("tokens_predicted") == 16)
    }

    @Test func probabilitiesAreThoseOfATrueDistribution() throws {
      let reply = try completion([("n_probs", 5)])
      let tokens = try #require(reply["completion_probabilities"]?.arrayValue)
      #expect(tokens.count == reply.int("tokens_predicted"))
      for token in tokens {
        let top = try #require(token["top_logprobs"]?.arrayValue)
        let values = top.compactMap { $0["logprob"]?.doubleValue }
        #expect(values.count == 5 && values == values.sorted(by: >))
        // Greedy: the likeliest is the one taken.
        #expect(top.first?.int("id") == token.int("id"))
        #expect(abs((token["logprob"]?.doubleValue ?? 1) - values[0]) < 1e-6)
        #expect(values.reduce(0) { $0 + exp($1) } <= 1.0001)
      }
      let chat = try service.answer(
        "/v1/chat/completions", Drill.chat("Hello").with([("logprobs", true), ("top_logprobs", 3)]))
      let content = try #require(chat[path: "choices.0.logprobs.content"]?.arrayValue)
      #expect(content.count == chat.int("usage.completion_tokens"))
      #expect(content.allSatisfy { $0["top_logprobs"]?.arrayValue?.count == 3 })
      let streamed = try service.events(
        "/v1/chat/completions", Drill.chat("Hello").with([("logprobs", true), ("top_logprobs", 3)])
      ).dropLast().map { try $0.json }
      let entries = streamed.flatMap { $0[path: "choices.0.logprobs.content"]?.arrayValue ?? [] }
      #expect(entries.compactMap { $0.int("id") } == content.compactMap { $0.int("id") })
    }

    @Test func withoutAnEndALimitIsReached() throws {
      for tokens in [1, 30] {
        let reply = try service.answer("/v1/chat/completions", Drill.chat("Hello", tokens: tokens))
        #expect(reply.int("usage.completion_tokens") == tokens)
        #expect(reply.text("choices.0.finish_reason") == "length")
      }
      for name in ["max_tokens", "max_completion_tokens", "n_predict"] {
        let body = Drill.chat("Hello").with([("max_tokens", nil), (name, 5)])
        #expect(try service.answer("/v1/chat/completions", body).int("usage.completion_tokens") == 5)
      }
      #expect(try completion([("ignore_eos", true), ("n_predict", 9)]).text("stop_type") == "limit")
    }

    @Test func anAssistantsBeginningIsGoneOnWith() throws {
      let question = try description().question
      // Pruning keeps what the prompt's last words look for, and the beginning is among those.
      let chat = try question.chat().with("occam", ["prune": "off"])
      let text = try #require(try service.answer("/v1/chat/completions", chat).text("choices.0.message.content"))
      let words = text.split(separator: " ")
      #expect(words.count > 4)
      // As it was said, the space in front included.
      let beginning = " \(words.prefix(3).joined(separator: " "))"
      let body = chat.with(
        "messages", [try question.message(), ["role": "assistant", "content": .string(beginning)]])
      let rest = try #require(try service.answer("/v1/chat/completions", body).text("choices.0.message.content"))
      #expect(beginning + rest == text)
    }

    @Test func promptsThatDoNotFitAreRefused() throws {
      let long = String(repeating: "cup ", count: 3000)
      for (path, body): (String, JSONValue) in [
        ("/v1/chat/completions", Drill.chat(long)), ("/v1/completions", ["prompt": .string(long)]),
        ("/completion", ["prompt": .string(long)]), ("/v1/responses", ["input": .string(long)]),
        ("/v1/messages", ["messages": [["role": "user", "content": .string(long)]], "max_tokens": 4]),
      ] {
        let reply = try service.post(path, body.with("stream", true))
        #expect(reply.status == 400, "\(path)")
        #expect(try reply.json.text("error.type") == "exceed_context_size_error", "\(path)")
      }
    }

    @Test func aReplyThatFillsTheContextEndsWithLength() throws {
      let small = try ServiceUnderTest(try Drill.model()) { $0.session.contextLength = 64 }
      let body = Drill.chat("Hello").with("max_tokens", nil)
      let reply = try small.answer("/v1/chat/completions", body)
      #expect(reply.text("choices.0.finish_reason") == "length")
      // The last token needs no place.
      #expect([64, 65].contains(reply.int("usage.total_tokens")), "\(reply.text())")
      let events = try small.events("/v1/chat/completions", body)
      #expect(events.last?.data == "[DONE]")
      let text = try events.dropLast().compactMap { try $0.json.text("choices.0.delta.content") }.joined()
      #expect(text == reply.text("choices.0.message.content"))
      #expect(try small.post("/v1/chat/completions", try Drill.question().chat()).status == 400, "144 visual tokens")
    }

    @Test func probabilitiesAreOfTokensNotOfPieces() throws {
      let model = try Drill.model()
      let body = Drill.chat("Hello", tokens: 12).with([
        ("temperature", 3), ("seed", 9), ("ignore_eos", true), ("logprobs", true), ("top_logprobs", 3),
      ])
      func check(_ entries: [JSONValue]) throws {
        #expect(entries.count == 12)
        let alternatives = entries.flatMap { $0["top_logprobs"]?.arrayValue ?? [] }
        #expect(alternatives.count == 36)
        for (index, entry) in (entries + alternatives).enumerated() {
          let id = Int32(try #require(entry.int("id")))
          let bytes = try #require(entry["bytes"]?.arrayValue).compactMap { $0.intValue.map { UInt8($0) } }
          // The end says nothing where it was drawn.
          let isSilent = index < entries.count && model.facts.endTokens.contains(id)
          #expect(bytes == (isSilent ? [] : model.bytes(ofToken: id)))
          #expect(entry.text("token") == String(decoding: bytes, as: UTF8.self))
        }
      }
      let chat = try service.answer("/v1/chat/completions", body)
      try check(try #require(chat[path: "choices.0.logprobs.content"]?.arrayValue))
      let raw: JSONValue = ["prompt": "USER: Hello ASSISTANT:", "max_tokens": 12, "ignore_eos": true, "logprobs": 3]
      let whole = try service.answer("/v1/completions", raw.with("temperature", 0))
      try check(try #require(whole[path: "choices.0.logprobs.content"]?.arrayValue))
      let chunks = try service.events("/v1/completions", raw.with("temperature", 0)).dropLast().map { try $0.json }
      try check(chunks.flatMap { $0[path: "choices.0.logprobs.content"]?.arrayValue ?? [] })
    }

    @Test func cutRepliesSayWhatTheyAre() throws {
      let body: JSONValue = [
        "input": "Hello", "max_output_tokens": 2, "ignore_eos": true, "temperature": 0, "instructions": "Be short.",
        "parallel_tool_calls": true,
      ]
      let whole = try service.answer("/v1/responses", body)
      let last = try #require(try service.events("/v1/responses", body).last)
      #expect(last.name == "response.incomplete")
      for response in [whole, try #require(try last.json["response"])] {
        #expect(response.text("status") == "incomplete" && response.text("output.0.status") == "incomplete")
        #expect(response.text("instructions") == "Be short." && response["parallel_tool_calls"] == true)
      }
    }

    @Test func anthropicsStreamsNameAllTheirEvents() throws {
      let fresh = try ServiceUnderTest(try Drill.model()) { $0.imageCacheBytes = 0 }
      let question = try Drill.question(5)
      let source: JSONValue = ["type": "base64", "data": .string(Drill.base64(try question.bytes()))]
      let content: JSONValue = [
        ["type": "image", "source": source], ["type": "text", "text": .string(question.text)],
      ]
      let body: JSONValue = [
        "messages": [["role": "user", "content": content]], "max_tokens": 4, "temperature": 0,
        "occam": ["progress": true, "keep_map": true],
      ]
      let events = try fresh.events("/v1/messages", body)
      let values = try events.map { try $0.json }
      #expect(zip(events, values).allSatisfy { $0.name != nil && $0.name == $1.text("type") })
      #expect(values.contains { $0.text("type") == "ping" && $0.text("occam.progress.phase") == "encode" })
      let delta = try #require(values.first { $0.text("type") == "message_delta" })
      #expect(delta.text("occam.keep_maps.0")?.hasPrefix("data:image/png") == true)
      #expect(delta.int("occam.pruning.0.total") == 144 && delta["timings"] == nil)
    }

    @Test func mapsAndProgressComeWhenAsked() throws {
      let question = try Drill.question(5)
      let extra: JSONValue = ["keep_map": true, "progress": true]
      let whole = try service.answer("/v1/chat/completions", try question.chat().with("occam", extra))
      #expect(whole.text("occam.keep_maps.0")?.hasPrefix("data:image/png;base64,iVBORw0KGgo") == true)
      let off = try service.answer("/v1/chat/completions", try question.chat().with("occam", ["prune": "off"]))
      #expect(off["occam"] == nil && off.int("timings.image_tokens_kept") == 144)
      // A session that knows the picture has no progress to make.
      let fresh = try ServiceUnderTest(try Drill.model()) { $0.imageCacheBytes = 0 }
      let values = try fresh.events("/v1/chat/completions", try question.chat().with("occam", extra)).dropLast().map {
        try $0.json
      }
      let progress = values.compactMap { $0[path: "occam.progress"] }
      #expect(progress.contains { $0.text("phase") == "encode" } && progress.contains { $0.text("phase") == "prefill" })
      #expect(progress.allSatisfy { (0...1).contains($0["fraction"]?.doubleValue ?? -1) })
      #expect(
        values.compactMap { $0.text("choices.0.delta.content") }.joined() == whole.text("choices.0.message.content"))
    }
  }
}
