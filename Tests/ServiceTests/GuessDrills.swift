import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Speculative decoding behind the service: same answers, and what became of the guesses under llama-server's names.
  @Suite(.serialized) struct Guesses {
    private static let path = "/completion"

    private func body(_ members: [(String, JSONValue)] = []) -> JSONValue {
      let text = "USER: " + String(repeating: "a red cup and a blue cup and ", count: 4) + "ASSISTANT:"
      let body: JSONValue = [
        "prompt": .string(text), "n_predict": 60, "ignore_eos": true, "return_tokens": true, "seed": 3,
      ]
      return body.with(members)
    }

    @Test func timingsCountThem() throws {
      let model = try Drill.model()
      let plain = try ServiceUnderTest(model)
      let guessing = try ServiceUnderTest(model) {
        $0.defaults.speculation.lookup = true
        $0.metricsCompat = true
      }
      for temperature in [0, 0.7] as [Double] {
        let asked = body([("temperature", .number(temperature))])
        let expected = try plain.answer(Guesses.path, asked)
        let found = try guessing.answer(Guesses.path, asked)
        #expect(found["tokens"] == expected["tokens"] && found["content"] == expected["content"])
        #expect(expected[path: "timings.draft_n"] == nil && expected[path: "timings.draft_n_accepted"] == nil)
        let drafted = found.int("timings.draft_n") ?? 0
        let accepted = found.int("timings.draft_n_accepted") ?? -1
        #expect(drafted > 0 && (0...drafted).contains(accepted))
      }
      let drafted = try guessing.metric("occam:draft_tokens_total")
      let accepted = try guessing.metric("occam:draft_tokens_accepted_total")
      #expect(drafted > 0 && drafted >= accepted)
      #expect(try guessing.metric("llamacpp:spec_decode_num_draft_tokens_total") == drafted)
      #expect(try guessing.metric("llamacpp:spec_decode_num_drafts_total") > 0)
    }

    @Test func requestsMayLimitThem() throws {
      let guessing = try ServiceUnderTest(try Drill.model()) { $0.defaults.speculation.lookup = true }
      let none = try guessing.answer(Guesses.path, body([("speculative.n_max", 0), ("temperature", 0)]))
      #expect(none[path: "timings.draft_n"] == nil)
      let settings = try #require(none["generation_settings"])
      #expect(settings["speculative.n_max"] == 0 && settings["speculative.n_min"] == 0)
      #expect(settings["speculative.p_min"] != nil)
    }
  }
}
