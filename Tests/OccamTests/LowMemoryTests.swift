import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Testing

/// `ModelOptions.lowMemory`: the encoder's weights are there while pictures are encoded, and answers are the same.
@Suite(.serialized) struct LowMemoryTests {
  private static func model(lowMemory: Bool = true) throws -> VisionLanguageModel {
    let files = try Fixture.make("g1", "F16")
    var options = ModelOptions(threads: 2)
    options.lowMemory = lowMemory
    return try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
  }

  /// What a turn says, and whether the weights were there at each of its events.
  private static func turn(
    _ session: Session, _ images: [ImageSource], _ model: VisionLanguageModel, pruned: Bool = true
  ) throws -> (text: String, encoding: Set<Bool>, later: Set<Bool>) {
    var (encoding, later): (Set<Bool>, Set<Bool>) = ([], [])
    var options = GenerationOptions.greedy(4)
    options.pruning.enabled = pruned
    let metrics = try session.respond(to: "What is this?", images: images, options: options) { event in
      let isThere = model.holdsVisionWeights
      if case .encoding = event { encoding.insert(isThere) } else { later.insert(isThere) }
    }
    return (metrics.text, encoding, later)
  }

  @Test func theWeightsAreThereWhileTheyAreUsed() throws {
    let model = try LowMemoryTests.model()
    let plain = try LowMemoryTests.model(lowMemory: false)
    #expect(!model.holdsVisionWeights && plain.holdsVisionWeights)
    #expect(model.weightsBytes < plain.weightsBytes)
    let (session, other) = (try model.makeSession(), try plain.makeSession())
    let turns: [(images: [ImageSource], pruned: Bool)] = [
      ([TestModel.cat], true), ([], true), ([TestModel.cup, TestModel.cat], true),
      // The images are encoded again, without scores.
      ([], false), ([], false),
    ]
    for (index, turn) in turns.enumerated() {
      let found = try LowMemoryTests.turn(session, turn.images, model, pruned: turn.pruned)
      #expect(found.text == (try LowMemoryTests.turn(other, turn.images, plain, pruned: turn.pruned).text))
      let encodes = !turn.images.isEmpty || index == 3
      #expect(found.encoding == (encodes ? [true] : []), "turn \(index)")
      #expect(found.later == [false], "turn \(index)")
      #expect(!model.holdsVisionWeights)
    }
    #expect(try session.keepMap(image: 0) == other.keepMap(image: 0) && !model.holdsVisionWeights)
  }

  @Test func plansTellTheTruth() throws {
    let files = try Fixture.make("g1", "F16")
    var options = ModelOptions()
    let all = try MemoryPlan(path: files.text, projector: files.projector, options: options)
    options.lowMemory = true
    let plan = try MemoryPlan(path: files.text, projector: files.projector, options: options)
    let cells = plan.kvBytes(tokens: plan.visualTokens + 320)
    #expect(plan.visionWeightsBytes == all.visionWeightsBytes && plan.lowMemory && !all.lowMemory)
    #expect(all.totalBytes - plan.totalBytes == min(plan.visionWeightsBytes, cells))
    // A conversation pays for the weights that its pictures bring.
    let (model, plain) = (try LowMemoryTests.model(), try LowMemoryTests.model(lowMemory: false))
    for (images, bytes) in [([], 0), ([TestModel.cat], plan.visionWeightsBytes)] {
      let messages: [Message] = [.user("What?", images: images)]
      #expect(try model.cost(of: messages).workingBytes - plain.cost(of: messages).workingBytes == bytes)
    }
    #expect(plain.weightsBytes - model.weightsBytes == plan.visionWeightsBytes)
  }

  @Test func sessionsShareThem() throws {
    let model = try LowMemoryTests.model()
    let wanted = try LowMemoryTests.turn(model.makeSession(), [TestModel.cat], model).text
    let sessions = try (0..<4).map { _ in try model.makeSession() }
    let texts = Guarded<[String]>([])
    DispatchQueue.concurrentPerform(iterations: sessions.count) { index in
      for _ in 0..<3 {
        sessions[index].clear()
        let text = (try? LowMemoryTests.turn(sessions[index], [TestModel.cat], model).text) ?? "failed"
        texts.withLock { $0.append(text) }
      }
    }
    #expect(texts.withLock { $0 } == Array(repeating: wanted, count: 12))
    #expect(!model.holdsVisionWeights)
  }

  /// A turn that fails holds nothing, and the session goes on.
  @Test func aPictureThatIsNoneLeavesNothing() throws {
    let model = try LowMemoryTests.model()
    let session = try model.makeSession()
    let none = ImageSource.bytes([1, 2, 3], name: "no picture")
    #expect(code { _ = try session.respond(to: "x", images: [none]) } == .invalidImage)
    #expect(!model.holdsVisionWeights)
    #expect(try !LowMemoryTests.turn(session, [TestModel.cat], model).text.isEmpty)
  }
}
