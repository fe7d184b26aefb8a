import Glibc
import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// What clients of llama-server find besides: settings, progress, timings, probabilities of drawing, names, refusals.
  @Suite(.serialized) struct Peers {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    private func completion(_ members: [(String, JSONValue)] = []) throws -> JSONValue {
      let body: JSONValue = ["prompt": "USER: What do you see? ASSISTANT:", "n_predict": 6, "ignore_eos": true]
      return try service.answer("/completion", body.with(members))
    }

    @Test func tokensAreSaidWithTheProbabilitiesTheyWereDrawnBy() throws {
      let asked: [(String, JSONValue)] = [
        ("n_probs", 100), ("post_sampling_probs", true), ("seed", 5), ("top_k", 7), ("top_p", 1), ("min_p", 0),
        ("temperature", 3),
      ]
      for token in try #require(try completion(asked)["completion_probabilities"]?.arrayValue) {
        let top = try #require(token["top_probs"]?.arrayValue)
        let values = top.compactMap { $0["prob"]?.doubleValue }
        #expect(values.count == 7 && values == values.sorted(by: >) && abs(values.reduce(0, +) - 1) < 1e-4)
        let drawn = try #require(token["prob"]?.doubleValue)
        #expect(top.contains { $0["id"] == token["id"] && abs(($0["prob"]?.doubleValue ?? 0) - drawn) < 1e-6 })
        #expect(token["logprob"] == nil && token["top_logprobs"] == nil)
      }
      let greedy = try completion([("n_probs", 3), ("post_sampling_probs", true), ("temperature", 0)])
      for token in try #require(greedy["completion_probabilities"]?.arrayValue) {
        #expect(token["prob"]?.doubleValue == 1 && token["top_probs"]?.arrayValue?.count == 1)
      }
    }

    @Test func textsMayBeBiased() throws {
      let ids = try Drill.model().tokenize(" red", parseSpecial: false)
      for bias: JSONValue in [[[" red", 1e4]], [" red": 1e4]] {
        let reply = try completion([("logit_bias", bias), ("return_tokens", true), ("temperature", 0)])
        let tokens = try #require(reply["tokens"]?.arrayValue).compactMap { $0.intValue.map(Int32.init) }
        #expect(tokens.count == 6 && tokens.allSatisfy { ids.contains($0) })
      }
      let long = String(repeating: "a", count: 257)
      let body: JSONValue = ["prompt": "a", "logit_bias": [[.string(long), 1]]]
      #expect(try service.post("/completion", body).status == 400)
    }

    @Test func settingsSayWhatEndsNoReply() throws {
      let model = try Drill.model()
      #expect(!model.facts.endTokens.isEmpty)
      let bias = try completion()[path: "generation_settings.logit_bias"]
      #expect(bias?.arrayValue?.compactMap { $0.int("token") } == model.facts.endTokens.map(Int.init))
      #expect(bias?.arrayValue?.allSatisfy { $0["bias"] == .null } == true)
      #expect(try completion([("ignore_eos", false)])[path: "generation_settings.logit_bias"] == [])
    }

    @Test func fieldsOfAReplyAreChosenByPath() throws {
      let reply = try completion([("response_fields", ["content", "generation_settings/n_predict", "no/where"])])
      guard case .object(let members) = reply else { throw TestFailure(description: "no object: \(reply.text())") }
      #expect(members.map(\.name) == ["content", "generation_settings/n_predict"])
      #expect(reply["generation_settings/n_predict"] == 6)
      #expect(try completion([("response_fields", [])])["timings"] != nil)
    }

    @Test func streamsTellProgressAndTimings() throws {
      let text = String(repeating: "a red cup and a blue ball, ", count: 40)
      let body = Drill.chat(text, tokens: 5).with([("return_progress", true), ("timings_per_token", true)])
      let values = try service.events("/v1/chat/completions", body).dropLast().map { try $0.json }
      let progress = values.compactMap { $0["prompt_progress"] }
      let processed = progress.compactMap { $0.int("processed") }
      let total = try #require(progress.first?.int("total"))
      #expect(processed.first == progress.first?.int("cache") && processed.last == total)
      #expect(processed.count > 1 && zip(processed, processed.dropFirst()).allSatisfy { $0 < $1 })
      #expect(values.first { $0["prompt_progress"] != nil }?.int("timings.prompt_n") == 0)
      let told = values.filter { $0.text("choices.0.delta.content")?.isEmpty == false }
      #expect(!told.isEmpty && told.allSatisfy { $0[path: "timings.predicted_n"] != nil })
      #expect(values.last?.int("timings.predicted_n") == 5)
      let plain = try service.events("/v1/chat/completions", Drill.chat(text, tokens: 5)).dropLast().map { try $0.json }
      #expect(plain.dropLast().allSatisfy { $0["timings"] == nil && $0["prompt_progress"] == nil })
      for line in try service.events("/completion", ["prompt": "a", "n_predict": 2, "return_progress": true]) {
        #expect(try line.json["stop"] != nil)
      }
    }

    @Test func ratesLeaveTheFirstTokenOut() throws {
      let one = try completion([("n_predict", 1)])
      for name in ["predicted_per_second", "predicted_per_token_ms"] {
        #expect(one[path: "timings.\(name)"]?.doubleValue == 0)
      }
      let many = try #require(try completion([("n_predict", 9)])["timings"])
      let (rate, time) = (many["predicted_per_second"]?.doubleValue, many["predicted_ms"]?.doubleValue)
      #expect(abs((rate ?? 0) - 8000 / (time ?? 1)) < 1e-6)
    }

    @Test func promptsAreToldToThoseWhoAsk() throws {
      let body = Drill.chat("What is red?", tokens: 2)
      let told = try service.answer("/v1/chat/completions", body.with("verbose", true))
      #expect(told.text("__verbose.prompt")?.contains("What is red?") == true)
      #expect(told.text("__verbose.content") == told.text("choices.0.message.content"))
      #expect(try service.answer("/v1/chat/completions", body)["__verbose"] == nil)
      let verbose = try ServiceUnderTest(try Drill.model()) { $0.isVerbose = true }
      #expect(try verbose.answer("/v1/chat/completions", body)["__verbose"] != nil)
      let off = body.with("verbose", false)
      #expect(try verbose.answer("/v1/chat/completions", off)["__verbose"] == nil)
      let both = body.with([("continue_final_message", true), ("add_generation_prompt", true)])
      #expect(try service.post("/v1/chat/completions", both).status == 400)
      let asked: JSONValue = ["messages": [["role": "user", "content": "a"]], "add_generation_prompt": false]
      let prompt = try #require(try service.answer("/apply-template", asked).text("prompt"))
      #expect(!prompt.contains("ASSISTANT:"))
    }

    @Test func promptsThatAreTooLongAreCounted() throws {
      let small = try ServiceUnderTest(try Drill.model()) { $0.session.contextLength = 64 }
      for (text, isExact) in [
        (String(repeating: "cup ", count: 80), true), (String(repeating: "a", count: 99_999), false),
      ] {
        let error = try small.post("/v1/chat/completions", Drill.chat(text)).json["error"]
        #expect(error?.text("type") == "exceed_context_size_error" && error?.int("n_ctx") == 64)
        #expect(isExact ? error?.int("n_prompt_tokens") ?? 0 > 80 : error?.int("n_prompt_tokens") == 64)
      }
      let full = try small.answer("/completion", ["prompt": "a", "ignore_eos": true])
      #expect(full["truncated"] == true && full.text("stop_type") == "limit")
      #expect(try completion()["truncated"] == false)
    }

    @Test func namesAndSeedsAreTheServices() throws {
      let named = try ServiceUnderTest(try Drill.model()) {
        $0.aliases = ["tiny", "code"]
        $0.tags = ["small"]
        $0.seed = 42
        $0.showsSlots = false
      }
      let models = try named.get("/v1/models").json
      #expect(models.text("data.0.id") == "code" && models[path: "data.0.aliases"] == ["tiny", "code"])
      #expect(models[path: "data.0.tags"] == ["small"])
      #expect(try named.get("/props").json.int("default_generation_settings.params.seed") == 42)
      #expect(try named.get("/slots").status == 501)
      let body: JSONValue = ["prompt": "a", "n_predict": 8, "temperature": 2, "ignore_eos": true]
      let texts = try (0..<3).map { _ in try #require(try named.answer("/completion", body).text("content")) }
      #expect(Set(texts).count == 1)
      #expect(try named.answer("/completion", body.with("seed", 7)).int("generation_settings.seed") == 7)
      #expect(try named.answer("/v1/completions", body).text("system_fingerprint")?.hasPrefix("b") == true)
    }

    @Test func pagesOfThisMachineAreAllowedByName() throws {
      let local = try ServiceUnderTest(try Drill.model()) { $0.allowedOrigin = "localhost" }
      for (origin, isAllowed) in [
        ("http://localhost", true), ("http://localhost:8080", true), ("https://127.0.0.1:3000", true),
        ("http://[::1]:3", true), ("http://localhost.evil.example", false), ("http://notlocalhost", false),
        ("http://localhost:80@evil.example", false), ("http://localhost:", false), ("localhost", true),
        ("file://localhost", false), ("null", false),
      ] {
        let reply = try local.get("/v1/chat/completions", [("Origin", origin)], method: "OPTIONS")
        #expect(reply.headers["access-control-allow-origin"] == (isAllowed ? origin : nil), "\(origin)")
        #expect(reply.headers["vary"] == "Origin")
      }
    }

    @Test func templatesOfOnesOwnTakeThePlaceOfTheFiles() throws {
      var options = ModelOptions(threads: 2)
      options.chatTemplate = "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}{{ mood }}"
      let path = "\(Drill.scenes)/scenes-Q8_0.gguf"
      let model = try VisionLanguageModel(path: path, options: options)
      #expect(model.facts.chatTemplate == options.chatTemplate)
      let service = try ServiceUnderTest(model) { $0.defaults.templateVariables = #"{"mood": "sad"}"# }
      let body: JSONValue = ["messages": [["role": "system", "content": "x"], ["role": "user", "content": "y"]]]
      #expect(try service.answer("/apply-template", body).text("prompt") == "[system: x][user: y]sad")
      let other = body.with("chat_template_kwargs", ["mood": "glad"])
      #expect(try service.answer("/apply-template", other).text("prompt") == "[system: x][user: y]glad")
      // A tool's result is known by its call.
      let call: JSONValue = ["id": "c1", "function": ["name": "paint", "arguments": "{}"]]
      let called: JSONValue = [
        ["role": "user", "content": "y"], ["role": "assistant", "tool_calls": [call]],
        ["role": "tool", "tool_call_id": "c1", "content": "ok"],
      ]
      options.chatTemplate = "{% for m in messages %}[{{ m.name }}]{% endfor %}"
      let named = try ServiceUnderTest(try VisionLanguageModel(path: path, options: options))
      #expect(try named.answer("/apply-template", ["messages": called]).text("prompt") == "[][][paint]")
      // Somebody else's name for a template would be a prompt without a question.
      options.chatTemplate = "llama3"
      #expect(throws: OccamError.self) { try VisionLanguageModel(path: path, options: options) }
      options.chatTemplate = "{% for"
      #expect(throws: OccamError.self) { try VisionLanguageModel(path: path, options: options) }
    }

    @Test(.enabled(if: ServeProcess.isBuilt)) func severalAddressesHaveOnePort() throws {
      let process = try ServeProcess(["--host", "127.0.0.1, 127.0.0.2", "-np", "1"])
      #expect(process.said.contains("http://127.0.0.2:\(process.port)"))
    }
  }
}
