import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Many at a time.
  @Suite(.serialized) struct Crowds {
    /// Each with another picture, another question and another way to ask: sessions that decode together tell nothing
    /// of each other.
    @Test func everybodyInACrowdGetsTheAnswerOfBeingAlone() throws {
      let service = try Drill.service()
      let questions = try Drill.questions().prefix(8).map(\.self)
      let alone = try questions.map { question in
        try service.answer("/v1/chat/completions", try question.chat()).text("choices.0.message.content")
      }
      for round in 0..<3 {
        let answers = try together(8) { index -> String? in
          let body = try questions[index].chat()
          guard (index + round) % 2 == 0 else {
            return try service.answer("/v1/chat/completions", body).text("choices.0.message.content")
          }
          return try service.events("/v1/chat/completions", body).dropLast().compactMap {
            try $0.json.text("choices.0.delta.content")
          }.joined()
        }
        #expect(answers == alone)
      }
    }

    /// With no cache of pictures and long replies, so that passes of different sessions really meet.
    @Test func longRepliesOfACrowdAreThoseOfBeingAlone() throws {
      let service = try ServiceUnderTest(try Drill.model()) {
        $0.parallel = 8
        $0.imageCacheBytes = 0
      }
      let questions = try Drill.questions().prefix(8).map(\.self)
      @Sendable func ask(_ index: Int) throws -> String? {
        try service.answer("/v1/chat/completions", try questions[index].chat(tokens: 60).with("ignore_eos", true))
          .text("choices.0.message.content")
      }
      let alone = try (0..<8).map(ask)
      #expect(Set(alone).count > 4)
      let passes = try service.metric("occam:decode_passes_total")
      let tokens = try service.metric("occam:decode_tokens_total")
      #expect(try together(8) { try ask($0) } == alone)
      let newPasses = try service.metric("occam:decode_passes_total") - passes
      #expect(try service.metric("occam:decode_tokens_total") - tokens > newPasses, "nobody decoded together")
    }

    /// A conversation that goes on, in other sessions' company, costs no second encoding.
    @Test func conversationsGoOnWhileOthersAreHeld() throws {
      let service = try ServiceUnderTest(try Drill.model())
      let question = try Drill.question(7)
      let first = try service.answer("/v1/chat/completions", try question.chat())
      let said = try #require(first.text("choices.0.message.content"))
      let body: JSONValue = [
        "messages": [
          try question.message(), ["role": "assistant", "content": .string(said)],
          ["role": "user", "content": "How many things are there?"],
        ], "temperature": 0, "max_tokens": 20,
      ]
      let expected = try ServiceUnderTest(try Drill.model()).answer("/v1/chat/completions", body)
      _ = try together(3) { index in
        try service.answer("/v1/chat/completions", try Drill.question(index).chat())
      }
      let second = try service.answer("/v1/chat/completions", body)
      #expect(second.text("choices.0.message.content") == expected.text("choices.0.message.content"))
      #expect((second.int("timings.cache_n") ?? 0) > 0)
      #expect(second["timings"]?["image_cache_hit"] == true)
    }
  }
}
