import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Synchronization
import Testing

/// Sessions that generate at the same time share their passes, and nobody's answer knows of it.
@Suite(.serialized) struct BatchedDecodingTests {
  private struct Reply: Equatable {
    var ids: [Int32] = []
    var logprobs: [Float?] = []
    var text = ""
  }

  private static func options(_ seed: UInt64) -> GenerationOptions {
    var options = GenerationOptions()
    options.maxTokens = 24
    options.ignoresEndOfText = true
    options.logprobs = 0
    options.seed = seed
    options.temperature = seed % 2 == 0 ? 0 : 1
    return options
  }

  private static let prompts = [
    "a", "the cat on the mat", "what is it? " + String(repeating: "and ", count: 30), "1 2 3",
  ]

  /// - Parameters: images: shown to every second session; guesses: brings several rows into a pass.
  private static func ask(
    _ model: VisionLanguageModel, _ index: Int, images: [ImageSource], guesses: Bool = false, onFirst: () -> Void = {}
  ) throws -> Reply {
    let session = try model.makeSession(SessionOptions(contextLength: 4096, keyFormat: index == 3 ? .q8_0 : .f16))
    var reply = Reply()
    var options = options(UInt64(index))
    options.speculation.lookup = guesses
    let metrics = try session.respond(
      to: prompts[index], images: index % 2 == 0 ? [] : images, options: options
    ) { event in
      guard case .token(let token) = event else { return }
      if reply.ids.isEmpty { onFirst() }
      reply.ids.append(token.id)
      reply.logprobs.append(token.logprob)
    }
    reply.text = metrics.text
    return reply
  }

  /// All of them, none of which goes on behind its first token before all are there; three guess.
  private static func askTogether(_ model: VisionLanguageModel, images: [ImageSource]) throws -> [Reply] {
    let replies = Guarded<[Int: Result<Reply, any Error>]>([:])
    let first = Monitor(0)
    let group = DispatchGroup()
    for index in prompts.indices {
      DispatchQueue(label: "asker \(index)").async(group: group) {
        let result = Result {
          try ask(model, index, images: images, guesses: index > 0) {
            first.withLock { $0 += 1 }
            first.broadcast()
            first.wait(until: { $0 == prompts.count }, deadline: Clock.nanoseconds() + 60_000_000_000) { _ in }
          }
        }
        replies.withLock { $0[index] = result }
      }
    }
    group.wait()
    let found = replies.withLock { $0 }
    return try prompts.indices.map { try #require(found[$0]).get() }
  }

  /// Every kind of layer: attention whole and in windows, delta rule, short convolution, shared entries, experts.
  @Test(arguments: [
    "g1", "gemma3-a", "gemma4-a", "qwen35-a", "lfm2-a", "qwen2vl-a", "qwen3vl-a", "qwen3moe-text",
    "qwen35moe-a", "smolvlm-a",
  ]) func theBatchChangesNothing(family: String) throws {
    let model = try TestModel.family(family)
    let images = model.projectorPath == nil ? [] : [TestModel.cat]
    let alone = try BatchedDecodingTests.prompts.indices.map { try BatchedDecodingTests.ask(model, $0, images: images) }
    let before = model.decodeCounts
    let together = try BatchedDecodingTests.askTogether(model, images: images)
    #expect(together == alone)
    let counts = (passes: model.decodeCounts.passes - before.passes, tokens: model.decodeCounts.tokens - before.tokens)
    // Other suites may use the same model at the same time. Right guesses take no pass of their own.
    #expect(counts.tokens >= 23 + 3 * 3)
    #expect(counts.passes < counts.tokens, "nothing was decoded together")
  }

  @Test func oneThatIsCancelledLeavesTheOthersAlone() throws {
    let model = try TestModel.pair()
    let alone = try BatchedDecodingTests.ask(model, 0, images: [])
    let session = try model.makeSession()
    let ended = DispatchSemaphore(value: 0)
    let started = DispatchSemaphore(value: 0)
    let stop = Guarded<GenerationMetrics.Stop?>(nil)
    DispatchQueue(label: "endless").async {
      var options = BatchedDecodingTests.options(7)
      options.maxTokens = 100_000
      var tokens = 0
      let metrics = try? session.respond(to: "b", options: options) { event in
        guard case .token = event else { return }
        tokens += 1
        if tokens == 1 { started.signal() }
        if tokens == 12 { session.cancel() }
      }
      stop.withLock { $0 = metrics?.stop }
      ended.signal()
    }
    started.wait()
    #expect(try BatchedDecodingTests.ask(model, 0, images: []) == alone)
    ended.wait()
    #expect(stop.withLock { $0 } == .cancelled)
  }
}
