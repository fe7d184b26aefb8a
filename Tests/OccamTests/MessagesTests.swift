import Occam
import OccamCore
import OccamTestSupport
import Testing

/// Whole conversations in one call.
@Suite(.serialized) struct MessagesTests {
  private static func bytes(_ name: String) throws -> ImageSource {
    .bytes(try Files.read("\(Locations.photos)/\(name)"), name: name)
  }

  @Test func theSameAsTurnByTurn() throws {
    let model = try TestModel.pair()
    let byTurns = try model.makeSession()
    let first = try byTurns.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(8))
    let second = try byTurns.respond(to: "And this?", images: [TestModel.cup], options: .greedy(8))
    let messages: [Message] = [
      .user("What is this?", images: [TestModel.cat]), .assistant(first.text),
      .user("And this?", images: [TestModel.cup]),
    ]
    let whole = try model.makeSession().respond(to: messages, options: .greedy(8))
    #expect(whole.text == second.text)
    #expect(whole.pruning.map(\.keptIndices) == second.pruning.map(\.keptIndices))
    #expect(whole.encodedImages == 2 && whole.reusedImages == 0)
    // Pictures stand where the message has them.
    let behind = Message(role: "user", content: [.text("What is this?"), .image(TestModel.cat)])
    let front = try model.promptText([.user("What is this?", images: [TestModel.cat])])
    #expect(try model.promptText([behind]) != front)
  }

  @Test func whatBothBeginWithIsNotComputedAgain() throws {
    let session = try TestModel.pair().makeSession()
    var options = GenerationOptions.greedy(6)
    options.pruning = .off
    var messages: [Message] = [.user("What is this?", images: [try MessagesTests.bytes("cat.jpg")])]
    let first = try session.respond(to: messages, options: options)
    messages += [.assistant(first.text), .user("What colour?")]
    let second = try session.respond(to: messages, options: options)
    #expect(second.encodedImages == 0 && second.reusedImages == 1)
    #expect(second.cachedTokens >= first.promptTokens - 1)
    #expect(second.text == (try TestModel.pair().makeSession().respond(to: messages, options: options).text))
    // Another picture in the same place is another conversation.
    messages[0] = .user("What is this?", images: [try MessagesTests.bytes("cup.jpg")])
    let other = try session.respond(to: messages, options: options)
    #expect(other.encodedImages == 1 && other.cachedTokens < first.promptTokens)
    #expect(other.text == (try TestModel.pair().makeSession().respond(to: messages, options: options).text))
  }

  @Test func anAssistantsTextIsTheReplysBeginning() throws {
    let model = try TestModel.pair()
    let whole = try model.makeSession().respond(to: [.user("Say it.")], options: .greedy(10))
    try #require(whole.text.count > 4)
    let begun = String(whole.text.prefix(whole.text.count / 2))
    let text = try model.makeSession().respond(to: [.user("Say it."), .assistant(begun)], options: .greedy(1))
    let prompt = try model.promptTokens([.user("Say it.")])
    #expect(text.promptTokens > prompt)
    #expect(throws: OccamError.self) { try model.makeSession().respond(to: [.assistant("x")]) }
    #expect(throws: OccamError.self) { try model.makeSession().respond(to: [Message]()) }
  }

  @Test func aFailedConversationLeavesTheSessionUsable() throws {
    let session = try TestModel.pair().makeSession()
    let good: [Message] = [.user("What is this?", images: [TestModel.cat])]
    let text = try session.respond(to: good, options: .greedy(6)).text
    let bad: [Message] = [.user("x", images: [.bytes([1, 2, 3], name: "rubbish")])]
    #expect(throws: OccamError.self) { try session.respond(to: bad, options: .greedy(6)) }
    #expect(session.imageCount == 0)
    #expect(try session.respond(to: good, options: .greedy(6)).text == text)
    let stop = Cancellation()
    stop.cancel()
    #expect(throws: OccamError.self) { try session.respond(to: good, options: .greedy(6), cancellation: stop) }
    #expect(try session.respond(to: good, options: .greedy(6)).text == text)
  }

  @Test func tokensAreCountedFromTheHeaders() throws {
    for family in ["g1", "qwen2vl-a", "smolvlm-a", "gemma3-a", "internvl-a"] {
      let model = try TestModel.family(family)
      let messages: [Message] = [
        .system("Be short."), .user("What is this?", images: [TestModel.cat, TestModel.cup]), .assistant("Two."),
        .user("Which?"),
      ]
      let metrics = try model.makeSession().respond(to: messages, options: .greedy(1))
      #expect(try model.promptTokens(messages) == metrics.promptTokens, "\(family)")
    }
  }

  @Test func toolsReachTheTemplateAndTheirTextsStayText() throws {
    let model = try TestModel.family("qwen3-text")
    var options = GenerationOptions.greedy(1)
    options.tools = [Tool(name: "look", description: "<|im_end|>", parameters: #"{"type":"object"}"#)]
    let messages: [Message] = [.user("x")]
    if try model.promptText(messages, options: options).contains("look") {
      let with = try model.promptTokens(messages, options: options)
      #expect(with > (try model.promptTokens(messages)))
    }
    options.tools[0].parameters = "[1]"
    #expect(throws: OccamError.self) { try model.promptTokens(messages, options: options) }
    options.tools = []
    options.templateVariables = "nonsense"
    #expect(throws: OccamError.self) { try model.promptTokens(messages, options: options) }
  }

  // MARK: Shared encodings

  @Test func aPictureIsEncodedOnceForAllSessions() throws {
    let model = try TestModel.pair()
    let cache = ImageCache(byteLimit: 64 << 20)
    var sessionOptions = SessionOptions()
    sessionOptions.imageCache = cache
    let messages: [Message] = [.user("What is this?", images: [try MessagesTests.bytes("cat.jpg")])]
    let first = try model.makeSession(sessionOptions).respond(to: messages, options: .greedy(6))
    let second = try model.makeSession(sessionOptions).respond(to: messages, options: .greedy(6))
    #expect(first.encodedImages == 1 && second.encodedImages == 0 && second.reusedImages == 1)
    #expect(second.text == first.text && second.pruning[0].keptIndices == first.pruning[0].keptIndices)
    // Unpruned, the encoder runs without a register: another encoding.
    var off = GenerationOptions.greedy(6)
    off.pruning = .off
    let unpruned = try model.makeSession(sessionOptions).respond(to: messages, options: off)
    #expect(unpruned.encodedImages == 1)
    #expect(unpruned.text == (try model.makeSession().respond(to: messages, options: off).text))
    #expect(cache.counts.hits == 1 && cache.counts.misses == 2 && cache.counts.images == 2)
    // Another model's encoder made something else of the same file.
    let other = try TestModel.family("g2")
    #expect(try other.makeSession(sessionOptions).respond(to: messages, options: .greedy(2)).encodedImages == 1)
    cache.removeAll()
    #expect(cache.counts.images == 0 && cache.counts.bytes == 0)
  }

  /// A comment in the file changes its bytes, not the picture.
  @Test func otherFilesOfTheSamePictureAreNotEncoded() throws {
    let model = try TestModel.pair()
    let cache = ImageCache(byteLimit: 64 << 20)
    var sessionOptions = SessionOptions()
    sessionOptions.imageCache = cache
    let file = try Files.read("\(Locations.photos)/cat.jpg")
    func ask(_ bytes: [UInt8]) throws -> GenerationMetrics {
      let messages: [Message] = [.user("What is this?", images: [.bytes(bytes, name: "photo")])]
      return try model.makeSession(sessionOptions).respond(to: messages, options: .greedy(6))
    }
    let first = try ask(file)
    let comment: [UInt8] = [0xFF, 0xFE, 0, 4] + Array("hi".utf8)
    let second = try ask(Array(file[..<2]) + comment + Array(file[2...]))
    #expect(first.encodedImages == 1 && second.encodedImages == 0 && second.text == first.text)
    // One bit of the picture changes it.
    var changed = file
    changed[file.count - 300] ^= 1
    #expect(try ask(changed).encodedImages == 1)
    #expect(cache.counts.hits == 1 && cache.counts.images == 2)
  }

  @Test func theCacheHoldsItsLimit() throws {
    let model = try TestModel.pair()
    func ask(_ cache: ImageCache, _ name: String) throws -> Int {
      var options = SessionOptions()
      options.imageCache = cache
      let messages: [Message] = [.user("What?", images: [try MessagesTests.bytes(name)])]
      return try model.makeSession(options).respond(to: messages, options: .greedy(1)).encodedImages
    }
    let roomy = ImageCache(byteLimit: 1 << 30)
    for name in ["cat.jpg", "cup.jpg", "cat.png"] { #expect(try ask(roomy, name) == 1) }
    let total = roomy.counts.bytes
    // Room for any two.
    let tight = ImageCache(byteLimit: total - 1)
    for name in ["cat.jpg", "cup.jpg"] { _ = try ask(tight, name) }
    #expect(try ask(tight, "cat.jpg") == 0)
    #expect(try ask(tight, "cat.png") == 1)
    #expect(tight.counts.bytes <= total - 1)
    #expect(try ask(tight, "cat.jpg") == 0, "the one used last stays")
    #expect(try ask(tight, "cup.jpg") == 1, "the one used longest ago went")
    let none = ImageCache(byteLimit: 0)
    #expect(try ask(none, "cat.jpg") == 1 && ask(none, "cat.jpg") == 1)
    #expect(none.counts.bytes == 0)
  }
}
