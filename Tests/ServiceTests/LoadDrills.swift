import Occam
import OccamCore
import OccamHTTP
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// A service that is starting, and one that has more to do than it can.
  @Suite(.serialized) struct Load {
    @Test func aLoadingServiceSaysSoAndAnswersWhenLoaded() throws {
      let service = try ServiceUnderTest(nil) { $0.page = [0x61] }
      let body = Drill.chat("Hello")
      for path in ["/v1/chat/completions", "/completion", "/tokenize", "/v1/messages"] {
        let reply = try service.post(path, body)
        #expect(reply.status == 503 && reply.headers["retry-after"] == "1")
        #expect(try reply.json.text("error.type") == "unavailable_error")
        #expect(try reply.json.text("error.message") == "Loading model")
      }
      for path in ["/health", "/v1/models", "/props", "/slots", "/metrics"] {
        #expect(try service.get(path).status == 503, "\(path)")
      }
      #expect(try service.get("/").status == 200)
      #expect(try service.post("/v1/nothing", body).status == 404)
      try service.service.begin(with: try Drill.model())
      #expect(try service.get("/health").status == 200)
      #expect(try service.answer("/v1/chat/completions", body).int("usage.completion_tokens") == 8)
    }

    @Test func whoIsStoppedWhileLoadingStaysStopped() throws {
      let service = try ServiceUnderTest(nil)
      #expect(service.service.drain(seconds: 1))
      try service.service.begin(with: try Drill.model())
      let reply = try service.post("/v1/chat/completions", Drill.chat("Hello"))
      #expect(reply.status == 503 && reply.text.contains("shutting down"))
    }

    @Test func healthIsAnsweredWhilePicturesAreEncoded() throws {
      let service = try ServiceUnderTest(try Drill.slowModel()) {
        $0.parallel = 1
        $0.imageCacheBytes = 0
      }
      let client = try service.client()
      try client.post("/v1/chat/completions", try LeavingDrills.encoding())
      _ = try client.head()
      #expect(try client.event()?.data.isEmpty == false)
      for _ in 0..<20 { #expect(try service.get("/health").status == 200) }
      #expect(try service.get("/v1/models").status == 200)
      #expect(try service.busy() == 1, "encoding ended before health was asked: the drill shows nothing")
      client.disconnect()
      #expect(try service.becomesIdle())
    }

    @Test func longWorkOfOneHoldsUpNoOthers() throws {
      let service = try Drill.service()
      let text = String(repeating: "the red cup ", count: 800_000)
      // Once is enough: if the others stood behind it, it would be answered before them each time.
      let wasOvertaken = try (0..<5).contains { _ in
        let heavy = try service.client()
        try heavy.post("/tokenize", ["content": .string(text)])
        // The loop reads bodies in turns: this one is whole when the service knows of it, which it does not say.
        for _ in 0..<10 { #expect(try service.post("/tokenize", ["content": "a"]).status == 200) }
        let isOpen = heavy.isUnanswered
        #expect(try heavy.reply().status == 200)
        return isOpen
      }
      #expect(wasOvertaken, "the others stood behind it, or it was no long work")
    }

    @Test func countingHoldsUpNoReplies() throws {
      let service = try Drill.service()
      let text = String(repeating: "the red cup ", count: 800_000)
      let wasOvertaken = try (0..<5).contains { _ in
        let heavy = try (0..<4).map { _ in try service.client() }
        for client in heavy { try client.post("/tokenize", ["content": .string(text)]) }
        for _ in 0..<4 { #expect(try service.post("/v1/chat/completions", Drill.chat("a", tokens: 1)).status == 200) }
        let areOpen = heavy.allSatisfy(\.isUnanswered)
        for client in heavy { #expect(try client.reply().status == 200) }
        return areOpen
      }
      #expect(wasOvertaken, "replies stood behind it, or it was no long work")
    }

    @Test func textThatCannotFitIsRefusedBeforeItIsRead() throws {
      let service = try Drill.service()
      let text = JSONValue.string(String(repeating: "the red cup ", count: 400_000))
      for (path, body): (String, JSONValue) in [
        ("/v1/chat/completions", ["messages": [["role": "user", "content": text]]]), ("/completion", ["prompt": text]),
        ("/v1/responses", ["input": text]), ("/v1/messages", ["messages": [["role": "user", "content": text]]]),
        ("/v1/messages/count_tokens", ["messages": [["role": "user", "content": text]]]),
        ("/v1/chat/completions/input_tokens", ["messages": [["role": "user", "content": text]]]),
        ("/v1/chat/completions", Drill.chat("a").with("chat_template_kwargs", ["x": text])),
        (
          "/v1/chat/completions",
          Drill.chat("a").with("tools", [["type": "function", "function": ["name": "f", "description": text]]])
        ),
        ("/v1/chat/completions", ["messages": [["role": "assistant", "reasoning_content": text]]]),
      ] {
        let reply = try service.post(path, body)
        #expect(reply.status == 400 && reply.text.contains("bytes of text"), "\(path): \(reply.text)")
        #expect(try reply.json.text("error.type") == "exceed_context_size_error")
      }
    }

    @Test func aFullQueueRefusesAndWhoLeavesItGivesHisPlace() throws {
      let service = try ServiceUnderTest(try Drill.slowModel()) {
        $0.parallel = 1
        $0.queue = 1
      }
      let body = Drill.chat("Who waits?", tokens: 6)
      let expected = try service.answer("/v1/chat/completions", body).text("choices.0.message.content")
      #expect(try service.becomesIdle())
      let first = try service.client()
      try first.post("/v1/chat/completions", Drill.endless())
      _ = try first.head()
      let second = try service.client()
      try second.post("/v1/chat/completions", body)
      #expect(try eventually { try service.queued() == 1 })
      for stream in [true, false] {
        let refused = try service.post("/v1/chat/completions", body.with("stream", .bool(stream)))
        #expect(refused.status == 503 && refused.headers["retry-after"] == "1")
        #expect(try refused.json.text("error.type") == "unavailable_error")
      }
      #expect(try service.metric("occam:requests_refused_total") == 2)
      #expect(try service.get("/health").status == 200)
      #expect(try service.get("/slots?fail_on_no_slot=1").status == 503)
      // Its place is free for the next one at once.
      second.disconnect()
      #expect(try eventually { try service.queued() == 0 })
      let third = try service.client()
      try third.post("/v1/chat/completions", body)
      #expect(try eventually { try service.queued() == 1 })
      #expect(try service.busy() == 1, "the first reply ended before its client left: the drill shows nothing")
      first.disconnect()
      #expect(try third.reply().json.text("choices.0.message.content") == expected)
      #expect(try service.becomesIdle())
    }

    /// Over a Unix socket, whose buffers are small: replies that nobody reads pile up in the service.
    @Test func whoDoesNotReadHisStreamIsCut() throws {
      let path = "\(TemporaryFolder.make())/service"
      var limits = HTTPLimits()
      limits.unsentBytes = 64 << 10
      let service = try ServiceUnderTest(try Drill.model(), address: .unix(path: path), limits: limits) {
        $0.parallel = 1
      }
      defer { withExtendedLifetime(service) {} }
      func get(_ target: String) throws -> String {
        let client = try ServiceClient(path: path)
        try client.request("GET", target)
        return try client.reply().text
      }
      let slow = try ServiceClient(path: path)
      let members: [(String, JSONValue)] = [("logprobs", true), ("top_logprobs", 20)]
      try slow.post("/v1/chat/completions", Drill.endless().with(members))
      #expect(try eventually { try get("/metrics").contains("occam:requests_cancelled_total 1\n") })
      #expect(try eventually { try get("/slots").contains("\"is_processing\":false") })
      // What it finds later is no whole stream.
      _ = try slow.head()
      #expect(throws: TestFailure.self) { while try slow.event() != nil {} }
      let client = try ServiceClient(path: path)
      try client.post("/v1/chat/completions", try Drill.question().chat())
      let reply = try client.reply()
      let expected = try Drill.service().answer("/v1/chat/completions", try Drill.question().chat())
      #expect(try reply.json.text("choices.0.message.content") == expected.text("choices.0.message.content"))
    }

    /// Pictures like no others push each other out.
    @Test func theCacheOfPicturesHoldsItsBytes() throws {
      let cap = 1 << 20
      let service = try ServiceUnderTest(try Drill.model()) { $0.imageCacheBytes = cap }
      var most = 0.0
      for seed in 0..<40 {
        _ = try service.answer("/v1/chat/completions", Pictures.chat(seed, tokens: 1))
        let bytes = try service.metric("occam:image_cache_bytes")
        #expect(bytes <= Double(cap))
        most = max(most, bytes)
      }
      #expect(most > Double(cap) / 2, "the cache was never full: the drill shows nothing")
      let images = try service.metric("occam:image_cache_images")
      #expect(images > 0 && images < 40)
      let hits = try service.metric("occam:image_cache_hits_total")
      // The newest is there, the oldest is not.
      for _ in 0..<2 {
        _ = try service.answer("/v1/chat/completions", Pictures.chat(39, tokens: 1).with("occam", ["prune": "auto"]))
      }
      _ = try together(4) { _ in try service.answer("/v1/chat/completions", Pictures.chat(39, tokens: 1)) }
      #expect(try service.metric("occam:image_cache_hits_total") > hits)
      let misses = try service.metric("occam:image_cache_misses_total")
      _ = try service.answer("/v1/chat/completions", Pictures.chat(0, tokens: 1))
      #expect(try service.metric("occam:image_cache_misses_total") > misses)
    }
  }
}
