import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Testing

/// Conversations with models some of whose layers keep a state instead of entries: what is taken over from the turns
/// before is what would have been computed.
@Suite(.serialized) struct RecurrentConversationTests {
  static let families = ["lfm2-a", "lfm2-b"]

  private static func turn(_ question: String, _ answer: String? = nil) -> String {
    "<|im_start|>user\n\(question)<|im_end|>\n<|im_start|>assistant\n" + (answer.map { $0 + "<|im_end|>\n" } ?? "")
  }

  /// The second and third turn of a conversation against the same text as one prompt of a new session.
  @Test(arguments: families, [true, false]) func turnsAgreeWithOnePrompt(family: String, hasImage: Bool) throws {
    let model = try TestModel.family(family)
    var options = GenerationOptions.greedy(6)
    options.pruning = .off
    let session = try model.makeSession()
    let images = hasImage ? [TestModel.cat] : []
    let first = try session.respond(to: "What is this?", images: images, options: options)
    let second = try session.respond(to: "And now?", options: options)
    let third = try session.respond(to: "Why?", options: options)
    #expect(first.cachedTokens == 0 && second.cachedTokens > 0 && third.cachedTokens > second.cachedTokens)
    let shown = (hasImage ? "<__media__>" : "") + "What is this?"
    let history = RecurrentConversationTests.turn(shown, first.text)
    options.raw = true
    let whole = try model.makeSession().respond(
      to: history + RecurrentConversationTests.turn("And now?"), images: images, options: options)
    #expect(whole.promptTokens == second.promptTokens && whole.text == second.text)
    let longer = try model.makeSession().respond(
      to: history + RecurrentConversationTests.turn("And now?", second.text) + RecurrentConversationTests.turn("Why?"),
      images: images, options: options)
    #expect(longer.promptTokens == third.promptTokens && longer.text == third.text)
  }

  /// Pruning begins anew with each question: layers go back to what they knew before the first image.
  @Test(arguments: families) func prunedTurnsGoBackToTheImage(family: String) throws {
    let model = try TestModel.family(family)
    let session = try model.makeSession()
    let first = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(4))
    let second = try session.respond(to: "And now?", options: .greedy(4))
    let layout = try model.makeSession().layout(
      raw: RecurrentConversationTests.turn("<__media__>What is this?"), images: [TestModel.cat])
    let prefix = try #require(layout.ids.firstIndex { $0 == nil })
    #expect(second.cachedTokens > 0 && second.cachedTokens <= prefix)
    #expect(second.pruning.map(\.stage1Indices) == first.pruning.map(\.stage1Indices))
    // Unpruned from there on: nothing of what was dropped has stayed in a state.
    var off = GenerationOptions.greedy(4)
    off.pruning = .off
    let third = try session.respond(to: "Why?", options: off)
    let history =
      RecurrentConversationTests.turn("<__media__>What is this?", first.text)
      + RecurrentConversationTests.turn("And now?", second.text) + RecurrentConversationTests.turn("Why?")
    off.raw = true
    let whole = try model.makeSession().respond(to: history, images: [TestModel.cat], options: off)
    #expect(whole.promptTokens == third.promptTokens && whole.text == third.text)
  }
}

/// Who leaves within a pass leaves layers behind that are a token ahead of others: what is said next knows nothing of it.
@Suite(.serialized) struct BrokenPassTests {
  @Test(arguments: ["qwen35-a", "lfm2-a", "gemma3-a"]) func theNextTurnIsWhole(family: String) throws {
    let files = try Fixture.makeFiles(family, "F32")
    let model = try VisionLanguageModel(
      path: files.text, projector: files.projector, options: ModelOptions(threads: 1, kernel: "portable"))
    func turn(_ session: Session, _ question: String, _ tokens: Int, onToken: (Int) -> Void = { _ in }) throws
      -> SpeculationTests.Reply
    {
      try SpeculationTests.ask(session, question, SpeculationTests.options(tokens), onToken: onToken).reply
    }
    var broken = 0
    for attempt in 0..<24 {
      let session = try model.makeSession(SessionOptions(keyFormat: .f32, valueFormat: .f32))
      let leaver = DispatchQueue(label: "leaver")
      let first = try turn(session, "What is it?", 400) { count in
        guard count == 3 else { return }
        leaver.async {
          // At another place of a pass each time.
          let end = Clock.nanoseconds() + UInt64(attempt) * 37_000
          while Clock.nanoseconds() < end {}
          session.cancel()
        }
      }
      leaver.sync {}
      #expect(first.stop == .cancelled)
      let said = first.ids.count { $0 >= 0 }
      // Left between two passes.
      let other = try model.makeSession(SessionOptions(keyFormat: .f32, valueFormat: .f32))
      let same = try turn(other, "What is it?", 400) { if $0 == said { other.cancel() } }
      #expect(same.ids == first.ids)
      let next = try turn(session, "And now?", 3)
      let expected = try turn(other, "And now?", 3)
      if next.cachedTokens < expected.cachedTokens { broken += 1 }
      for (found, wanted) in zip(next.logprobs, expected.logprobs) {
        let difference = abs(try #require(found) - #require(wanted))
        #expect(difference < 1e-3, "attempt \(attempt)")
      }
    }
    // Entries are taken back; states are computed again.
    if family == "gemma3-a" { #expect(broken == 0) }
  }
}
