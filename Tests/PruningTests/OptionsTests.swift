import OccamPruning
import Testing

@Suite struct OptionsTests {
  static let model = ModelFingerprint(architecture: "clip", layers: 24, hiddenSize: 1024, tensorHash: "00")

  static var calibrated: Sidecar {
    Sidecar(
      model: model, plan: RegisterPlan([.init(layer: 6, channel: 17)]), lambda1: 0.0125, lambda2: 0.75, textLayer: 9,
      curve: BudgetCurve([.init(lambda: 0.5, kept: 100), .init(lambda: 1, kept: 50)]))
  }

  @Test func defaultsFollowTheReference() throws {
    let mean = try #require(try PruningOptions().settings(layers: 32, sidecar: nil))
    #expect(mean.reference == .mean)
    #expect(mean.lambda1 == 0.5 && mean.lambda2 == 1 && mean.layer == 11)
    #expect(mean.notes.count == 1)
    let bare = Sidecar(model: OptionsTests.model, plan: RegisterPlan([.init(layer: 0, channel: 0)]))
    let register = try #require(try PruningOptions().settings(layers: 22, sidecar: bare))
    #expect(register.reference == .register)
    #expect(register.lambda1 == 0.015 && register.lambda2 == 0.9 && register.layer == 8)
    #expect(register.notes.isEmpty)
    // Calibrated to the mean: nobody has to be told to calibrate.
    let chosen = Sidecar(model: OptionsTests.model, plan: RegisterPlan([]), reference: .mean)
    let calibrated = try #require(try PruningOptions().settings(layers: 22, sidecar: chosen))
    #expect(calibrated.reference == .mean && calibrated.notes.isEmpty)
  }

  @Test func offIsNil() throws {
    var options = PruningOptions()
    options.enabled = false
    #expect(try options.settings(layers: 4, sidecar: OptionsTests.calibrated) == nil)
  }

  @Test func theUserComesBeforeTheSidecarAndThatBeforeTheDefault() throws {
    let sidecar = try #require(try PruningOptions().settings(layers: 32, sidecar: OptionsTests.calibrated))
    #expect(sidecar.lambda1 == 0.0125 && sidecar.lambda2 == 0.75 && sidecar.layer == 9)
    var options = PruningOptions()
    options.lambda1 = 0.25
    options.lambda2 = 2
    options.layer = 3
    options.kvPolicy = .keep
    let user = try #require(try options.settings(layers: 32, sidecar: OptionsTests.calibrated))
    #expect(user.lambda1 == 0.25 && user.lambda2 == 2 && user.layer == 3 && user.kvPolicy == .keep)
  }

  @Test func aCalibratedLayerOfADeeperModelIsNotUsed() throws {
    let settings = try #require(try PruningOptions().settings(layers: 6, sidecar: OptionsTests.calibrated))
    #expect(settings.layer == PruningOptions.defaultLayer(layers: 6))
  }

  @Test func defaultLayerIsAboutAThird() {
    #expect((1...4).map { PruningOptions.defaultLayer(layers: $0) } == [1, 1, 1, 1])
    #expect(PruningOptions.defaultLayer(layers: 32) == 11)
    #expect(PruningOptions.defaultLayer(layers: 36) == 12)
    #expect(PruningOptions.defaultLayer(layers: 36, depth: .qwen3VL) == 10)
    #expect((1...4).map { PruningOptions.defaultLayer(layers: $0, depth: .qwen3VL) } == [1, 1, 1, 1])
    #expect(PruningOptions.defaultLayer(layers: 28, depth: .qwen3VL) == 8)
  }

  @Test func aBudgetReadsTheCurve() throws {
    var options = PruningOptions()
    options.visualBudget = 75
    let settings = try #require(try options.settings(layers: 32, sidecar: OptionsTests.calibrated))
    #expect(settings.lambda2 == 0.75 && settings.cap == nil && settings.notes.isEmpty)
    options.visualBudget = 10
    let clamped = try #require(try options.settings(layers: 32, sidecar: OptionsTests.calibrated))
    #expect(clamped.lambda2 == 1 && clamped.notes.count == 1)
    options.lambda1 = 0.5
    #expect(try options.settings(layers: 32, sidecar: OptionsTests.calibrated)?.notes.count == 2)
    options.lambda2 = 0.3
    #expect(try options.settings(layers: 32, sidecar: OptionsTests.calibrated)?.lambda2 == 0.3)
  }

  @Test func aBudgetWithoutCurveIsACapAndSaysSo() throws {
    var options = PruningOptions()
    options.visualBudget = 64
    options.maxVisualTokens = 100
    var sidecar = OptionsTests.calibrated
    sidecar.curve = nil
    let settings = try #require(try options.settings(layers: 32, sidecar: sidecar))
    #expect(settings.cap == 64 && settings.lambda2 == 0.75)
    #expect(settings.notes.contains { $0.contains("caps every image at 64") })
    options.maxVisualTokens = 16
    #expect(try options.settings(layers: 32, sidecar: sidecar)?.cap == 16)
  }

  @Test func impossibleOptionsAreNamed() {
    func error(_ change: (inout PruningOptions) -> Void) -> PruningError? {
      var options = PruningOptions()
      change(&options)
      do {
        _ = try options.settings(layers: 12, sidecar: nil)
        return nil
      } catch {
        return error
      }
    }
    #expect(error { $0.layer = 13 } == .layerOutOfRange(13, layers: 12))
    #expect(error { $0.layer = 0 } == .layerOutOfRange(0, layers: 12))
    #expect(error { $0.layer = 12 } == nil)
    #expect(error { $0.lambda1 = -0.5 } == .invalidLambda(name: "lambda1", -0.5))
    #expect(error { $0.lambda2 = .infinity } == .invalidLambda(name: "lambda2", .infinity))
    #expect(error { $0.lambda2 = .nan } != nil)
    #expect(error { $0.visualBudget = 0 } == .invalidCount(name: "visual budget", 0))
    #expect(error { $0.maxVisualTokens = -1 }?.description == "maximum of visual tokens -1: expected 1 or more")
    #expect(
      error { $0.maxStageOneTokens = 0 }?.description == "maximum of visual tokens behind stage I 0: expected 1 or more"
    )
  }

  @Test func reportCountsTokensPerLayer() throws {
    #expect(PruningReport.meanVisualTokensPerLayer(layers: 32, l: 11, s1: 200, s2: 40) == 95)
    #expect(PruningReport.meanVisualTokensPerLayer(layers: 4, l: 9, s1: 8, s2: 1) == 8)
    #expect(PruningReport.meanVisualTokensPerLayer(layers: 0, l: 0, s1: 8, s2: 1) == 0)
    let settings = try #require(try PruningOptions().settings(layers: 4, sidecar: nil))
    let image = ImagePruningReport(
      stageOne: KeepList(kept: [1, 3, 5], total: 8), stageTwo: KeepList(kept: [0, 2], total: 3), settings: settings)
    #expect(image.keptIndices == [1, 5] && image.stage1 == 3 && image.kept == 2 && image.total == 8)
    #expect(PruningReport(images: [image, image], layers: 4).meanVisualTokensPerLayer == 4.5)
  }
}
