import Occam
import OccamCore
import OccamPruning
import OccamTestSupport
import Testing

/// What pruning promises, whatever the model: nine invariants, most of them held against a prefill written down once
/// more without any of the library's pruning code (`ReferenceRun`).
@Suite(.serialized) struct InvariantTests {
  private static let continuation: [Int32] = [300, 301, 302]

  /// 1. Off is off: the same bits with and without a sidecar, and as a prefill that knows nothing of pruning.
  @Test(arguments: Array(stride(from: 0, to: PrunedCase.all.count, by: 2)), [1, 2])
  func offIsBitIdentical(first: Int, photos: Int) throws {
    let (plain, calibrated) = (PrunedCase.all[first], PrunedCase.all[first + 1])
    #expect(try calibrated.model().isCalibrated && !plain.model().isCalibrated)
    let prompt = PrunedCase.prompt(photos: photos)
    func logits(_ item: PrunedCase) throws -> [[Float]] {
      try item.session().logits(
        raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation, pruning: .off)
    }
    var settings = ReferenceRun.Settings()
    settings.prunes = false
    let reference = try ReferenceRun(plain.files())
      .run(prompt.text, photos: prompt.photos, continuation: InvariantTests.continuation, settings)
    #expect(try logits(plain) == reference.logits)
    #expect(try logits(calibrated) == reference.logits)
    let metrics = try calibrated.session().prefill(prompt.text, prompt.images, .off)
    #expect(metrics.pruning.isEmpty && metrics.kvBytes == metrics.kvBytesUnpruned)
    // No extra token: a register would take a position or a cell.
    let session = try calibrated.session()
    _ = try session.prefill(prompt.text, prompt.images, .off)
    #expect(try calibrated.counts(session).allSatisfy { $0 == metrics.promptTokens })
  }

  /// 2. Thresholds of zero keep everything: the run with the register inserted (if there is one) and nothing else.
  @Test(arguments: PrunedCase.all, [1, 2]) func zeroThresholdsKeepEverything(item: PrunedCase, photos: Int) throws {
    let prompt = PrunedCase.prompt(photos: photos)
    var pruning = item.pruning()
    pruning.lambda1 = 0
    pruning.lambda2 = 0
    let session = try item.session()
    let found = try session.logits(
      raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation, pruning: pruning)
    var settings = item.reference()
    settings.lambda1 = 0
    settings.hasStageTwo = false
    let reference = try ReferenceRun(item.files())
      .run(prompt.text, photos: prompt.photos, continuation: InvariantTests.continuation, settings)
    #expect(found == reference.logits)
    let metrics = try session.prefill(prompt.text, prompt.images, pruning)
    #expect(metrics.pruning.count == photos)
    #expect(metrics.pruning.allSatisfy { $0.kept == $0.total && $0.stage1 == $0.total })
    // Without a register nothing at all is different from a run without pruning.
    let off = try session.logits(
      raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation, pruning: .off)
    #expect((off == found) == !item.hasRegister)
  }

  /// 3. Text is never pruned; survivors keep their positions and the text behind them stands where it stood.
  @Test(arguments: PrunedCase.all) func positionsStayOriginal(item: PrunedCase) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    let session = try item.session()
    let found = try session.logits(
      raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation, pruning: item.pruning())
    let reference = try ReferenceRun(item.files())
    var settings = item.reference()
    let expected = try reference.run(
      prompt.text, photos: prompt.photos, continuation: InvariantTests.continuation, settings)
    #expect(found == expected.logits)
    // The prompt's last position is that of the unpruned sequence, and something was dropped in between.
    let metrics = try session.prefill(prompt.text, prompt.images, item.pruning())
    #expect(expected.positions.last == (try session.layout(raw: prompt.text, images: prompt.images).positions.last))
    #expect(expected.positions.count < metrics.promptTokens)
    // Renumbering changes the logits by far more than any rounding: the comparison above is not blind.
    settings.renumbers = true
    let renumbered = try reference.run(
      prompt.text, photos: prompt.photos, continuation: InvariantTests.continuation, settings)
    #expect(error(of: renumbered.logits[0], from: found[0]) > 0.02)
  }

  /// The split behind the first and behind the last layer.
  @Test(arguments: PrunedCase.all) func firstAndLastLayer(item: PrunedCase) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    let reference = try ReferenceRun(item.files())
    for layer in [item.firstLayer, item.lastLayer ?? item.layers] {
      let session = try item.session()
      let found = try session.logits(
        raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation,
        pruning: item.pruning(layer: layer))
      let expected = try reference.run(
        prompt.text, photos: prompt.photos, continuation: InvariantTests.continuation, item.reference(layer: layer))
      #expect(found == expected.logits, "layer \(layer)")
      #expect(try item.counts(session) == item.unlimited(expected.cellCounts), "layer \(layer)")
    }
  }

  /// A layer that keeps a state and no entries has no scores: the next one that attends is taken, if there is one.
  @Test(arguments: [("qwen35-a", [(1, 4), (3, 4), (5, 8)]), ("lfm2-a", [(1, 2), (3, 4)])])
  func layersWithoutAttentionGiveWay(fixture: String, layers: [(chosen: Int, acting: Int)]) throws {
    let item = try #require(PrunedCase.all.first { $0.fixture == fixture })
    let prompt = PrunedCase.prompt(photos: 1)
    func metrics(_ layer: Int) throws -> (GenerationMetrics, [Int]) {
      let session = try item.session()
      return (try session.prefill(prompt.text, prompt.images, item.pruning(layer: layer)), session.entryCounts)
    }
    for (chosen, acting) in layers {
      let (found, expected) = (try metrics(chosen), try metrics(acting))
      #expect(found.0.pruning.map(\.keptIndices) == expected.0.pruning.map(\.keptIndices) && found.1 == expected.1)
      #expect(found.0.meanVisualTokensPerLayer == expected.0.meanVisualTokensPerLayer)
    }
  }

  /// Of these models' five layers the last does not attend.
  @Test(arguments: ["qwen35-b", "lfm2-a"]) func noLayerThatAttendsFollows(fixture: String) throws {
    let item = try #require(PrunedCase.all.first { $0.fixture.hasPrefix(fixture.prefix(4)) })
    let prompt = PrunedCase.prompt(photos: 1)
    let files = try Fixture.make(fixture, "Q8_0")
    let session = try VisionLanguageModel(
      path: files.text, projector: files.projector, options: ModelOptions(threads: 2)
    ).makeSession()
    let error = #expect(throws: OccamError.self) {
      _ = try session.prefill(prompt.text, prompt.images, item.pruning(layer: 5))
    }
    #expect(error?.code == .invalidOption && error?.message.contains("layer 5") == true)
    #expect(try session.prefill(prompt.text, prompt.images, item.pruning(layer: 4)).pruning.count == 1)
    // A selector that chose its layer itself is refused as well, and one of a layer that is none.
    let photo = try session.encode(PrunedCase.images[0], register: nil)
    for layer in [0, 5, 6] {
      let selector = OccamTokenSelector(PruningSettings(lambda1: 0, lambda2: 0.5, layer: layer, reference: .mean))
      let refused = #expect(throws: OccamError.self) {
        _ = try session.respond(to: "What is it?", photo: photo, selector: selector, options: .greedy(1))
      }
      #expect(refused?.code == .invalidOption && refused?.message.contains("layer \(layer)") == true)
      #expect(throws: OccamError.self) { _ = try session.stageTwoScores("What?", photo: photo, selector: selector) }
    }
  }

  /// 4 and 5. Dropped tokens are gone: from the hidden rows, and from the cells of layers 1...l unless these are to stay.
  @Test(arguments: PrunedCase.all, GenerationOptions.KVCellPolicy.allCases)
  func tokensAreRemoved(item: PrunedCase, policy: GenerationOptions.KVCellPolicy) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    var pruning = item.pruning()
    pruning.kvPolicy = policy
    var settings = item.reference()
    settings.evicts = policy == .compact
    let session = try item.session()
    let found = try session.logits(
      raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation, pruning: pruning)
    let counts = try item.counts(session)
    let expected = try ReferenceRun(item.files())
      .run(prompt.text, photos: prompt.photos, continuation: InvariantTests.continuation, settings)
    #expect(found == expected.logits)
    #expect(counts == (try item.unlimited(expected.cellCounts)))

    let metrics = try session.prefill(prompt.text, prompt.images, pruning)
    #expect(metrics.pruning.map(\.stage1Indices) == expected.stage1)
    #expect(metrics.pruning.map(\.keptIndices) == expected.kept)
    // Both stages dropped something and left something, or the rest of this test would be empty.
    for image in metrics.pruning {
      let counts = [1, image.kept, image.stage1, image.total]
      #expect(zip(counts, counts.dropFirst()).allSatisfy { $0 < $1 }, "\(counts)")
    }
    let text = metrics.promptTokens - metrics.pruning.reduce(0) { $0 + $1.total }
    let registers = try item.hasRegister ? metrics.pruning.indices.reduce(0) { try $0 + item.tiles(photo: $1) } : 0
    let stage1 = text + registers + metrics.pruning.reduce(0) { $0 + $1.stage1 }
    let kept = text + registers + metrics.pruning.reduce(0) { $0 + $1.kept }
    let first = policy == .compact ? kept : stage1
    let behind = Array(repeating: kept, count: item.layers - item.layer)
    #expect(try item.counts(session) == item.unlimited(Array(repeating: first, count: item.layer) + behind))
    #expect(counts == (try item.counts(session)).map { $0 + InvariantTests.continuation.count })
    let mean =
      Double(item.layer * (stage1 - text - registers)) + Double((item.layers - item.layer) * (kept - text - registers))
    #expect(abs(metrics.meanVisualTokensPerLayer - mean / Double(item.layers)) < 1e-9)
  }

  /// 5. What the policy leaves behind is seen by later tokens in layers 1...l only: the prompt's own logits agree, those
  /// of the continuation do not.
  @Test(arguments: PrunedCase.all) func evictedCellsAreNotRead(item: PrunedCase) throws {
    let prompt = PrunedCase.prompt(photos: 1)
    func logits(_ policy: GenerationOptions.KVCellPolicy) throws -> [[Float]] {
      var pruning = item.pruning()
      pruning.kvPolicy = policy
      return try item.session().logits(
        raw: prompt.text, images: prompt.images, continuation: InvariantTests.continuation, pruning: pruning)
    }
    let (compact, keep) = (try logits(.compact), try logits(.keep))
    #expect(compact[0] == keep[0])
    #expect(compact[1] != keep[1])
  }

  /// Prompts longer than a chunk: both layer groups run in pieces, windows give up their past between them, and nothing
  /// of that shows but in the last bits: how attention splits its sums follows from the rows of a pass.
  @Test(arguments: PrunedCase.all.filter { $0.fixture != "g1" && $0.fixture != "g3" })
  func longPromptsRunInChunks(item: PrunedCase) throws {
    let words = String(repeating: "and so on, ", count: 200)
    let prompt = "\(words)<__media__>\(words)<__media__>\(words)Which one? ASSISTANT:"
    for prunes in [true, false] {
      let session = try item.session()
      let found = try session.logits(
        raw: prompt, images: PrunedCase.images, continuation: InvariantTests.continuation,
        pruning: prunes ? item.pruning() : .off)
      var settings = prunes ? item.reference() : ReferenceRun.Settings()
      settings.prunes = prunes
      let expected = try ReferenceRun(item.files())
        .run(prompt, photos: PrunedCase.photos, continuation: InvariantTests.continuation, settings)
      #expect(expected.positions.count > 2 * 1024, "the prompt is no longer than two chunks")
      guard prunes else {
        for (row, other) in zip(found, expected.logits) { #expect(error(of: row, from: other) < 1e-4) }
        continue
      }
      // A token whose score is the threshold but for such bits may fall on either side.
      let kept = try session.prefill(prompt, PrunedCase.images, item.pruning()).pruning.map(\.keptIndices)
      for (image, tokens) in kept.enumerated() {
        for token in Set(tokens).symmetricDifference(expected.kept[image]) {
          let place = try #require(expected.stage1[image].firstIndex(of: token))
          #expect(abs(expected.relative[image][place] / settings.lambda2 - 1) < 1e-3)
        }
      }
      if kept == expected.kept {
        for (row, other) in zip(found, expected.logits) { #expect(error(of: row, from: other) < 1e-4) }
      }
    }
  }

  /// 8. The same tokens for any number of threads, in every run.
  @Test(arguments: PrunedCase.all) func keepSetsAreDeterministic(item: PrunedCase) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    let first = try item.session(threads: 1).prefill(prompt.text, prompt.images, item.pruning()).pruning
    for threads in [1, 2, 3, 2] {
      let again = try item.session(threads: threads).prefill(prompt.text, prompt.images, item.pruning()).pruning
      #expect(again.map(\.keptIndices) == first.map(\.keptIndices), "\(threads) threads")
      #expect(again.map(\.stage1Indices) == first.map(\.stage1Indices), "\(threads) threads")
    }
  }
}
