import Occam
import OccamMatmul
import OccamTestSupport
import Testing

/// Same input, same output: over threads bit for bit, over kernel sets and KV cell formats within rounding.
@Suite(.serialized) struct DeterminismTests {
  /// One golden with a photo of every pair and weight type, those with the built-in vocabulary: they run everywhere.
  static func goldens() throws -> [LlavaGolden] {
    var seen = Set<String>()
    return try LlavaGoldens.all().filter {
      !$0.hasLlamaVocabulary && $0.photo != nil && $0.reading == .reference
        && seen.insert("\($0.fixture) \($0.type)").inserted
    }
  }

  /// Logits after the prompt and after each golden token.
  private static func logits(_ golden: LlavaGolden, kernel: String? = nil, threads: Int = 2) throws -> [[Float]] {
    try GoldenSession.make(golden, kernel: kernel, threads: threads).logits(
      raw: golden.prompt, images: GoldenSession.images(golden), continuation: GoldenSession.continuation(golden),
      pruning: .off)
  }

  @Test(arguments: try goldens().filter { $0.fixture == "g1" || $0.type == "Q4_K_M" }) func threadsDoNotMatter(
    golden: LlavaGolden
  ) throws {
    let one = try DeterminismTests.logits(golden, threads: 1)
    for threads in [2, 3] {
      #expect(try DeterminismTests.logits(golden, threads: threads) == one, "\(threads) threads")
    }
  }

  /// Kernel sets differ in the order of float sums only. F16 cells turn a last bit into a step of 2^-11 now and then,
  /// quantised activations into one of 1/127; once some differ, two sets are two independent roundings. The unit is what
  /// llama.cpp's rounding of activations does to these weights' logits. Where the best token leads clearly, every set
  /// chooses it.
  @Test(arguments: try goldens()) func kernelsAgree(golden: LlavaGolden) throws {
    let sets = KernelSet.available().map(\.name)
    let expected = try DeterminismTests.logits(golden, kernel: "portable")
    let tolerance = golden.isFloat ? 1e-3 : 3 * golden.logitsFromDequantized
    var clear = 0
    for name in sets where name != "portable" {
      let found = try DeterminismTests.logits(golden, kernel: name)
      for (step, (row, other)) in zip(found, expected).enumerated() {
        let difference = error(of: row, from: other)
        #expect(difference <= tolerance, "\(name), step \(step)")
        let ranked = other.sorted(by: >)
        guard Double(ranked[0] - ranked[1]) > 4 * tolerance * deviation(other) else { continue }
        clear += 1
        #expect(DeterminismTests.best(row) == DeterminismTests.best(other), "\(name), step \(step)")
      }
    }
    #expect(sets.count == 1 || clear >= 4, "too few clear steps to say anything")
  }

  /// The text itself, greedy, pruned, through the whole session: threads 1, 2, 3 and every kernel set.
  @Test(arguments: ["g1", "g3"]) func textIsTheSame(fixture: String) throws {
    let files = try Fixture.make(fixture, "F16")
    func text(threads: Int, kernel: String?) throws -> String {
      var options = ModelOptions(threads: threads, kernel: kernel)
      // Between kernel sets sums differ in their last bits; 8-bit activations would make steps of them.
      options.encoderType = .stored
      let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
      let metrics = try model.makeSession().respond(
        to: "What is on the table?", images: [PrunedCase.images[1]], options: .greedy(24))
      return metrics.text
    }
    let expected = try text(threads: 1, kernel: nil)
    #expect(!expected.isEmpty)
    for threads in [2, 3] { #expect(try text(threads: threads, kernel: nil) == expected) }
    for set in KernelSet.available() { #expect(try text(threads: 2, kernel: set.name) == expected, "\(set.name)") }
  }

  @Test func seedsDecideSampling() throws {
    let item = PrunedCase.all[0]
    func text(seed: UInt64, threads: Int = 2) throws -> String {
      var options = GenerationOptions()
      options.temperature = 1
      options.topK = 0
      options.topP = 1
      options.minP = 0
      options.maxTokens = 24
      options.ignoresEndOfText = true
      options.seed = seed
      return try item.session(threads: threads).respond(
        to: "Describe the photo.", images: [PrunedCase.images[0]], options: options
      ).text
    }
    let first = try text(seed: 7)
    #expect(try text(seed: 7) == first)
    #expect(try text(seed: 7, threads: 1) == first)
    #expect(try text(seed: 8) != first)
  }

  @Test(arguments: [false, true]) func cellFormatsAgree(isPruned: Bool) throws {
    let item = PrunedCase.all[0]
    let prompt = PrunedCase.prompt(photos: 2)
    // Unquantised weights: rounded activations would turn every difference into one of their own size.
    let files = try Fixture.make(item.fixture, "F16")
    let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: ModelOptions(threads: 2))
    var pruning = isPruned ? item.pruning() : .off
    // No token of these pictures scores near this threshold: rounded entries choose the same ones.
    if isPruned { pruning.lambda2 = 1.05 }
    func logits(_ format: SessionOptions.CacheFormat) throws -> [[Float]] {
      try model.makeSession(SessionOptions(keyFormat: format, valueFormat: format)).logits(
        raw: prompt.text, images: prompt.images, continuation: [300, 301],
        pruning: pruning)
    }
    func kept(_ format: SessionOptions.CacheFormat) throws -> [[Int]] {
      let session = try model.makeSession(SessionOptions(keyFormat: format, valueFormat: format))
      return try session.prefill(prompt.text, prompt.images, pruning).pruning.map(\.keptIndices)
    }
    let exact = try logits(.f32)
    let exactlyKept = try kept(.f32)
    var bounds: [(SessionOptions.CacheFormat, Double)] = [(.f16, 0.005), (.q8_0, 0.1)]
    // Rounded this much, entries may choose other tokens.
    if !isPruned { bounds.append((.q4_0, 1)) }
    for (format, bound) in bounds {
      #expect(try kept(format) == exactlyKept)
      let found = try logits(format)
      for (row, expected) in zip(found, exact) {
        let difference = error(of: row, from: expected)
        #expect(difference > 0 && difference <= bound, "\(format): \(difference)")
      }
    }
  }

  private static func best(_ row: [Float]) -> Int? { row.indices.max { (row[$0], $1) < (row[$1], $0) } }
}
