import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Tokens, templates, and what the service says of itself.
  @Suite(.serialized) struct Texts {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    @Test(arguments: ["the red cup", "Grüße, 🌻 and \u{65}\u{301}", "a  b\n\tc", ""])
    func tokensComeBackAsTheirText(text: String) throws {
      let tokens = try #require(try service.answer("/tokenize", ["content": .string(text)])["tokens"])
      let ids = try #require(tokens.arrayValue).compactMap { $0.intValue.map(Int32.init) }
      #expect(ids == (try Drill.model().tokenize(text)))
      let back = try #require(try service.answer("/detokenize", ["tokens": tokens]).text("content"))
      #expect(Array(back.utf8.drop { $0 == 32 }) == Array(text.utf8))
      let pieces = try service.answer("/tokenize", ["content": .string(text), "with_pieces": true])
      #expect(try #require(pieces["tokens"]?.arrayValue).compactMap { $0.int("id") } == ids.map(Int.init))
      for piece in pieces["tokens"]?.arrayValue ?? [] {
        // Bytes of a character that is spread over several tokens.
        #expect(piece["piece"]?.stringValue != nil || piece["piece"]?.arrayValue?.isEmpty == false)
      }
    }

    @Test func specialTokensAreAddedAndParsedWhenAsked() throws {
      func ids(_ members: [(String, JSONValue)]) throws -> [JSONValue] {
        try #require(
          try service.answer("/tokenize", JSONValue.object([JSONMember("content", "<s>a")]).with(members))["tokens"]?
            .arrayValue)
      }
      let parsed = try ids([])
      #expect(try ids([("add_special", true)]).count == parsed.count + 1)
      #expect(try ids([("parse_special", false)]).count > parsed.count)
    }

    @Test func tokensOutsideTheVocabularyAreNoText() throws {
      let reply = try service.answer("/detokenize", ["tokens": [-1, 2_147_483_647, -2_147_483_648, 100_000]])
      #expect(reply.text("content") == "")
      #expect(try service.post("/detokenize", ["tokens": [2_147_483_648]]).status == 400)
      #expect(try service.post("/detokenize", ["tokens": [0.5]]).status == 400)
      #expect(try service.post("/detokenize", ["tokens": ["a"]]).status == 400)
    }

    @Test func promptTokensAreCountedBeforeAsTheyAreReportedBehind() throws {
      let conversations: [JSONValue] = [
        [["role": "user", "content": "What is red?"]],
        [
          ["role": "system", "content": "Be brief."], ["role": "user", "content": "What is red?"],
          ["role": "assistant", "content": "a cup"], ["role": "user", "content": "And blue?"],
        ],
        [try Drill.question(3).message()],
        [try Drill.question(3).message(), ["role": "assistant", "content": "3"], try Drill.question(4).message()],
      ]
      for messages in conversations {
        let body: JSONValue = ["messages": messages, "max_tokens": 1, "temperature": 0]
        let counted = try service.answer("/v1/chat/completions/input_tokens", body).int("input_tokens")
        #expect(counted == (try service.answer("/v1/chat/completions", body)).int("usage.prompt_tokens"))
      }
    }

    @Test func templatesAreAppliedAsForAReply() throws {
      let body: JSONValue = ["messages": [["role": "user", "content": "What is red?"]]]
      let prompt = try #require(try service.answer("/apply-template", body).text("prompt"))
      #expect(prompt.contains("USER: What is red?") && prompt.contains("ASSISTANT:"))
      let chat = try service.answer("/v1/chat/completions", body.with([("max_tokens", 12), ("temperature", 0)]))
      let raw = try service.answer(
        "/completion", ["prompt": .string(prompt), "n_predict": 12, "temperature": 0])
      #expect(
        raw.text("content")?.split(separator: " ")
          == chat.text("choices.0.message.content")?.split(separator: " "))
      let begun: JSONValue = [
        "messages": [["role": "user", "content": "What is red?"], ["role": "assistant", "content": " a"]]
      ]
      #expect(try service.answer("/apply-template", begun).text("prompt") == "\(prompt) a")
      let seen = try service.answer("/apply-template", ["messages": [try Drill.question().message()]])
      #expect(seen.text("prompt")?.contains("<__media__>") == true)
    }

    @Test func theServiceSaysWhatItIs() throws {
      let models = try service.get("/v1/models").json
      #expect(models.text("data.0.id") == "scenes-Q8_0.gguf" && models.text("object") == "list")
      #expect(models["data"]?.arrayValue?.first?["meta"]?.int("n_ctx_train") == 2048)
      #expect(models["models"]?.arrayValue?.first?["capabilities"] == ["completion", "multimodal"])
      let props = try service.get("/props").json
      #expect(props["modalities"] == ["vision": true, "audio": false])
      #expect(props.int("total_slots") == 4 && props.int("default_generation_settings.n_ctx") == 2048)
      #expect(props.text("chat_template")?.contains("ASSISTANT") == true)
      let slots = try #require(try service.get("/slots").json.arrayValue)
      #expect(slots.compactMap { $0.int("id") } == [0, 1, 2, 3])
      #expect(try service.get("/slots?fail_on_no_slot=1").status == 200)
      #expect(try service.get("/health").json == ["status": "ok"])
      #expect(try service.get("/health/").status == 200)
      let page = try service.get("/")
      #expect(page.text == "<html></html>" && page.headers["content-type"] == "text/html; charset=utf-8")
      for path in ["/", "/health", "/v1/models", "/props", "/slots", "/metrics"] {
        let head = try service.get(path, method: "HEAD")
        #expect(head.status == 200 && head.body.isEmpty && head.headers["server"]?.hasPrefix("occam/") == true)
      }
    }

    @Test func metricsCountWhatWasDone() throws {
      let before = try service.metric("occam:tokens_predicted_total")
      let requests = try service.metric("occam:requests_total")
      let reply = try service.answer("/v1/chat/completions", Drill.chat("Count me.", tokens: 7))
      #expect(reply.int("usage.completion_tokens") == 7)
      // Counted before the answer is sent.
      #expect(try service.metric("occam:tokens_predicted_total") == before + 7)
      #expect(try service.metric("occam:requests_total") == requests + 1)
      let text = try service.get("/metrics").text
      for name in [
        "llamacpp:prompt_tokens_total", "llamacpp:prompt_seconds_total", "llamacpp:tokens_predicted_total",
        "llamacpp:tokens_predicted_seconds_total", "llamacpp:prompt_tokens_seconds",
        "llamacpp:predicted_tokens_seconds", "llamacpp:requests_processing", "llamacpp:requests_deferred",
      ] { #expect(text.contains("# TYPE \(name) ") && text.contains("\n\(name) "), "\(name)") }
      let plain = try ServiceUnderTest(try Drill.model())
      #expect(try !plain.get("/metrics").text.contains("llamacpp:"))
      for line in text.split(separator: "\n") where !line.hasPrefix("#") {
        #expect(line.split(separator: " ").last.flatMap { Double($0) } != nil, "\(line)")
      }
    }
  }
}
