import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Testing

/// Replies as asynchronous sequences, cancelling, and sessions side by side.
@Suite(.serialized) struct StreamTests {
  private func session() throws -> Session { try TestModel.pair().makeSession() }

  /// What the same reply is when nobody interferes.
  private func expected(_ tokens: Int) throws -> GenerationMetrics {
    try session().respond(to: "What is this?", images: [TestModel.cat], options: .greedy(tokens))
  }

  @Test func streamsTheReplyAndItsMetrics() async throws {
    let session = try session()
    let stream = session.reply(to: "What is this?", images: [TestModel.cat], options: .greedy(12))
    var text = ""
    var ids: [Int32] = []
    for try await token in stream {
      text += token.text
      if token.id >= 0 { ids.append(token.id) }
    }
    let expected = try expected(12)
    #expect(text == expected.text && ids.count == 12)
    let metrics = try #require(stream.metrics)
    #expect(metrics.text == text && metrics.generatedTokens == 12 && metrics.stop == .length)
    #expect(metrics.promptTokens == expected.promptTokens)
    #expect(metrics.timings.timeToFirstToken > 0 && metrics.timings.prefill > 0 && metrics.timings.imageEncode > 0)
    #expect(metrics.kernel == session.model.kernel && metrics.threads == 2)
  }

  @Test func errorsEndTheStream() async throws {
    let session = try session()
    let stream = session.reply(to: "What?", images: [.file("/nowhere/photo.png")], options: .greedy(4))
    await #expect(throws: OccamError.self) { for try await _ in stream {} }
    #expect(stream.metrics == nil)
    #expect(try session.respond(to: "What?", options: .greedy(3)).generatedTokens == 3)
  }

  /// A loop that is left stops the computation, although the stream itself is still held. Without a limit on tokens the
  /// reply would fill the context and end in an error.
  @Test func leavingTheLoopCancels() async throws {
    let session = try TestModel.slow().makeSession()
    let stream = session.reply(to: "What is this?", images: [TestModel.cat], options: .greedy(nil))
    try await OwnQueue.run { _ in
      var seen = 0
      for try await _ in stream {
        seen += 1
        if seen == 3 { break }
      }
    }
    // Waits for the reply in progress.
    let next = try session.respond(to: "And now?", options: .greedy(4))
    #expect(next.generatedTokens == 4)
    let metrics = try #require(stream.metrics)
    #expect(metrics.stop == .cancelled && metrics.generatedTokens >= 3)
  }

  /// So does a stream that nobody looks at.
  @Test func aDroppedStreamCancels() throws {
    let session = try session()
    _ = session.reply(to: "What is this?", images: [TestModel.cat], options: .greedy(600))
    // Cancelled before its first token, the turn never was; cancelled later, its few tokens are part of the conversation,
    // as all 600 would be.
    let next = try session.respond(to: "And now?", options: .greedy(4))
    #expect(next.generatedTokens == 4 && next.promptTokens < 500)
  }

  @Test func cancellingTheTaskEndsTheReply() async throws {
    let session = try TestModel.slow().makeSession()
    let stream = session.reply(to: "What is this?", images: [TestModel.cat], options: .greedy(nil))
    let count = try await OwnQueue.run { queue in
      let (started, signal) = AsyncStream<Void>.makeStream()
      let task = Task(executorPreference: queue) {
        var count = 0
        for try await _ in stream {
          count += 1
          signal.yield()
        }
        return count
      }
      for await _ in started { break }
      task.cancel()
      return try await task.value
    }
    #expect(count >= 1)
    #expect(try session.respond(to: "And now?", options: .greedy(4)).generatedTokens == 4)
    #expect(stream.metrics?.stop == .cancelled)
  }

  /// Cancelling at each stage: before the first token an error, and the session is as if never asked.
  @Test(arguments: ["encoding", "prefill", "token"]) func cancellingAtEachStage(stage: String) throws {
    let session = try session()
    var reached = false
    func ask() throws -> GenerationMetrics {
      try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(20)) { event in
        switch event {
        case .encoding(_, _, let fraction) where stage == "encoding" && fraction > 0: reached = true
        case .prefill(_, _, let fraction) where stage == "prefill" && fraction > 0: reached = true
        case .token where stage == "token": reached = true
        default: return
        }
        session.cancel()
      }
    }
    if stage == "token" {
      let metrics = try ask()
      #expect(metrics.stop == .cancelled && metrics.generatedTokens == 1)
    } else {
      let error = failure { _ = try ask() }
      #expect(error?.code == .cancelled)
      #expect(session.entryCounts.allSatisfy { $0 == 0 })
    }
    #expect(reached)
    session.clear()
    let again = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(12))
    #expect(try again.text == expected(12).text && again.stop == .length)
  }

  /// Without clearing, too: a cancelled prefill leaves the turns before it, and nothing else.
  @Test func aCancelledTurnLeavesTheConversation() throws {
    func conversation(cancelling: Bool) throws -> String {
      let session = try session()
      _ = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(5))
      if cancelling {
        let error = failure {
          _ = try session.respond(to: "Something else", images: [TestModel.cup], options: .greedy(5)) { event in
            if case .prefill(_, _, let fraction) = event, fraction > 0 { session.cancel() }
          }
        }
        #expect(error?.code == .cancelled)
      }
      return try session.respond(to: "What colour is it?", options: .greedy(12)).text
    }
    #expect(try conversation(cancelling: true) == conversation(cancelling: false))
  }

  /// A cancel reaches a reply that waits for its turn.
  @Test func cancellingBeforeComputingBegins() async throws {
    let session = try session()
    let first = session.reply(to: "What is this?", images: [TestModel.cat], options: .greedy(nil))
    let second = session.reply(to: "And this?", images: [TestModel.cup], options: .greedy(nil))
    session.cancel()
    await #expect(throws: OccamError.self) { for try await _ in second {} }
    do { for try await _ in first {} } catch { #expect((error as? OccamError)?.code == .cancelled) }
    // Later replies are not concerned.
    #expect(try session.respond(to: "And now?", options: .greedy(4)).stop == .length)
  }

  @Test func sessionsOfOneModelSideBySide() throws {
    let model = try TestModel.pair()
    let questions = ["What is this?", "Describe the colour of the table.", "Where is the cat?"]
    let images = [TestModel.cat, TestModel.cup, TestModel.cat]
    let alone = try zip(questions, images).map {
      try model.makeSession().respond(to: $0, images: [$1], options: .greedy(16)).text
    }
    let sessions = try questions.map { _ in try model.makeSession() }
    let texts = Guarded<[Int: String]>([:])
    DispatchQueue.concurrentPerform(iterations: questions.count) { index in
      let metrics = try? sessions[index].respond(to: questions[index], images: [images[index]], options: .greedy(16))
      texts.withLock { $0[index] = metrics?.text }
    }
    #expect(texts.withLock { texts in questions.indices.map { texts[$0] } } == alone)
    #expect(Set(alone).count == 3)
  }
}
