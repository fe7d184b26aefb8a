import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Testing

/// Clients that go away while their request is at work.
enum LeavingDrills {
  /// What a client leaves in the middle of.
  enum Phase: String, CaseIterable, Sendable { case encode, prefill, decode }

  /// Several pictures, none of them known, and progress told.
  static func encoding() throws -> JSONValue {
    let pictures = (100..<108).map { seed -> JSONValue in
      let url = "data:image/bmp;base64,\(Drill.base64(Pictures.drawn(seed)))"
      return ["type": "image_url", "image_url": ["url": .string(url)]]
    }
    return [
      "messages": [["role": "user", "content": .array(pictures + [["type": "text", "text": "What do you see?"]])]],
      "stream": true, "max_tokens": 4, "ignore_eos": true, "occam": ["progress": true, "prune": "off"],
    ]
  }

  static func body(_ phase: Phase) throws -> JSONValue {
    switch phase {
    case .encode: try encoding()
    case .prefill:
      Drill.endless(String(repeating: "and a cat ", count: 120)).with([
        ("occam", ["progress": true]), ("max_tokens", 4),
      ])
    case .decode: Drill.endless()
    }
  }
}

extension ServiceDrills {
  @Suite(.serialized) struct Leaving {
    private static func slowService() throws -> ServiceUnderTest {
      try ServiceUnderTest(try Drill.slowModel()) {
        $0.parallel = 2
        $0.imageCacheBytes = 0
      }
    }

    /// The work ends long before its end, nobody else notices, and the session is as good as new.
    @Test(arguments: LeavingDrills.Phase.allCases) func aClientLeavesInTheMiddle(phase: LeavingDrills.Phase) throws {
      let service = try Leaving.slowService()
      let body = Drill.chat("What is a cat?", tokens: 12)
      let picture = Pictures.chat(7, tokens: 6)
      let expected = try service.answer("/v1/chat/completions", body).text("choices.0.message.content")
      let expectedOfPicture = try service.answer("/v1/chat/completions", picture).text("choices.0.message.content")
      #expect(try service.becomesIdle())
      let tokens = try service.metric("occam:tokens_predicted_total")
      let leaving = try service.client()
      try leaving.post("/v1/chat/completions", try LeavingDrills.body(phase))
      let other = try service.client()
      try other.post("/v1/chat/completions", body)
      #expect(try leaving.head().status == 200)
      var events = 0
      while let event = try leaving.event() {
        let json = try event.json
        if phase == .decode {
          events += json.text("choices.0.delta.content")?.isEmpty == false ? 1 : 0
          if events == 3 { break }
        } else if json.text("occam.progress.phase") == phase.rawValue {
          events += 1
          break
        }
      }
      #expect(events > 0, "the reply ended before its client left: the drill shows nothing")
      leaving.disconnect()
      #expect(try other.reply().json.text("choices.0.message.content") == expected)
      #expect(try service.becomesIdle())
      #expect(try service.metric("occam:requests_cancelled_total") == 1)
      let made = try service.metric("occam:tokens_predicted_total") - tokens - 12
      #expect(phase == .decode ? made < 1500 : made == 0, "\(made) tokens for nobody")
      // Both sessions, one of them the one that was left.
      let texts = try together(4) { index in
        try service.answer("/v1/chat/completions", index % 2 == 0 ? body : picture).text("choices.0.message.content")
      }
      #expect(texts == [expected, expectedOfPicture, expected, expectedOfPicture])
    }

    /// Clients that leave at any moment, many of them.
    @Test func clientsLeaveAtAnyMoment() throws {
      let service = try ServiceUnderTest(try Drill.model()) { $0.imageCacheBytes = 1 << 20 }
      let questions = try Drill.questions()
      let expected = try questions.map { question in
        try service.answer("/v1/chat/completions", try question.chat()).text("choices.0.message.content")
      }
      _ = try together(6) { thread in
        var generator = SeededGenerator(seed: UInt64(thread))
        for _ in 0..<25 {
          let client = try service.client()
          let index = Int(generator.next() % UInt64(questions.count))
          let isStreamed = generator.next() % 2 == 0
          let stays = generator.next() % 4 == 0
          let chat = try questions[index].chat()
          try client.post("/v1/chat/completions", isStreamed && !stays ? chat.with("stream", true) : chat)
          if stays {
            let reply = try client.reply()
            let text = try reply.json.text("choices.0.message.content")
            guard text == expected[index] else { throw TestFailure(description: "\(index): \(reply.text)") }
          } else {
            _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(Int(generator.next() % 30)))
            client.disconnect()
          }
        }
      }
      #expect(try service.becomesIdle())
      for (question, text) in zip(questions, expected) {
        let reply = try service.answer("/v1/chat/completions", try question.chat())
        #expect(reply.text("choices.0.message.content") == text)
      }
    }
  }

  /// The end of a service.
  @Suite(.serialized) struct Ending {
    @Test func drainingFinishesWhatIsAtWorkAndTakesNoMore() throws {
      let service = try ServiceUnderTest(try Drill.slowModel()) { $0.parallel = 2 }
      let bodies = (0..<4).map { Drill.chat("Number \($0)?", tokens: 16) }
      let expected = try bodies.map { try service.answer("/v1/chat/completions", $0) }
      #expect(try service.becomesIdle())
      let blockers = try (0..<2).map { _ in try service.client() }
      for client in blockers {
        try client.post("/v1/chat/completions", Drill.endless())
        _ = try client.head()
      }
      let clients = try bodies.map { body in
        let client = try service.client()
        try client.post("/v1/chat/completions", body)
        return client
      }
      #expect(try eventually { try service.queued() == 4 })
      // Long waits of the drain itself end with what it waits for.
      let drained = Guarded<Bool?>(nil)
      let end = DispatchSemaphore(value: 0)
      onThread { [service = service.service] in
        let isDone = service.drain(seconds: Double(ServiceClient.seconds))
        drained.withLock { $0 = isDone }
        end.signal()
      }
      #expect(try eventually { try service.get("/health").status == 503 })
      let late = try service.post("/v1/chat/completions", bodies[0])
      #expect(late.status == 503 && late.headers["retry-after"] == "5" && late.text.contains("shutting down"))
      #expect(try service.post("/tokenize", ["content": "a"]).status == 503)
      #expect(drained.withLock { $0 } == nil, "drained before what is at work has ended")
      for client in blockers { client.disconnect() }
      for (client, whole) in zip(clients, expected) {
        let reply = try client.reply()
        #expect(reply.status == 200)
        #expect(try reply.json["choices"] == whole["choices"])
      }
      #expect(end.wait(timeout: .now() + .seconds(ServiceClient.seconds)) == .success)
      #expect(drained.withLock { $0 } == true)
      service.server.drain(seconds: 5)
      #expect(service.hasEnded())
    }

    @Test func whatLeavesSaysSoAndStillAnswers() throws {
      let service = try ServiceUnderTest(try Drill.model())
      let body = try Drill.question().chat()
      let expected = try service.answer("/v1/chat/completions", body)
      service.service.leave()
      let health = try service.get("/health")
      #expect(health.status == 503 && health.text.contains("shutting down"))
      #expect(try service.answer("/v1/chat/completions", body)["choices"] == expected["choices"])
      #expect(service.service.drain(seconds: Double(ServiceClient.seconds)))
      #expect(try service.post("/v1/chat/completions", body).status == 503)
      #expect(try service.get("/health").status == 503)
    }

    /// Told to go while the model is loading: whoever asks still gets an answer, no balancer sends anybody.
    @Test func whatLeavesWhileItLoadsNeverBecomesReady() throws {
      let service = try ServiceUnderTest(nil)
      service.service.leave()
      #expect(try !service.service.begin(with: try Drill.model()))
      #expect(try service.get("/health").status == 503)
      #expect(try service.post("/v1/chat/completions", Drill.chat("Hello", tokens: 1)).status == 200)
      #expect(service.service.drain(seconds: Double(ServiceClient.seconds)))
      #expect(try !service.service.begin(with: try Drill.model()))
    }

    @Test func aDrainDoesNotWaitForEver() throws {
      let service = try ServiceUnderTest(try Drill.slowModel()) { $0.parallel = 1 }
      let client = try service.client()
      try client.post("/v1/chat/completions", Drill.endless())
      _ = try client.head()
      #expect(!service.service.drain(seconds: 0.05))
      #expect(!service.service.drain(seconds: 0.05), "asked twice, it says that nobody is at work")
      service.server.drain(seconds: 0)
      #expect(service.hasEnded())
      #expect(throws: TestFailure.self) { while try client.event() != nil {} }
      // Cut off, the reply ends, too.
      #expect(service.service.drain(seconds: Double(ServiceClient.seconds)))
    }

    @Test func stoppingUnderLoadEndsEverything() throws {
      let service = try ServiceUnderTest(try Drill.slowModel()) { $0.parallel = 2 }
      let clients = try (0..<6).map { index in
        let client = try service.client()
        try client.post("/v1/chat/completions", Drill.endless("Number \(index)").with("stream", .bool(index % 2 == 0)))
        return client
      }
      #expect(try eventually { try service.queued() == 4 })
      service.server.stop()
      #expect(service.hasEnded())
      for client in clients {
        #expect(throws: TestFailure.self) { while try client.reply().status > 0 {} }
      }
      #expect(service.service.drain(seconds: Double(ServiceClient.seconds)))
    }
  }
}
