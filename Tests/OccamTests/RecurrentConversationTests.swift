import Occam
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
