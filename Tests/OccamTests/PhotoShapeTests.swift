import Occam
import OccamCore
import OccamGGUF
import OccamImages
import OccamModels
import OccamTestSupport
import Testing

/// Photos of every shape, through the whole library, on each family that sees.
@Suite(.serialized) struct PhotoShapeTests {
  static let families = [
    "g1", "smolvlm-a", "gemma3-a", "next-a", "internvl-a", "qwen2vl-a", "qwen25vl-b", "qwen3vl-b", "qwen35-a", "lfm2-b",
    "gemma4-a", "gemma4-b",
  ]
  static let sizes = [(1, 1), (3, 5), (40, 4000), (4000, 40), (1080, 2000), (2000, 1), (1, 2000)]

  private static func photo(_ width: Int, _ height: Int, seed: UInt64 = 1) -> ImageSource {
    var generator = SeededGenerator(seed: seed)
    let pixels = (0..<width * height * 3).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    return .bytes(encodePNG(Image(width: width, height: height, pixels: pixels)), name: "\(width)x\(height).png")
  }

  private static func processor(_ family: String) throws -> any ImageProcessor {
    let projector = try #require(try Fixture.makeFiles(family, "Q8_0").projector)
    return try ModelRegistry.visionPlan(GGUFFile(path: projector)).processor
  }

  @Test(arguments: families) func everyShapeIsAnswered(family: String) throws {
    let model = try TestModel.family(family)
    let processor = try PhotoShapeTests.processor(family)
    let session = try model.makeSession()
    for (width, height) in PhotoShapeTests.sizes {
      let photo = PhotoShapeTests.photo(width, height)
      let layout = processor.layout(width: width, height: height)
      let prepared = processor.prepare(Image(width: width, height: height, filledWith: (90, 60, 30)))
      #expect(prepared.layout == layout, "\(width) x \(height)")
      for (index, window) in layout.tiles.enumerated() where index < 2 || index == layout.tiles.count - 1 {
        let tile = prepared.tile(index)
        #expect(tile.placement.originalWidth == width && tile.placement.originalHeight == height)
        #expect(window.count >= 0)
      }
      var options = GenerationOptions.greedy(2)
      let pruned = try session.respond(to: "What is this?", images: [photo], options: options)
      #expect(pruned.generatedTokens == 2 && pruned.pruning.count == 1)
      let map = try decodeImage(try session.keepMap(image: 0), subject: "map")
      #expect(map.width == width && map.height == height)
      session.clear()
      options.pruning = .off
      let whole = try session.respond(to: "What is this?", images: [photo], options: options)
      #expect(whole.generatedTokens == 2 && whole.promptTokens == pruned.promptTokens)
      #expect(try session.keepMap(image: 0).count > 0)
      session.clear()
      #expect(try session.imageEmbeddings(photo).count == layout.imageTokens)
      session.clear()
    }
  }

  /// Larger than any canvas: refused or answered, and the plan from its header says the same.
  @Test(arguments: families) func aPanoramaIsAnswered(family: String) throws {
    let (width, height) = (20_000, 1080)
    let photo = ImageSource.bytes(
      encodePNG(Image(width: width, height: height, filledWith: (10, 200, 90))), name: "panorama.png")
    let layout = try PhotoShapeTests.processor(family).layout(width: width, height: height)
    let session = try TestModel.family(family).makeSession()
    let reply = try session.respond(to: "What is this?", images: [photo], options: .greedy(2))
    #expect(reply.generatedTokens == 2)
    let learned = layout.frame.count { if case .learned = $0 { true } else { false } }
    #expect(reply.pruning.first?.total == layout.imageTokens - learned)
  }

  /// A photo of 12 megapixels in its own proportions: transformers' `smart_resize` makes 73 x 55 tokens of it, whether they
  /// have 24, 28 or 32 pixels; Gemma 4's arithmetic 19 x 14 at most 280, and 5 x 4 at most 24.
  @Test(arguments: [
    ("qwen2vl-a", 4015), ("qwen25vl-b", 4015), ("qwen3vl-a", 4015), ("qwen3vl-b", 4015), ("gemma4-a", 20),
    ("gemma4-b", 20), ("gemma4-c", 266),
  ]) func aLargePhotoIsAnswered(family: String, tokens: Int) throws {
    let (width, height) = (4000, 3000)
    let photo = ImageSource.bytes(
      encodePNG(Image(width: width, height: height, filledWith: (10, 200, 90))), name: "large.png")
    let session = try TestModel.family(family).makeSession(SessionOptions(contextLength: 4096))
    for prunes in [true, false] {
      var options = GenerationOptions.greedy(2)
      if !prunes { options.pruning = .off }
      let reply = try session.respond(to: "What is this?", images: [photo], options: options)
      #expect(reply.generatedTokens == 2 && reply.promptTokens > tokens)
      if prunes {
        #expect(reply.pruning.first?.total == tokens)
        let map = try decodeImage(try session.keepMap(image: 0), subject: "map")
        #expect(map.width == width && map.height == height)
      }
      session.clear()
    }
  }

  /// The same photo where it is cut: LFM2-VL's six tiles of 512 pixels and an overview of 18 x 13 tokens, as transformers'
  /// processor has it (Tests/Goldens/lfm2vl); 40 x 4000 pixels are not cut.
  @Test func aLargePhotoIsCut() throws {
    let session = try TestModel.family("lfm2-a").makeSession()
    for (width, height, tokens) in [(4000, 3000, 6 * 256 + 18 * 13), (40, 4000, 125)] {
      let photo = ImageSource.bytes(
        encodePNG(Image(width: width, height: height, filledWith: (10, 200, 90))), name: "large.png")
      for prunes in [true, false] {
        var options = GenerationOptions.greedy(2)
        if !prunes { options.pruning = .off }
        let reply = try session.respond(to: "What is this?", images: [photo], options: options)
        #expect(reply.generatedTokens == 2 && reply.promptTokens > tokens)
        if prunes {
          #expect(reply.pruning.first?.total == tokens)
          let map = try decodeImage(try session.keepMap(image: 0), subject: "map")
          #expect(map.width == width && map.height == height)
        }
        session.clear()
      }
    }
  }

  @Test(arguments: families) func conversationsAboutSeveralPhotos(family: String) throws {
    let session = try TestModel.family(family).makeSession()
    let photos = [(90, 70), (300, 40), (30, 200)].enumerated().map {
      PhotoShapeTests.photo($1.0, $1.1, seed: UInt64($0))
    }
    // Two in one prompt, a second turn about them, a third with another.
    let first = try session.respond(to: "Compare.", images: Array(photos.prefix(2)), options: .greedy(2))
    #expect(first.pruning.map(\.image) == [0, 1] && session.imageCount == 2)
    let second = try session.respond(to: "What is on the first?", options: .greedy(2))
    #expect(second.pruning.map(\.total) == first.pruning.map(\.total) && second.timings.imageEncode == 0)
    #expect(second.promptTokens > first.promptTokens)
    let third = try session.respond(to: "And this?", images: [photos[2]], options: .greedy(2))
    #expect(third.pruning.map(\.image) == [0, 1, 2] && session.imageCount == 3)
    for index in 0..<3 { #expect(try session.keepMap(image: index).count > 0) }
    // Pruned anew for each question from the same first stage.
    #expect(zip(third.pruning, first.pruning).allSatisfy { $0.stage1Indices == $1.stage1Indices })
    session.clear()
    #expect(session.imageCount == 0 && session.entryCounts.allSatisfy { $0 == 0 })
    let again = try session.respond(to: "Compare.", images: Array(photos.prefix(2)), options: .greedy(2))
    #expect(again.text == first.text && again.promptTokens == first.promptTokens)
  }

  /// The prompt's whole length is known before anything is encoded, to the position.
  @Test(arguments: families) func contextsThatAreTooSmall(family: String) throws {
    let model = try TestModel.family(family)
    let photo = PhotoShapeTests.photo(120, 90)
    let needed = try model.makeSession().respond(to: "What?", images: [photo], options: .greedy(0)).promptTokens
    func attempt(_ context: Int, raw: Bool = false) throws -> OccamError? {
      let session = try model.makeSession(SessionOptions(contextLength: context))
      let error = failure {
        _ = try session.respond(
          to: raw ? "<__media__> What?" : "What?", images: [photo], options: .greedy(1, raw: raw)
        ) { event in
          if case .encoding = event, context <= needed { Issue.record("encoded, though it cannot fit") }
        }
      }
      #expect(error == nil || session.imageCount == 0)
      return error
    }
    for context in [1, needed / 2, needed - 1, needed] {
      let error = try attempt(context)
      #expect(error?.code == .promptTooLong && error?.message.contains("needs \(needed) ") == true, "\(context)")
    }
    #expect(try attempt(1, raw: true)?.code == .promptTooLong)
    #expect(try attempt(needed + 1) == nil)
  }
}
