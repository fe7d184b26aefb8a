import Occam
import OccamCore
import OccamImages
import OccamTestSupport
import Testing

/// A session on the calling thread: turns, limits, prompts, errors.
@Suite(.serialized) struct SessionTests {
  private func session(_ options: SessionOptions = SessionOptions()) throws -> Session {
    try TestModel.pair().makeSession(options)
  }

  // MARK: Conversations

  @Test func severalTurnsWithSeveralImages() throws {
    let session = try session()
    let first = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(6))
    #expect(first.pruning.map(\.image) == [0] && first.cachedTokens == 0)
    let second = try session.respond(to: "And these?", images: [TestModel.cup, TestModel.cat], options: .greedy(6))
    #expect(second.pruning.map(\.image) == [0, 1, 2])
    #expect(second.promptTokens > first.promptTokens + first.generatedTokens + 2 * 64)
    let third = try session.respond(to: "Thank you.", options: .greedy(6))
    #expect(third.pruning.count == 3 && third.timings.imageEncode == 0)
    #expect(third.promptTokens > second.promptTokens)
    // The two showings of one photo are pruned by the same encoder scores.
    #expect(third.pruning[0].stage1Indices == third.pruning[2].stage1Indices)
  }

  /// Without images, and without pruning, a turn takes over everything that the cache holds of the turns before.
  @Test func textTurnsReuseTheCache() throws {
    let session = try session()
    let first = try session.respond(to: "Where is the cat?", options: .greedy(5))
    let second = try session.respond(to: "And the dog?", options: .greedy(5))
    #expect(second.cachedTokens >= first.promptTokens - 1)
    // The same conversation computed at once: what was reused is what would have been computed.
    let fresh = try self.session()
    _ = try fresh.respond(to: "Where is the cat?", options: .greedy(5))
    #expect(try fresh.respond(to: "And the dog?", options: .greedy(5)).text == second.text)
    var off = GenerationOptions.greedy(5)
    off.pruning = .off
    let image = try self.session()
    let shown = try image.respond(to: "What is this?", images: [TestModel.cat], options: off)
    let asked = try image.respond(to: "What colour?", options: off)
    #expect(asked.cachedTokens >= shown.promptTokens - 1, "an unpruned image is not computed again")
  }

  @Test func systemPromptAndClear() throws {
    let session = try session()
    let plain = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(8))
    session.clear()
    #expect(session.entryCounts.allSatisfy { $0 == 0 })
    let again = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(8))
    #expect(again.text == plain.text && again.promptTokens == plain.promptTokens && again.pruning.count == 1)
    session.clear()
    session.setSystemPrompt("You look at a photo and describe it.")
    let told = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(8))
    #expect(told.promptTokens > plain.promptTokens)
    session.clear()
    session.setSystemPrompt(nil)
    let last = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(8))
    #expect(last.text == plain.text)
  }

  /// A callback may ask its own session: what would wait for the reply is an error, or is done when the reply has ended.
  @Test func callbacksMayAskTheirSession() throws {
    let session = try session()
    var (images, map, refused): (Int, Int, OccamError?) = (0, 0, nil)
    let reply = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(4)) { event in
      guard case .token = event, refused == nil else { return }
      images = session.imageCount
      map = (try? session.keepMap(image: 0).count) ?? 0
      do throws(OccamError) { try session.respond(to: "Again?") } catch { refused = error }
      session.setSystemPrompt("You look at a photo.")
      session.clear()
    }
    #expect(images == 1 && map > 0 && refused?.code == .invalidOption && reply.generatedTokens == 4)
    #expect(session.imageCount == 0 && session.entryCounts.allSatisfy { $0 == 0 })
    let next = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(4))
    #expect(next.pruning.count == 1 && next.promptTokens > reply.promptTokens, "the system prompt came after the reply")
  }

  @Test func rawPromptsAreConversationsOfTheirOwn() throws {
    let session = try session()
    _ = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(2))
    let raw = try session.respond(to: "A <__media__> and", images: [TestModel.cup], options: .greedy(4, raw: true))
    #expect(raw.pruning.map(\.image) == [0])
    let expected = try self.session().respond(
      to: "A <__media__> and", images: [TestModel.cup], options: .greedy(4, raw: true))
    #expect(raw.text == expected.text && raw.pruning[0].keptIndices == expected.pruning[0].keptIndices)
    // Raw again with another image: nothing of the first is left, in the cells neither.
    for pruned in [true, false] {
      var options = GenerationOptions.greedy(4, raw: true)
      if !pruned { options.pruning = .off }
      let other = try session.respond(to: "A <__media__> and", images: [TestModel.cat], options: options)
      let alone = try self.session().respond(to: "A <__media__> and", images: [TestModel.cat], options: options)
      #expect(other.text == alone.text && other.timings.imageEncode > 0)
    }
    let chat = try session.respond(to: "What is this?", images: [TestModel.cat], options: .greedy(4))
    #expect(chat.pruning.count == 1)
  }

  // MARK: Prompts that cannot be honoured

  @Test(arguments: [0, 1, 3]) func markersMustMatchImages(markers: Int) throws {
    let session = try session()
    let prompt = "A" + String(repeating: " <__media__>", count: markers) + " b"
    let error = failure {
      _ = try session.respond(to: prompt, images: [TestModel.cat, TestModel.cup], options: .greedy(1, raw: true))
    }
    #expect(error?.code == .invalidOption)
    let counted = markers == 0 ? "no" : "\(markers)"
    #expect(error?.message.contains("\(counted) image mark") == true && error?.message.contains("2 images") == true)
    #expect(try session.respond(to: "A b", options: .greedy(3, raw: true)).generatedTokens == 3)
  }

  @Test func emptyPrompts() throws {
    let session = try session()
    // BOS alone.
    #expect(try session.respond(to: "", options: .greedy(3, raw: true)).promptTokens == 1)
    #expect(try session.respond(to: "", options: .greedy(3)).generatedTokens == 3)
    #expect(try session.respond(to: "", images: [TestModel.cat], options: .greedy(3)).generatedTokens == 3)
    // An image and nothing behind it: no question to prune by, and the last row is the image's.
    let bare = try self.session().respond(to: "<__media__>", images: [TestModel.cat], options: .greedy(3, raw: true))
    #expect(bare.promptTokens == 65 && bare.pruning[0].kept == bare.pruning[0].stage1)
    #expect(try session.respond(to: "No tokens.", options: .greedy(0)).generatedTokens == 0)
  }

  @Test func imagesThatCannotBeShown() throws {
    let textOnly = try TestModel.textOnly().makeSession()
    let error = failure { _ = try textOnly.respond(to: "What?", images: [TestModel.cat], options: .greedy(1)) }
    #expect(error?.code == .mismatch && error?.message.contains("--mmproj") == true)
    #expect(try textOnly.respond(to: "What?", options: .greedy(3)).generatedTokens == 3)

    let session = try session()
    let missing = failure {
      _ = try session.respond(to: "What?", images: [.file("/nowhere/photo.jpg")], options: .greedy(1))
    }
    #expect(missing?.code == .file && missing?.description.contains("/nowhere/photo.jpg") == true)
    for bytes in [[], Array("no image".utf8), [0x89, 0x50, 0x4E, 0x47]] as [[UInt8]] {
      let broken = failure {
        _ = try session.respond(
          to: "What?", images: [TestModel.cup, .bytes(bytes, name: "upload.jpg")], options: .greedy(1))
      }
      #expect(broken?.code == .invalidImage && broken?.description.contains("upload.jpg") == true)
    }
    // The good image of a failed turn is not part of the conversation either.
    let metrics = try session.respond(to: "What?", images: [TestModel.cat], options: .greedy(3))
    #expect(metrics.pruning.count == 1)
    #expect(code { _ = try session.keepMap(image: 1) } == .invalidOption)
  }

  @Test func keepMapsHaveThePhotosSize() throws {
    let session = try session()
    #expect(code { _ = try session.keepMap(image: 0) } == .invalidOption)
    _ = try session.respond(to: "What is this?", images: [TestModel.cat, TestModel.cup], options: .greedy(1))
    for (index, source) in [TestModel.cat, TestModel.cup].enumerated() {
      guard case .file(let path) = source else { continue }
      let photo = try decodeImage(try Files.read(path), subject: path)
      let map = try decodeImage(try session.keepMap(image: index), subject: "map")
      #expect(map.width == photo.width && map.height == photo.height)
      #expect(map.pixels != photo.pixels, "nothing is dimmed")
    }
    #expect(code { _ = try session.keepMap(image: 2) } == .invalidOption)
    #expect(code { _ = try session.keepMap(image: -1) } == .invalidOption)
  }

  // MARK: Limits

  @Test func aPromptLongerThanTheContext() throws {
    let session = try session(SessionOptions(contextLength: 60))
    let error = failure { _ = try session.respond(to: "What?", images: [TestModel.cat], options: .greedy(1)) }
    #expect(error?.code == .promptTooLong)
    let needed = try TestModel.pair().makeSession().respond(
      to: "What?", images: [TestModel.cat], options: .greedy(0)
    ).promptTokens
    #expect(error?.message.contains("\(needed) tokens") == true && error?.message.contains("holds 60") == true)
    #expect(try session.respond(to: "What?", options: .greedy(3)).generatedTokens == 3)
    // The prompt and one position more just fit.
    let exact = try self.session(SessionOptions(contextLength: needed + 1))
    #expect(try exact.respond(to: "What?", images: [TestModel.cat], options: .greedy(1)).generatedTokens == 1)
    let short = try self.session(SessionOptions(contextLength: needed))
    #expect(code { _ = try short.respond(to: "What?", images: [TestModel.cat], options: .greedy(1)) } == .promptTooLong)
    #expect(code { _ = try self.session(SessionOptions(contextLength: 0)) } == .invalidOption)
  }

  @Test func aContextThatFillsUp() throws {
    let session = try session(SessionOptions(contextLength: 40))
    var tokens = 0
    let error = failure {
      _ = try session.respond(to: "What?", options: .greedy(nil)) { event in
        if case .token = event { tokens += 1 }
      }
    }
    #expect(error?.code == .contextFull && error?.message.contains("40") == true)
    let prompt = try session.respond(to: "What?", options: .greedy(0)).promptTokens
    // Positions prompt..<40 hold tokens, and one more came out of the last.
    #expect(tokens == 40 - prompt + 1)
    session.clear()
    #expect(try session.respond(to: "What?", options: .greedy(40 - prompt + 1)).stop == .length)
  }

  @Test func impossiblePruningOptions() throws {
    let session = try session()
    func attempt(_ change: (inout GenerationOptions.Pruning) -> Void) -> OccamError.Code? {
      var options = GenerationOptions.greedy(1)
      change(&options.pruning)
      return code { _ = try session.respond(to: "What?", images: [TestModel.cat], options: options) }
    }
    #expect(attempt { $0.layer = 0 } == .invalidOption)
    #expect(attempt { $0.layer = 5 } == .invalidOption)
    #expect(attempt { $0.lambda1 = -1 } == .invalidOption)
    #expect(attempt { $0.lambda2 = .nan } == .invalidOption)
    #expect(attempt { $0.maxVisualTokens = 0 } == .invalidOption)
    #expect(attempt { $0.visualBudget = 0 } == .invalidOption)
    #expect(attempt { $0.layer = 4 } == nil)
  }
}
