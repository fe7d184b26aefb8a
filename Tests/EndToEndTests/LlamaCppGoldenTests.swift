import Occam
import OccamModels
import OccamTestSupport
import Testing

/// Logits, greedy tokens and embeddings of generated LLaVA-1.5-format pairs against llama.cpp's for the same files
/// (Tests/Goldens/llava says how they were made).
@Suite struct LlamaCppGoldenTests {
  /// Float formats: within 2 % of the logits' standard deviation. Quantised ones: within four times of what the rounding of
  /// activations costs llama.cpp (its distance from an F32 run of the very same weights).
  @Test(arguments: try LlavaGoldens.available()) func logitsAgree(golden: LlavaGolden) throws {
    let session = try GoldenSession.make(golden)
    let rows = try session.logits(
      raw: golden.prompt, images: GoldenSession.images(golden), continuation: GoldenSession.continuation(golden),
      pruning: .off)
    let bound = golden.isFloat ? 0.02 : max(0.02, 4 * golden.logitsFromDequantized)
    let found = error(of: rows[0], from: golden.logits)
    #expect(found <= bound, "after the prompt")
    try expectGreedyTokens(golden, rows, 2 * bound * deviation(golden.logits))
  }

  /// The best token is llama.cpp's wherever its first and second differ by more than the tolerance.
  private func expectGreedyTokens(_ golden: LlavaGolden, _ rows: [[Float]], _ tolerance: Double) throws {
    var compared = 0
    for (index, (row, step)) in zip(rows, golden.steps).enumerated() {
      guard Double(step.logits[0] - step.logits[1]) > tolerance else { continue }
      compared += 1
      let best = try #require(row.indices.max { (row[$0], $1) < (row[$1], $0) })
      #expect(best == step.ids[0], "step \(index)")
    }
    #expect(compared >= (golden.isFloat ? 6 : 1), "too few steps have a margin")
  }

  @Test(arguments: try LlavaGoldens.available().filter { $0.photo != nil })
  func embeddingsAgree(golden: LlavaGolden) throws {
    let session = try GoldenSession.make(golden)
    let found = try session.imageEmbeddings(GoldenSession.images(golden)[0])
    #expect(found.count == golden.imageTokens)
    for (index, expected) in golden.rows {
      let similarity = cosine(found[index], expected)
      if golden.isFloat {
        #expect(similarity >= 0.9999, "row \(index)")
      } else {
        let own = golden.embeddingsFromDequantized ?? 0
        #expect(error(of: found[index], from: expected) <= max(4 * own, 0.02), "row \(index)")
      }
    }
  }
}

extension LlavaGolden {
  var isFloat: Bool { ["F32", "F16", "BF16"].contains(type) }
}

enum GoldenSession {
  /// llama.cpp runs one stored layer fewer unless the file names a feature layer; `reference` corrects the class token's
  /// place only.
  static func make(_ golden: LlavaGolden, kernel: String? = nil, threads: Int = 2) throws -> Session {
    let files = try golden.files()
    var options = ModelOptions(threads: threads, kernel: kernel)
    options.encoderType = .stored
    options.peerDifferences = golden.reading == .asIs ? [.classTokenIsLast, .skipsLastLayer] : [.skipsLastLayer]
    let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
    return try model.makeSession()
  }

  static func images(_ golden: LlavaGolden) -> [ImageSource] {
    golden.photo.map { [.file("\(Locations.photos)/\($0)")] } ?? []
  }

  static func continuation(_ golden: LlavaGolden) -> [Int32] { golden.steps.dropLast().map { Int32($0.ids[0]) } }
}
