import Occam
import OccamMatmul
import OccamTestSupport
import Testing

/// A pass that checks guesses computes what as many passes of a token each would, bit by bit, and leaves nothing of a
/// wrong guess behind: for every family, weight type, kernel set and format of the KV cache, pruned or not.
@Suite(.serialized) struct SpeculationInvariantTests {
  /// One golden of each generated model and weight type, with a picture where there is one.
  static let goldens: [FamilyGolden] = {
    let groups = Dictionary(grouping: FamilyGoldenTests.cases) { "\($0.model) \($0.type)" }
    return groups.sorted { $0.key < $1.key }.compactMap { $0.value.first { !$0.pictures.isEmpty } ?? $0.value.first }
  }()

  /// Right and wrong guesses of a pass.
  static let guesses = [(right: 3, wrong: 2), (right: 8, wrong: 0), (right: 0, wrong: 5)]
  static let continuation: [Int32] = (0..<20).map { 40 + $0 * 7 % 90 }
  /// More entries than attention keeps in one piece while it decodes, and than the windows of these models.
  static let long = String(repeating: "the cat sat on the mat, ", count: 30)

  private static func check(
    _ prompt: String, _ images: [ImageSource], _ pruning: GenerationOptions.Pruning, _ comment: String = "",
    _ session: () throws -> Session
  ) throws {
    func logits(_ guesses: (right: Int, wrong: Int)) throws -> [[Float]] {
      try session().logits(
        raw: prompt, images: images, continuation: continuation, pruning: pruning, guesses: guesses)
    }
    let plain = try logits((0, 0))
    #expect(plain.count == continuation.count + 1)
    for guesses in guesses { #expect(try logits(guesses) == plain, "\(comment) \(guesses)") }
  }

  @Test(arguments: goldens) func everyFamily(golden: FamilyGolden) throws {
    let images = try FamilySession.images(golden)
    try SpeculationInvariantTests.check(golden.prompt, images, .off) { try FamilySession.make(golden) }
  }

  @Test(arguments: PrunedCase.all) func pruned(item: PrunedCase) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    try SpeculationInvariantTests.check(prompt.text, prompt.images, item.pruning()) { try item.session() }
    var pruning = item.pruning()
    pruning.kvPolicy = .keep
    try SpeculationInvariantTests.check(prompt.text, prompt.images, pruning, "keep") { try item.session() }
  }

  /// Every kind of layer.
  @Test(arguments: ["g1", "gemma3-a", "gemma4-a", "qwen35-a", "lfm2-a", "qwen3vl-a", "qwen35moe-a"])
  func everyKernelSet(fixture: String) throws {
    for (type, formats) in [("Q4_K_M", SessionOptions.CacheFormat.allCases), ("F16", [.f16])] {
      let files = try Fixture.makeFiles(fixture, type)
      for set in KernelSet.available() {
        let model = try VisionLanguageModel(
          path: files.text, projector: files.projector, options: ModelOptions(threads: 2, kernel: set.name))
        for cells in formats {
          try SpeculationInvariantTests.check(
            SpeculationInvariantTests.long, [], .off, "\(set.name) \(type) \(cells)"
          ) { try model.makeSession(SessionOptions(keyFormat: cells, valueFormat: cells)) }
        }
      }
    }
  }

  /// What llama.cpp or transformers said of each prompt is said with guesses as without.
  @Test func repliesAreTheSame() throws {
    var accepted = 0
    for golden in SpeculationInvariantTests.goldens {
      var replies: [[Int32]] = []
      for lookup in [false, true] {
        var options = GenerationOptions.greedy(40, raw: true)
        options.speculation.lookup = lookup
        var ids: [Int32] = []
        let metrics = try FamilySession.make(golden).respond(
          to: golden.prompt, images: try FamilySession.images(golden), options: options
        ) { if case .token(let token) = $0 { ids.append(token.id) } }
        replies.append(ids)
        accepted += metrics.acceptedTokens
        #expect(metrics.decodePasses == metrics.generatedTokens - 1 - metrics.acceptedTokens, "\(golden)")
      }
      #expect(replies[0] == replies[1], "\(golden)")
    }
    #expect(accepted > 40)
  }
}
