import OccamCore
import OccamFixtures
import OccamGGUF
import OccamTestSupport
import Testing

@Suite struct FamilyTests {
  static let families = FamilyGoldens.families

  @Test("the files are, byte for byte, those the goldens were made from", arguments: families)
  func filesAreThoseOfTheGoldens(family: String) throws {
    let checksums = try FamilyGoldens.load(family).checksums
    #expect(checksums.count >= 10)
    for entry in checksums {
      let files = try Fixture.makeFiles(entry.model, entry.type)
      #expect(crc32(try Files.read(files.text)) == entry.text, "\(entry.model) \(entry.type) text")
      let projector = try files.projector.map { crc32(try Files.read($0)) }
      #expect(projector == entry.projector, "\(entry.model) \(entry.type) mmproj")
    }
  }

  @Test("every small fixture but those for timing and LLaVA-1.5's has goldens") func allHaveGoldens() throws {
    let held = try Set(FamilyTests.families.flatMap { try FamilyGoldens.load($0).cases.map(\.model) })
    let older = Set(LLaVA.specs.map(\.name))
    #expect(held == Set(FixtureSpec.all.map(\.name)).subtracting(older))
  }

  @Test("the goldens hang together", arguments: families)
  func goldensHangTogether(family: String) throws {
    let goldens = try FamilyGoldens.load(family)
    #expect(goldens.cases.count >= 40)
    for golden in goldens.cases {
      #expect(golden.steps.count == 16 && golden.steps.allSatisfy { $0.ids.count == 8 }, "\(golden)")
      // The best tokens of step 0 are those of the full vector.
      for (id, logit) in zip(golden.steps[0].ids, golden.steps[0].logits) {
        #expect(golden.logits[id] == logit, "\(golden)")
      }
      #expect(golden.steps[0].logits[0] == golden.logits.max(), "\(golden)")
      #expect(golden.pictures.isEmpty == golden.rows.isEmpty, "\(golden)")
      #expect(
        golden.prompt.split(separator: "<__media__>", omittingEmptySubsequences: false).count - 1
          == golden.pictures.count, "\(golden)")
      #expect(golden.rows.allSatisfy { $0.index < golden.imageTokens }, "\(golden)")
      if let embeddings = golden.embeddings, let width = golden.rows.first?.values.count {
        #expect(embeddings.count == golden.imageTokens * width)
        for row in golden.rows {
          let stored = Array(embeddings[row.index * width..<(row.index + 1) * width])
          #expect(error(of: stored, from: row.values) < 1e-3, "\(golden)")
        }
      }
    }
  }

  @Test("a picture has as many visual tokens in the prompt as its processor counts", arguments: families)
  func tokensAreCounted(family: String) throws {
    let goldens = try FamilyGoldens.load(family)
    for golden in goldens.cases {
      let counted = try golden.pictures.map { name in
        try #require(goldens.pixels.first { $0.picture == name && $0.model == golden.model }).tokens
      }
      #expect(golden.imageTokens == counted.reduce(0, +), "\(golden)")
    }
    for pixels in goldens.pixels {
      let cut = pixels.rows * pixels.columns
      // Every family adds an overview.
      #expect(pixels.checksums.count == cut + 1, "\(pixels)")
      #expect(pixels.normalized.allSatisfy { $0.tile < pixels.checksums.count && $0.colour < 3 }, "\(pixels)")
    }
  }

  @Test(
    "pictures and prompts leave their mark: no golden is trivially met",
    arguments: ["smolvlm", "gemma3", "llava-next", "internvl", "qwen2vl", "qwen3vl", "qwen35", "lfm2vl", "gemma4"])
  func goldensDiffer(family: String) throws {
    let goldens = try FamilyGoldens.load(family).cases.filter { $0.type == "F32" && !$0.pictures.isEmpty }
    for (first, second) in zip(goldens, goldens.dropFirst()) where first.model == second.model {
      #expect(error(of: second.logits, from: first.logits) > 0.05, "\(first), \(second)")
    }
  }

  @Test(
    "only Gemma 3 and the larger of Gemma 4 see a picture as a whole",
    arguments: ["smolvlm", "gemma3", "llava-next", "internvl", "qwen2vl", "qwen3vl", "qwen35", "lfm2vl", "gemma4"])
  func causality(family: String) throws {
    for golden in try FamilyGoldens.load(family).cases {
      let seesAll = family == "gemma3" || family == "gemma4" && golden.model != "gemma4-a"
      for case .image(_, let isCausal) in golden.chunks { #expect(isCausal == !seesAll, "\(golden)") }
    }
  }

  @Test("the goldens of a published model hang together") func realModel() throws {
    let goldens = try RealModelGoldens.load("gemma3-270m")
    #expect(goldens.tokens.count == 15 && goldens.tokens.allSatisfy { $0.ids.first == 2 })
    #expect(goldens.prompts.count == 5 && goldens.prompts.map(\.answer.count).max() == 32)
    for prompt in goldens.prompts {
      #expect(prompt.top.ids.count == 20 && prompt.sample.count == 256, "\(prompt)")
      #expect(prompt.top.logits == prompt.top.logits.sorted(by: >), "\(prompt)")
      if let first = prompt.answer.first {
        #expect(first.id == prompt.top.ids[0] && first.logit == prompt.top.logits[0], "\(prompt)")
      }
    }
    if let file = goldens.file { #expect(crc32(try Files.read(file)) == goldens.checksum) }
  }

  @Test("a drawn picture is the script's") func drawnPicture() throws {
    let picture = try #require(DrawnPicture(name: "192x128-6"))
    #expect(picture.pixels.count == 3 * 192 * 128)
    // SmolVLM's first tile of it: 192 pixels are as wide as photos become, so that nothing is resampled.
    let golden = try #require(
      FamilyGoldens.load("smolvlm").pixels.first { $0.model == "smolvlm-a" && $0.picture == "192x128-6" })
    var tile: [UInt8] = []
    for row in 0..<64 { tile += picture.pixels.dropFirst(3 * 192 * row).prefix(3 * 64) }
    #expect(crc32(tile) == golden.checksums[0])
    #expect(DrawnPicture(name: "cat.png") == nil)
  }

  /// Billions of numbers that the published models hold (their model cards and repositories), and visual tokens of a
  /// tile.
  static let published: [(name: String, billions: Double, tokens: Int)] = [
    ("llava-1.5-7b", 7.06, 576), ("llava-1.5-13b", 13.35, 576), ("tinyllava-1.1b", 1.41, 576),
    ("smolvlm-256m", 0.256, 64), ("smolvlm-500m", 0.507, 64), ("smolvlm-2.2b", 2.25, 81), ("smolvlm2-2.2b", 2.25, 81),
    ("gemma3-270m", 0.268, 0), ("gemma3-1b", 1.00, 0), ("gemma-3-4b", 4.30, 256), ("llava-next-7b-vicuna", 7.06, 576),
    ("llava-next-7b-mistral", 7.57, 576), ("qwen2-1.5b", 1.54, 0), ("qwen3-1.7b", 1.72, 0),
    ("internvl3-1b", 0.94, 256), ("internvl3-2b", 2.09, 256), ("internvl3.5-1b", 1.06, 256),
    ("qwen2-vl-2b", 2.21, 400), ("qwen2.5-vl-3b", 3.75, 400), ("qwen3-vl-2b", 2.13, 576), ("qwen3-vl-8b", 8.77, 576),
    ("qwen3-30b-a3b", 30.5, 0), ("qwen3-vl-30b-a3b", 31.1, 576),
    ("qwen3.5-2b", 2.21, 576), ("qwen3.5-4b", 4.54, 576), ("qwen3.5-35b-a3b", 35.1, 576),
    ("lfm2-vl-450m", 0.451, 64), ("lfm2-vl-1.6b", 1.58, 64), ("gemma4-e2b", 4.8, 256),
  ]

  @Test("every published size is the published model's", arguments: published)
  func publishedSizes(name: String, billions: Double, tokens: Int) throws {
    let spec = try #require(FixtureSpec.named(name))
    let files = try [spec.synthesizeText(type: .q4_0), spec.synthesizeProjector(type: .f16)].compactMap { $0 }
    let count = files.reduce(0) { $0 + $1.tensors.reduce(0) { $0 + $1.elementCount } }
    #expect(abs(Double(count) / 1e9 / billions - 1) < 0.01, "\(count) numbers")
    #expect(files.count == (tokens == 0 ? 1 : 2) && (tokens == 0 || spec.vision.tokens == tokens))
    #expect(FamilyTests.published.map(\.name) == FixtureSpec.published.map(\.name))
  }

  @Test("no pair is made in memory of a family that reads text only") func noPairOfText() throws {
    let spec = try #require(FixtureSpec.named("qwen3-text"))
    #expect(throws: GGUFError("qwen3-text", .key("clip.has_vision_encoder"), .missing)) {
      try spec.synthesize(type: .f16, projectorType: .f16)
    }
    let files = try spec.write(to: TemporaryFolder.make(), type: .q8_0, isFused: true)
    #expect(files.projector == nil && files.text.hasSuffix("/qwen3-text-Q8_0.gguf"))
  }

  @Test(
    "a byte-pair vocabulary holds every byte, every merge's result and the family's special tokens",
    arguments: [
      (
        "smolvlm-a",
        ["<|im_start|>", "<row_6_col_6>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
      ),
      ("qwen2-text", ["<|im_end|>", "<|image_pad|>"]), ("qwen25vl-a", ["<|vision_start|>", "<|vision_end|>"]),
      ("qwen3-text", ["<think>"]), ("lfm2-a", ["<|image_start|>", "<|img_row_10_col_10|>", "<|img_thumbnail|>"]),
    ])
  func bytePairs(name: String, special: [String]) throws {
    let file = try GGUFFile(path: Fixture.makeFiles(name, "F32").text)
    func strings(_ key: String) throws -> [String] {
      let stored = try file.requireByteStrings(key)
      return stored.indices.map { String(decoding: stored.bytes($0), as: UTF8.self) }
    }
    let tokens = try strings("tokenizer.ggml.tokens")
    let known = Set(tokens)
    #expect(known.count == tokens.count)
    for token in special { #expect(known.contains(token), "\(token)") }
    let single = tokens.filter { $0.unicodeScalars.count == 1 }
    #expect(single.count == 256)
    for merge in try strings("tokenizer.ggml.merges") {
      let parts = merge.split(separator: " ")
      #expect(
        parts.count == 2 && parts.allSatisfy { known.contains(String($0)) } && known.contains(parts.joined()),
        "\(merge)")
    }
    // Two line breaks are one token: llama.cpp looks for it by its text.
    #expect(known.contains("\u{10A}\u{10A}"))
  }
}
