import Occam
import OccamTensors
import OccamTestSupport
import Testing

/// The invariants about how many tokens survive, what they cost, and what a second question sees.
@Suite(.serialized) struct BudgetTests {
  /// 6. The cache holds what survives, the text and the block in hand for what is generated; both figures are reported.
  @Test(arguments: PrunedCase.all, SessionOptions.CacheFormat.allCases)
  func cacheIsSizedByTheSurvivors(item: PrunedCase, format: SessionOptions.CacheFormat) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    let session = try item.session(SessionOptions(keyFormat: format, valueFormat: format))
    let model = try item.model()
    // Of the layers without entries one state each, and copies of it.
    let state = model.textShape.states.reduce(0) { sum, layer in
      if case .recurrent(let shape) = layer { sum + shape.floats * MemoryLayout<Float>.stride } else { sum }
    }
    for policy in GenerationOptions.KVCellPolicy.allCases {
      var pruning = item.pruning()
      pruning.kvPolicy = policy
      let metrics = try session.respond(
        to: prompt.text, images: prompt.images, options: .greedy(5, raw: true, pruning))
      // A layer that reads another's entries holds none.
      let layers = try BudgetTests.layers(model, format)
      let held = zip(layers, session.entryCounts).reduce(0) { $0 + ($1.0?.byteCount(forTokens: $1.1) ?? 0) }
      let copies = state == 0 ? 0 : (metrics.kvBytes - held) / state
      #expect(metrics.kvBytes == held + copies * state, "\(policy)")
      #expect(copies <= 1 + RecurrentState.snapshots && (copies >= 1 || state == 0), "\(policy)")
      // The last token's keys and values are not needed any more.
      let positions = metrics.promptTokens + metrics.generatedTokens - 1
      let unpruned = layers.reduce(0) { $0 + ($1?.byteCount(forTokens: positions) ?? 0) } + copies * state
      #expect(metrics.kvBytesUnpruned == unpruned, "\(policy)")
      #expect(metrics.kvBytes < metrics.kvBytesUnpruned, "\(policy)")
    }
    session.clear()
    #expect(session.entryCounts.allSatisfy { $0 == 0 })
  }

  /// The text layers' empty caches, as the library makes them.
  private static func layers(
    _ model: VisionLanguageModel, _ format: SessionOptions.CacheFormat
  ) throws -> [LayerKVCache?] {
    let stored: KVCacheFormat =
      switch format {
      case .f32: .f32
      case .f16: .f16
      case .q8_0: .q8_0
      case .q4_0: .q4_0
      }
    return model.textShape.states.map {
      guard case .attention(let shape) = $0 else { return nil }
      return LayerKVCache(shape, formats: KVCacheFormats(stored))
    }
  }

  /// 7. At least one token of every image survives the highest thresholds.
  @Test(arguments: PrunedCase.all) func oneTokenSurvives(item: PrunedCase) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    for (lambda1, lambda2) in [(1e6, 1e6), (0, 1e6), (1e6, 0)] as [(Float, Float)] {
      var pruning = item.pruning()
      pruning.lambda1 = lambda1
      pruning.lambda2 = lambda2
      let session = try item.session()
      let images = try session.prefill(prompt.text, prompt.images, pruning).pruning
      #expect(images.count == 2)
      // Each tile keeps one behind stage I, the image one behind stage II.
      #expect(images.allSatisfy { $0.kept == (lambda2 == 0 ? $0.stage1 : 1) }, "\(lambda1) \(lambda2)")
      if lambda1 == 0 { #expect(images.allSatisfy { $0.stage1 == $0.total }) }
      #expect(
        try session.logits(raw: prompt.text, images: prompt.images, continuation: [], pruning: pruning)[0].allSatisfy(
          \.isFinite))
    }
  }

  /// 7. The cap keeps the tokens with the largest s2(v) / s2(r).
  @Test(arguments: PrunedCase.all, [1, 5, 12]) func capKeepsTheBest(item: PrunedCase, cap: Int) throws {
    let prompt = PrunedCase.prompt(photos: 2)
    let reference = try ReferenceRun(item.files()).run(prompt.text, photos: prompt.photos, item.reference())
    // Of the smallest fixture's few tokens the thresholds keep fewer than the largest cap.
    let cap = min(cap, (reference.kept.map(\.count).min() ?? 0) - 1)
    try #require(cap >= 1)
    var pruning = item.pruning()
    pruning.maxVisualTokens = cap
    let found = try item.session().prefill(prompt.text, prompt.images, pruning).pruning
    for (image, entry) in found.enumerated() {
      #expect(reference.kept[image].count > cap, "the cap has nothing to do")
      let ranked = reference.stage1[image].indices.sorted {
        (reference.relative[image][$1], $0) < (reference.relative[image][$0], $1)
      }
      let best = ranked.prefix(cap).map { reference.stage1[image][$0] }.sorted()
      #expect(entry.keptIndices == best)
    }
    // A cap above what the thresholds keep changes nothing.
    pruning.maxVisualTokens = 10_000
    let free = try item.session().prefill(prompt.text, prompt.images, pruning).pruning
    #expect(free.map(\.keptIndices) == reference.kept)
  }

  /// 9. A second question prunes anew from S1, without encoding the image again: what the first did not look at is there.
  @Test(arguments: PrunedCase.all) func laterQuestionsPruneAnew(item: PrunedCase) throws {
    let session = try item.session()
    var options = GenerationOptions.greedy(4, item.pruning())
    options.ignoresEndOfText = false
    let first = try session.respond(to: "What animal is this?", images: [PrunedCase.images[0]], options: options)
    #expect(first.timings.imageEncode > 0)
    var encodings = 0
    let second = try session.respond(to: "Describe the colour of the wall and the table.", options: options) { event in
      if case .encoding = event { encodings += 1 }
    }
    #expect(encodings == 0 && second.timings.imageEncode == 0 && second.timings.imageDecode == 0)
    let (old, new) = (try #require(first.pruning.first), try #require(second.pruning.first))
    #expect(new.stage1Indices == old.stage1Indices)
    #expect(new.stage1 > new.kept)
    #expect(!Set(new.keptIndices).isSubset(of: old.keptIndices), "nothing dropped for question 1 came back")
    // Of sixteen tokens the second question may keep all that the first did.
    if old.total > 16 {
      #expect(!Set(old.keptIndices).isSubset(of: new.keptIndices), "question 2 dropped nothing that question 1 kept")
    }
    // Text before the image is taken over; the image and what follows is prefilled again from S1.
    #expect(second.cachedTokens > 0 && second.cachedTokens < first.promptTokens - old.total)
    let text = second.promptTokens - new.total
    let registers = item.hasRegister ? try item.tiles(photo: 0) : 0
    let entries = text + new.kept + registers + second.generatedTokens - 1
    #expect(try item.counts(session).allSatisfy { $0 == entries })

    // The same question about the same image in a conversation of its own gives another keep set only because the
    // conversation before it is another: asked again at once, the choice is the same.
    session.clear()
    let again = try session.respond(to: "What animal is this?", images: [PrunedCase.images[0]], options: options)
    #expect(again.pruning.map(\.keptIndices) == [old.keptIndices] && again.text == first.text)
  }

  /// 9. Other stage I settings need the encoder again, and only they do.
  @Test func otherThresholdsEncodeAgain() throws {
    let item = PrunedCase.all[1]
    let session = try item.session()
    var options = GenerationOptions.greedy(2, item.pruning())
    _ = try session.respond(to: "What is this?", images: [PrunedCase.images[0]], options: options)
    options.pruning.lambda2 = 0.4
    let relaxed = try session.respond(to: "And now?", options: options)
    #expect(relaxed.timings.imageEncode == 0)
    options.pruning.lambda1 = 0.1
    let encoded = try session.respond(to: "And now?", options: options)
    #expect(encoded.timings.imageEncode > 0)
    #expect(try #require(encoded.pruning.first).stage1 > (try #require(relaxed.pruning.first)).stage1)
    options.pruning = .off
    let off = try session.respond(to: "And now?", options: options)
    #expect(off.pruning.isEmpty && off.kvBytes == off.kvBytesUnpruned)
    #expect(session.entryCounts.allSatisfy { $0 == off.promptTokens + off.generatedTokens - 1 })
  }
}
