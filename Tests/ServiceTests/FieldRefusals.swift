import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// What is refused for what a field says, and that the refusal names the field.
  @Suite(.serialized) struct FieldRefusals {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    private func expectRefusal(
      _ path: String, _ body: JSONValue, naming name: String, _ location: SourceLocation = #_sourceLocation
    ) throws {
      let reply = try service.post(path, body)
      let error = try reply.json["error"]
      let said = "\(path) \(body.text().prefix(200)): \(reply.status) \(reply.text.prefix(300))"
      #expect(reply.status == 400, "\(said)", sourceLocation: location)
      #expect(error?["code"] == 400 && error?["type"] == "invalid_request_error", "\(said)", sourceLocation: location)
      #expect(error?.text("message")?.contains("'\(name)'") == true, "\(said)", sourceLocation: location)
    }

    static let sampling: [(String, [JSONValue])] = [
      ("temperature", ["hot", -1, 1e7, [], true]), ("top_k", [1.5, "a", -2, 4_294_967_296]),
      ("top_p", [2, -0.1, "a"]), ("min_p", [-0.1, 1.1, [:]]), ("repeat_penalty", [0, -1, 101, "a"]),
      ("repeat_last_n", [-1, 0.5, "a"]), ("presence_penalty", ["x", 1e9]), ("frequency_penalty", [1e9, false]),
      ("ignore_eos", [1, "yes"]), ("stop", [5, [5], ["a", nil], [:]]), ("seed", ["x", 0.5, 1e30]),
      ("logit_bias", ["x", 5, [[1]], [[1, 2, 3]], ["a": "x"], ["1": "x"], [[1, true]], ["4294967296": 1], [5]]),
      ("max_tokens", ["x", -3, 1.5, 4_294_967_296]), ("stream", [1, "true", []]), ("return_tokens", [1]),
      ("speculative.n_max", [-1, 65, "x"]), ("speculative.n_min", [-1, 65]), ("speculative.p_min", [-0.1, 1.1, "x"]),
      ("occam", [5, "x", []]),
    ]

    @Test(arguments: ["/v1/chat/completions", "/v1/completions", "/completion", "/v1/messages"])
    func samplingFieldsOfAnotherTypeOrRange(path: String) throws {
      let base = Drill.chat("a", tokens: 1).with("prompt", "a")
      for (name, values) in FieldRefusals.sampling {
        for value in values { try expectRefusal(path, base.with(name, value), naming: name) }
      }
      for (name, value): (String, JSONValue) in [
        ("prune", 1), ("prune", "maybe"), ("visual_budget", 0), ("max_visual_tokens", "many"), ("keep_map", 1),
        ("progress", "x"),
      ] { try expectRefusal(path, base.with("occam", .object([JSONMember(name, value)])), naming: "occam.\(name)") }
    }

    @Test func fieldsOfConversations() throws {
      let path = "/v1/chat/completions"
      let base = Drill.chat("a", tokens: 1)
      for (name, value): (String, JSONValue) in [
        ("messages", nil), ("messages", 5), ("messages", []), ("messages", "hello"), ("n", 0), ("n", 129), ("n", "x"),
        ("verbose", 1),
        ("continue_final_message", "x"), ("timings_per_token", 1), ("return_progress", 1),
        ("model", 5), ("stream_options", 5), ("logprobs", 1), ("chat_template_kwargs", 5), ("tools", "x"),
        ("max_completion_tokens", "x"), ("n_predict", [1]),
      ] { try expectRefusal(path, base.with(name, value), naming: name) }
      try expectRefusal(
        path, base.with("stream_options", ["include_usage": 1]), naming: "stream_options.include_usage")
      try expectRefusal(path, base.with([("logprobs", true), ("top_logprobs", 21)]), naming: "top_logprobs")
      for (message, name): (JSONValue, String) in [
        (5, "messages[1]"), ([:], "messages[1].role"), (["role": 5], "messages[1].role"),
        (["role": "robot", "content": "a"], "messages[1].role"), (["role": "user"], "messages[1].content"),
        (["role": "user", "content": 5], "messages[1].content"),
        (["role": "user", "content": [5]], "messages[1].content[0]"),
        (["role": "user", "content": [["text": "a"]]], "messages[1].content[0].type"),
        (["role": "user", "content": [["type": "text"]]], "messages[1].content[0].text"),
        (["role": "user", "content": [["type": "text", "text": 5]]], "messages[1].content[0].text"),
        (["role": "user", "content": [["type": "input_audio"]]], "messages[1].content[0].type"),
        (["role": "user", "content": [["type": "image_url"]]], "messages[1].content[0].image_url.url"),
        (
          ["role": "user", "content": [["type": "image_url", "image_url": ["url": 5]]]],
          "messages[1].content[0].image_url.url"
        ), (["role": "assistant", "content": "a", "tool_calls": [[:]]], "messages[1].tool_calls[0].function"),
        (
          ["role": "assistant", "tool_calls": [["function": ["name": 5]]]],
          "messages[1].tool_calls[0].function.name"
        ),
      ] {
        let messages: JSONValue = [["role": "user", "content": "a"], message]
        try expectRefusal(path, base.with("messages", messages), naming: name)
      }
    }

    @Test func fieldsOfTheOtherEndpoints() throws {
      for (body, name): (JSONValue, String) in [
        ([:], "prompt"), (["prompt": 5], "prompt"), (["prompt": []], "prompt"), (["prompt": [true]], "prompt[0]"),
        (["prompt": ["a", []]], "prompt[1]"),
        (["prompt": [:]], "prompt.prompt_string"), (["prompt": ["prompt_string": 5]], "prompt.prompt_string"),
        (["prompt": ["prompt_string": "<__media__>", "multimodal_data": 5]], "prompt.multimodal_data"),
        (["prompt": ["prompt_string": "<__media__>", "multimodal_data": ["#"]]], "prompt.multimodal_data[0]"),
      ] {
        try expectRefusal("/completion", body, naming: name)
        try expectRefusal("/v1/completions", body, naming: name)
      }
      try expectRefusal("/completion", ["prompt": "a", "n_probs": 101], naming: "n_probs")
      try expectRefusal("/completion", ["prompt": "a", "n_predict": "x"], naming: "n_predict")
      try expectRefusal("/completion", ["prompt": "a", "post_sampling_probs": 1], naming: "post_sampling_probs")
      try expectRefusal("/completion", ["prompt": "a", "response_fields": 5], naming: "response_fields")
      for (input, name): (JSONValue, String) in [
        (nil, "input"), (5, "input"), ([], "input"), ([["type": "web_search_call"]], "input[0].type"),
        ([["role": "tool", "content": "a"]], "input[0].role"), ([["role": "user"]], "input[0].content"),
        ([["role": "user", "content": [["type": "input_file"]]]], "input[0].content[0].type"),
        ([["role": "user", "content": [["type": "input_image"]]]], "input[0].content[0].image_url"),
      ] { try expectRefusal("/v1/responses", ["input": input], naming: name) }
      try expectRefusal("/v1/responses", ["input": "a", "instructions": 5], naming: "instructions")
      try expectRefusal("/v1/responses", ["input": "a", "max_output_tokens": "x"], naming: "max_output_tokens")
      for (messages, name): (JSONValue, String) in [
        (nil, "messages"), ([], "messages"), ([["role": "system", "content": "a"]], "messages[0].role"),
        ([["role": "user"]], "messages[0].content"), ([["role": "user", "content": 5]], "messages[0].content"),
        ([["role": "user", "content": [["type": "document"]]]], "messages[0].content[0].type"),
        ([["role": "user", "content": [["type": "image"]]]], "messages[0].content[0].source"),
        (
          [["role": "user", "content": [["type": "image", "source": [:]]]]], "messages[0].content[0].source.data"
        ),
      ] {
        try expectRefusal("/v1/messages", ["messages": messages, "max_tokens": 1], naming: name)
        try expectRefusal("/v1/messages/count_tokens", ["messages": messages], naming: name)
      }
      let turn: JSONValue = [["role": "user", "content": "a"]]
      try expectRefusal("/v1/messages", ["messages": turn, "system": 5], naming: "system")
      try expectRefusal("/v1/messages", ["messages": turn, "system": [5]], naming: "system")
      try expectRefusal("/v1/messages", ["messages": turn, "stop_sequences": 5], naming: "stop_sequences")
      try expectRefusal("/tokenize", ["content": 5], naming: "content")
      try expectRefusal("/tokenize", ["content": "a", "add_special": 1], naming: "add_special")
      try expectRefusal("/tokenize", ["content": "a", "with_pieces": "x"], naming: "with_pieces")
      try expectRefusal("/detokenize", ["tokens": 5], naming: "tokens")
      try expectRefusal("/apply-template", [:], naming: "messages")
      try expectRefusal("/v1/chat/completions/input_tokens", ["messages": 5], naming: "messages")
    }

    @Test func unknownPlacesAndMethods() throws {
      for path in ["/v1", "/v1/chat", "/v1/embeddings", "/etc/passwd", "/../health", "//health", "/health/x", "*"] {
        let reply = try service.get(path)
        #expect(reply.status == 404 || reply.status == 400, "\(path)")
        #expect(try reply.json["error"] != nil)
      }
      for (method, path) in [
        ("POST", "/health"), ("PUT", "/v1/chat/completions"), ("GET", "/v1/chat/completions"), ("DELETE", "/slots"),
        ("GET", "/tokenize"), ("BREW", "/"),
      ] {
        let reply = try service.get(path, method: method)
        #expect(reply.status == 405, "\(method) \(path)")
        // RFC 9110, 15.5.6: what would be taken stands in the answer.
        let taken = path.contains("completions") || path == "/tokenize" ? "POST" : "GET"
        #expect(reply.headers["allow"]?.contains(taken) == true)
      }
    }

    /// A few bytes of a request that would ask for a long work or a long answer.
    @Test func listsHaveLimits() throws {
      func list(_ text: String, _ count: Int) -> JSONValue { .array(Array(repeating: .string(text), count: count)) }
      let long = String(repeating: "a", count: 257)
      let base: JSONValue = ["prompt": "a", "n_predict": 1]
      for value in [list("prompt", 2), list("", 1), list(long, 1), .array((0..<65).map { .string("\($0)") })] {
        try expectRefusal("/completion", base.with("response_fields", value), naming: "response_fields")
      }
      let chat = Drill.chat("a", tokens: 1)
      for value in [list(long, 1), list("x", 65)] {
        try expectRefusal("/v1/chat/completions", chat.with("stop", value), naming: "stop")
        try expectRefusal("/v1/messages", chat.with("stop_sequences", value), naming: "stop_sequences")
      }
      #expect(try service.post("/v1/chat/completions", chat.with("stop", list("x", 64))).status == 200)
    }
  }
}
