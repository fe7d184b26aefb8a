import Occam
import OccamCore
import OccamTestSupport
import Testing

/// The shipped model on ten questions, against OccamToken in PyTorch on the very same files
/// (Models/scenes/training/oracle.py wrote Tests/Goldens/scenes).
@Suite struct ScenesTests {
  @Test(arguments: try SceneGolden.all()) func unprunedAnswerIsPyTorchs(golden: SceneGolden) throws {
    let metrics = try SceneGolden.session().respond(
      to: golden.question, images: [.file(golden.image)], options: SceneGolden.greedy(.off))
    #expect(metrics.text.drop { $0 == " " } == golden.unpruned)
    #expect(metrics.stop == .eos)
  }

  @Test(arguments: try SceneGolden.all()) func prunedRunIsPyTorchs(golden: SceneGolden) throws {
    let metrics = try SceneGolden.session().respond(
      to: golden.question, images: [.file(golden.image)], options: SceneGolden.greedy(GenerationOptions.Pruning()))
    let image = try #require(metrics.pruning.first)
    golden.expectSame(image.stage1Indices, golden.stage1, scores: golden.s1, bound: golden.bound1, tolerance: 0.02)
    // Both stages rank tokens of S1; where S1 differs at its border, stage II's softmax is another one too.
    if image.stage1Indices == golden.stage1 {
      var s2 = [Double](repeating: 0, count: golden.s1.count)
      for (token, score) in zip(golden.stage1, golden.s2) { s2[token] = score }
      golden.expectSame(image.keptIndices, golden.kept, scores: s2, bound: golden.bound2, tolerance: 0.1)
    }
    // A description that lost its objects wanders, and then a rounding decides where to.
    if image.keptIndices == golden.kept, golden.pruned.utf8.count < 20 {
      #expect(metrics.text.drop { $0 == " " } == golden.pruned)
    }
  }

  /// Rounding may move tokens across a threshold, but few: of PyTorch's and ours together most are in both.
  @Test func keepListsOverlap() throws {
    var (common, together) = (0, 0)
    for golden in try SceneGolden.all() {
      let metrics = try SceneGolden.session().respond(
        to: golden.question, images: [.file(golden.image)], options: SceneGolden.greedy(GenerationOptions.Pruning()))
      let kept = Set(try #require(metrics.pruning.first).keptIndices)
      common += kept.intersection(golden.kept).count
      together += kept.union(golden.kept).count
    }
    #expect(common * 10 >= together * 9, "\(common) of \(together)")
  }

  /// The shipped calibration is read.
  @Test func sidecarIsFound() throws {
    let golden = try #require(try SceneGolden.all().first)
    let metrics = try SceneGolden.session().respond(
      to: golden.question, images: [.file(golden.image)], options: SceneGolden.greedy(GenerationOptions.Pruning()))
    let image = try #require(metrics.pruning.first)
    let sidecar = try JSONValue(parsing: try Files.read("\(SceneGolden.folder)/mmproj-scenes-F16.gguf.occam.json"))
    #expect(Double("\(image.lambda1)") == sidecar["lambda1"]?.doubleValue)
    #expect(Double("\(image.lambda2)") == sidecar["lambda2"]?.doubleValue)
    #expect(image.reference == golden.reference)
  }
}

/// One question about one image, and what PyTorch made of it.
struct SceneGolden: Sendable, CustomTestStringConvertible {
  let question, image, unpruned, pruned, reference: String
  let s1, s2: [Double]
  let stage1, kept: [Int]
  /// lambda times the reference's score, of stage I and stage II.
  let bound1, bound2: Double

  var testDescription: String { question }

  static let folder = "\(Locations.root)/Models/scenes"

  static func all() throws -> [SceneGolden] {
    let bytes = try Files.read("\(Locations.goldens)/scenes/goldens.jsonl")
    return try bytes.split(separator: UInt8(ascii: "\n")).map { try SceneGolden(JSONValue(parsing: Array($0))) }
  }

  init(_ line: JSONValue) throws {
    func text(_ name: String) throws -> String { try #require(line[name]?.stringValue) }
    func numbers(_ name: String) throws -> [Double] { try #require(line[name]?.arrayValue).compactMap(\.doubleValue) }
    func indices(_ name: String) throws -> [Int] { try #require(line[name]?.arrayValue).compactMap(\.intValue) }
    (question, unpruned, pruned) = (try text("question"), try text("unpruned"), try text("pruned"))
    image = "\(Self.folder)/\(try text("image"))"
    reference = try text("reference")
    (s1, s2) = (try numbers("s1"), try numbers("s2"))
    (stage1, kept) = (try indices("stage1"), try indices("kept"))
    bound1 = try #require(line["bound1"]?.doubleValue)
    bound2 = try #require(line["bound2"]?.doubleValue)
  }

  static func session() throws -> Session {
    var options = ModelOptions(threads: 2)
    options.encoderType = .stored
    return try VisionLanguageModel(path: "\(folder)/scenes-Q8_0.gguf", options: options).makeSession(SessionOptions())
  }

  static func greedy(_ pruning: GenerationOptions.Pruning) -> GenerationOptions {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = 40
    options.pruning = pruning
    return options
  }

  /// The same tokens, but for those whose score lies near the threshold. Stage I scores come from an encoder in float weights;
  /// stage II's from 8-bit activations, which move a logit by some hundredths, and a probability by as large a share.
  func expectSame(_ found: [Int], _ expected: [Int], scores: [Double], bound: Double, tolerance: Double) {
    for token in Set(found).symmetricDifference(expected) {
      #expect(abs(scores[token] - bound) <= tolerance * bound, "token \(token): score \(scores[token]), bound \(bound)")
    }
  }
}
