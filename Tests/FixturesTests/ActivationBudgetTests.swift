import Occam
import OccamFixtures
import OccamModels
import OccamTestSupport
import Testing

/// Activations stay within what the memory plan says, however long the prompt and however large the photo.
@Suite(.serialized) struct ActivationBudgetTests {
  /// A fixture with room for long prompts.
  private static func model(_ name: String, _ change: (inout FixtureSpec) -> Void = { _ in }) throws -> SyntheticModel {
    var spec = try #require(FixtureSpec.named(name))
    spec.text.contextLength = 1 << 18
    change(&spec)
    return try spec.synthesizeModel(type: .q8_0, projectorType: .f16)
  }

  private static func session(_ model: SyntheticModel) throws -> Session {
    try VisionLanguageModel(text: model.text, projector: model.projector, options: ModelOptions(threads: 2)) { _ in }
      .makeSession()
  }

  @Test(
    "a prompt of 16,000 tokens",
    arguments: ["smolvlm-a", "gemma3-a", "qwen3moe-text", "qwen35-a", "qwen35moe-a", "lfm2-a", "gemma4-a"])
  func longText(name: String) throws {
    let model = try ActivationBudgetTests.model(name)
    let session = try ActivationBudgetTests.session(model)
    var options = GenerationOptions()
    (options.raw, options.maxTokens) = (true, 1)
    let metrics = try session.respond(to: String(repeating: "a b c d e f g h\n", count: 1800), options: options)
    #expect(metrics.promptTokens >= 16_000)
    let plan = try MemoryPlan(
      text: model.text, projector: model.projector, session: SessionOptions(), options: ModelOptions(), photo: nil)
    let peak = session.peakActivationBytes
    let planned = plan.activationBytes(textTokens: metrics.promptTokens)
    #expect(peak > 0 && peak <= planned, "\(peak) bytes, planned \(planned)")
    // Chunks bound what a long prompt takes: the plan does not grow either.
    #expect(planned == plan.activationBytes(textTokens: 10 * metrics.promptTokens))
  }

  @Test("a photo of many tiles", arguments: [false, true]) func manyTiles(prunes: Bool) throws {
    let model = try ActivationBudgetTests.model("smolvlm-a") { $0.vision.longestEdge = 6 * $0.vision.imageSize }
    let photo = try ShapePhoto(text: model.text, projector: try #require(model.projector), width: 900, height: 900)
    #expect(photo.tiles == 37)
    let plan = try MemoryPlan(
      text: model.text, projector: model.projector, session: SessionOptions(), options: ModelOptions(), photo: photo)
    let session = try ActivationBudgetTests.session(model)
    var answer = ShapeAnswer(width: 900, height: 900)
    (answer.textTokens, answer.answerTokens) = (64, 1)
    if prunes { answer.pruning = GenerationOptions.Pruning() }
    _ = try session.measure(answer)
    let peak = session.peakActivationBytes
    let planned = plan.activationBytes(textTokens: 64 + photo.markerTokens)
    #expect(peak > 0 && peak <= planned, "\(peak) bytes, planned \(planned)")
  }

  @Test(
    "a photo of 4,096 tokens",
    arguments: ["qwen2vl-a", "qwen25vl-a", "qwen3vl-a", "qwen3vlmoe-a", "qwen35-a"], [false, true])
  func largePhoto(name: String, prunes: Bool) throws {
    let model = try ActivationBudgetTests.model(name)
    let projector = try #require(model.projector)
    let side = try ModelRegistry.visionPlan(projector).shape.patchSize * 2 * 64
    let photo = try ShapePhoto(text: model.text, projector: projector, width: side, height: side)
    #expect(photo.visualTokens == 4096 && photo.tiles == 1)
    try ActivationBudgetTests.check(model, photo, side, side, prunes: prunes)
  }

  @Test("a photo of 280 tokens, pooled", arguments: [false, true]) func pooledPhoto(prunes: Bool) throws {
    let model = try ActivationBudgetTests.model("gemma4-c")
    let photo = try ShapePhoto(text: model.text, projector: try #require(model.projector), width: 960, height: 672)
    #expect(photo.visualTokens == 280 && photo.tiles == 1)
    try ActivationBudgetTests.check(model, photo, 960, 672, prunes: prunes)
  }

  private static func check(
    _ model: SyntheticModel, _ photo: ShapePhoto, _ width: Int, _ height: Int, prunes: Bool
  ) throws {
    let plan = try MemoryPlan(
      text: model.text, projector: model.projector, session: SessionOptions(), options: ModelOptions(), photo: photo)
    let session = try ActivationBudgetTests.session(model)
    var answer = ShapeAnswer(width: width, height: height)
    (answer.textTokens, answer.answerTokens) = (64, 1)
    if prunes { answer.pruning = GenerationOptions.Pruning() }
    _ = try session.measure(answer)
    let peak = session.peakActivationBytes
    let planned = plan.activationBytes(textTokens: 64 + photo.markerTokens)
    #expect(peak > 0 && peak <= planned, "\(peak) bytes, planned \(planned)")
  }
}
