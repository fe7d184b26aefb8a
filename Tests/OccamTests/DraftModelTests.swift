import Occam
import OccamCore
import OccamGGUF
import OccamTestSupport
import Testing

/// Guesses by a second model.
@Suite(.serialized) struct DraftModelTests {
  private static func model(_ files: (text: String, projector: String?), draft: String?) throws -> VisionLanguageModel {
    var options = ModelOptions(threads: 2)
    options.draftModel = draft
    return try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
  }

  private static func options(_ tokens: Int, seed: UInt64 = 0) -> GenerationOptions {
    var options = SpeculationTests.options(tokens, seed: seed)
    options.speculation.minProbability = 0
    return options
  }

  /// It agrees with itself: nearly all guesses are right, in every family, those with states of fixed size among them. A
  /// prompt's chunks round other than single tokens, so that a few may not be.
  @Test(arguments: SpeculationTests.families) func aModelDraftsForItself(family: String) throws {
    let files = try Fixture.makeFiles(family, "Q8_0")
    let plain = try TestModel.family(family)
    let model = try DraftModelTests.model(files, draft: files.text)
    #expect(model.weightsBytes > plain.weightsBytes)
    let one = try plain.makeSession(SessionOptions(contextLength: 4096))
    let other = try model.makeSession(SessionOptions(contextLength: 4096))
    for turn in 0..<3 {
      let options = DraftModelTests.options(90)
      let expected = try SpeculationTests.ask(one, SpeculationTests.question, options).reply
      let found = try SpeculationTests.ask(other, SpeculationTests.question, options)
      #expect(found.reply == expected, "turn \(turn)")
      let metrics = try #require(found.metrics)
      #expect(metrics.decodePasses * 3 < metrics.generatedTokens, "turn \(turn)")
    }
  }

  /// Another one's guesses are wrong, and few; photos are not shown to it.
  @Test(arguments: ["g1", "gemma3-a", "qwen35-a"]) func aStrangerDrafts(family: String) throws {
    let files = try Fixture.makeFiles(family, "Q8_0")
    let stranger = try Fixture.make(family, "F16", seed: 4711).text
    let model = try DraftModelTests.model(files, draft: stranger)
    let plain = try TestModel.family(family)
    for seed in 0...2 as ClosedRange<UInt64> {
      let options = DraftModelTests.options(100, seed: seed)
      let expected = try SpeculationTests.ask(
        try plain.makeSession(), SpeculationTests.question, options, images: [TestModel.cat])
      let found = try SpeculationTests.ask(
        try model.makeSession(), SpeculationTests.question, options, images: [TestModel.cat])
      #expect(found.reply == expected.reply)
      let metrics = try #require(found.metrics)
      let wrong = metrics.draftedTokens - metrics.acceptedTokens
      #expect(metrics.drafts > 0)
      #expect(wrong <= DraftBudget.start + metrics.acceptedTokens + 100 / DraftBudget.tokensPerGuess)
    }
  }

  /// Unsure of everything, it says nothing, and is asked less and less.
  @Test func unsureModelsAreSilent() throws {
    let files = try Fixture.makeFiles("g1", "Q8_0")
    let model = try DraftModelTests.model(files, draft: files.text)
    var options = DraftModelTests.options(40)
    options.speculation.minProbability = 1
    let found = try SpeculationTests.ask(try model.makeSession(), "What is it?", options)
    #expect(found.metrics?.draftedTokens == 0)
    options.speculation = Speculation()
    options.speculation.usesDraftModel = false
    let plain = try SpeculationTests.ask(try model.makeSession(), "What is it?", options)
    #expect(plain.reply == found.reply && plain.metrics?.drafts == 0)
  }

  /// Somebody leaves while the draft model reads or guesses.
  @Test func leavingInMidDraft() throws {
    let files = try Fixture.makeFiles("qwen35-a", "Q8_0")
    let model = try DraftModelTests.model(files, draft: files.text)
    let plain = try TestModel.family("qwen35-a").makeSession()
    let session = try model.makeSession()
    for end in [1, 2, 7, 12] {
      let options = DraftModelTests.options(30)
      let expected = try SpeculationTests.ask(plain, "What is it?", options) { if $0 == end { plain.cancel() } }
      let found = try SpeculationTests.ask(session, "What is it?", options) { if $0 == end { session.cancel() } }
      #expect(found.reply == expected.reply && found.reply.ids.filter { $0 >= 0 }.count == end)
    }
  }

  @Test func vocabulariesMustAgree() throws {
    let files = try Fixture.makeFiles("g1", "Q8_0")
    func refusal(_ draft: String) -> OccamError? { failure { _ = try DraftModelTests.model(files, draft: draft) } }
    func edited(_ change: (inout EditedModel) throws -> Void) throws -> String {
      var model = try EditedModel(files.text)
      try change(&model)
      return try model.write("draft.gguf")
    }
    var found = [refusal(try Fixture.makeFiles("smolvlm-a", "Q8_0").text)]
    found.append(refusal(try edited { $0.set("tokenizer.ggml.eos_token_id", .uint32(7)) }))
    let key = "tokenizer.ggml.tokens"
    guard case .array(.string(var tokens)) = try EditedModel(files.text).value(key) else {
      Issue.record("no tokens")
      return
    }
    let old = tokens[300]
    tokens = GGUFStrings(tokens.indices.map { $0 == 300 ? "other" : tokens[$0] })
    let other = refusal(try edited { $0.set(key, .array(.string(tokens))) })
    found.append(other)
    #expect(other?.message.contains("token 300 is 'other' here and '\(old)' there") == true)
    for error in found {
      #expect(error?.code == .mismatch)
      #expect(error?.subject.hasSuffix(".gguf") == true && error?.message.contains(files.text) == true)
    }
    // The plan refuses it, too, before anything is loaded.
    var options = ModelOptions()
    options.draftModel = try Fixture.makeFiles("smolvlm-a", "Q8_0").text
    #expect(failure { _ = try MemoryPlan(path: files.text, options: options) }?.code == .mismatch)
    #expect(refusal("/nowhere/draft.gguf")?.description.contains("/nowhere/draft.gguf") == true)
    #expect(refusal(try Fixture.make("g1", "Q8_0").projector)?.code != nil)
  }

  /// The same vocabulary, but a context that ends sooner than the conversation.
  @Test func shortContextsEndTheGuessing() throws {
    let files = try Fixture.makeFiles("g1", "Q8_0")
    let options = DraftModelTests.options(120)
    let plain = try TestModel.family("g1").makeSession()
    let expected = try SpeculationTests.ask(plain, SpeculationTests.question, options)
    let prompt = try #require(expected.metrics).promptTokens
    var short = try EditedModel(files.text)
    short.set("llama.context_length", .uint32(UInt32(prompt + 60)))
    let model = try DraftModelTests.model(files, draft: try short.write("short.gguf"))
    let found = try SpeculationTests.ask(try model.makeSession(), SpeculationTests.question, options)
    #expect(found.reply == expected.reply)
    let metrics = try #require(found.metrics)
    // The rest is decoded token by token.
    #expect((20...60).contains(metrics.acceptedTokens) && metrics.decodePasses >= 59)
  }

  /// Weights, cache and activations of the draft model are planned for, and copies of states of fixed size.
  @Test func memoryIsPlanned() throws {
    let files = try Fixture.makeFiles("qwen35-a", "Q8_0")
    let plain = try MemoryPlan(path: files.text, projector: files.projector)
    var options = ModelOptions()
    options.draftModel = files.text
    let drafting = try MemoryPlan(path: files.text, projector: files.projector, options: options)
    #expect(plain.draftWeightsBytes == 0 && drafting.draftWeightsBytes == plain.textWeightsBytes)
    #expect(drafting.activationBytes > plain.activationBytes)
    #expect(drafting.kvBytes(tokens: 4096) > plain.kvBytes(tokens: 4096))
    #expect(drafting.lines().contains { $0.hasPrefix("draft weights") })
    var lookup = Speculation()
    lookup.lookup = true
    let looking = try MemoryPlan(path: files.text, projector: files.projector, speculation: lookup)
    #expect(looking.kvBytes(tokens: 64) > plain.kvBytes(tokens: 64) && looking.draftWeightsBytes == 0)
    // A session stays below its plan.
    let model = try DraftModelTests.model(files, draft: files.text)
    var asked = DraftModelTests.options(60)
    asked.speculation.lookup = true
    let cost = try model.cost(of: [.user(SpeculationTests.question)], options: asked)
    let session = try model.makeSession()
    _ = try SpeculationTests.ask(session, SpeculationTests.question, asked)
    #expect(session.memoryBytes <= cost.bytes(replyTokens: 60))
  }
}
