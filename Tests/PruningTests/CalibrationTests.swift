import OccamCore
import OccamPruning
import Testing

@Suite struct CalibrationTests {
  @Test func effectiveCountIsOneForAPeakAndAllForAFlatRow() {
    #expect(abs(effectiveCount([0, 0, 1, 0]) - 1) < 1e-12)
    #expect(abs(effectiveCount([Float](repeating: 0.02, count: 50)) - 50) < 1e-9)
    // Two patches share: entropy of (3/4, 1/4), whatever the scale.
    #expect(abs(effectiveCount([0.3, 0.1]) - 1.754765350603323) < 1e-6)
    #expect(effectiveCount([0, .nan, -1]) == 0)
  }

  @Test func outliersAreBeyondThreeDeviations() {
    var norms = [Float](repeating: 1, count: 99)
    #expect(outlierPatches(norms: norms).isEmpty)
    norms.insert(50, at: 40)
    #expect(outlierPatches(norms: norms) == [40])
    #expect(outlierPatches(norms: []).isEmpty)
    #expect(outlierPatches(norms: [.nan, 1, 2]).isEmpty)
  }

  @Test func rowNormsAreEuclidean() {
    let (buffer, view) = StageTests.view([[9, 9], [3, 4], [0, 2]])
    #expect(rowNorms(view, rows: 1..<3) == [5, 2])
    _ = buffer
  }

  /// An encoder of 4 layers, 8 channels, 100 patches behind a CLS token; patch 30 becomes an outlier at layer 2
  /// because of channel 5 of layer 1 (strongest) and channel 2 of layer 2.
  static func finder() -> RegisterNeuronFinder {
    var finder = RegisterNeuronFinder(layers: 4, channels: 8)
    for image in 0..<3 {
      let quiet = [Float](repeating: 1, count: 100)
      var loud = quiet
      loud[30] = 40
      #expect(finder.beginImage(norms: [quiet, quiet, loud, loud]) == [30])
      for layer in 0..<4 {
        var rows = [[Float]](repeating: [Float](repeating: 0.1, count: 8), count: 101)
        rows[0] = [Float](repeating: 1000, count: 8)
        rows[10] = [Float](repeating: 500, count: 8)
        if layer == 1 { rows[31][5] = -20 - Float(image) }
        if layer == 2 { rows[31][2] = 9 }
        if layer == 3 { rows[31][7] = 99 }
        let (buffer, view) = StageTests.view(rows)
        finder.addActivations(view, layer: layer, firstPatch: 1)
        _ = buffer
      }
    }
    return finder
  }

  @Test func registerNeuronsAreTheLoudestAtTheOutliersUpToTheFirstOutlierLayer() {
    let finder = CalibrationTests.finder()
    #expect(finder.firstOutlierLayer == 2)
    #expect(finder.outlierCount == 3 && finder.images == 3)
    #expect(finder.plan(top: 1) == RegisterPlan([.init(layer: 1, channel: 5)]))
    #expect(finder.plan(top: 2) == RegisterPlan([.init(layer: 1, channel: 5), .init(layer: 2, channel: 2)]))
    // Beyond the two, equals: lowest layer and channel first. Layer 3 comes too late.
    #expect(finder.plan(top: 3).neurons.first == .init(layer: 0, channel: 0))
    #expect(finder.plan(top: 1000).neurons.count == 24)
    #expect(abs(finder.meanActivation(.init(layer: 1, channel: 5)) - 21) < 1e-9)
    #expect(finder.meanActivation(.init(layer: 9, channel: 5)) == 0)
  }

  @Test func withoutOutliersThereIsNoPlan() {
    var finder = RegisterNeuronFinder(layers: 2, channels: 3)
    let quiet = [Float](repeating: 1, count: 20)
    finder.beginImage(norms: [quiet, quiet])
    #expect(finder.firstOutlierLayer == nil)
    #expect(finder.plan(top: 5).isEmpty)
  }

  @Test func planGroupsNeuronsByLayer() {
    let plan = RegisterPlan([
      .init(layer: 3, channel: 9), .init(layer: 0, channel: 4), .init(layer: 3, channel: 1),
      .init(layer: 0, channel: 4),
    ])
    #expect(plan.neurons.count == 3)
    #expect((0...5).map(plan.neurons(inLayer:)) == [[4], [], [], [1, 9], [], []])
    #expect(plan.neurons(inLayer: -1) == [])
  }

  @Test func activationsMoveToTheRegister() {
    let plan = RegisterPlan([.init(layer: 1, channel: 0), .init(layer: 1, channel: 2), .init(layer: 1, channel: 77)])
    // CLS, three patches, register.
    let rows: [[Float]] = [[7, 7, 7], [1, 2, -5], [4, 5, -6], [2, 8, -4], [0, 0.5, 0]]
    let (buffer, view) = StageTests.view(rows)
    plan.moveActivations(view, layer: 0, patches: 1..<4, register: 4)
    #expect(Array(buffer.buffer) == rows.flatMap { $0 })
    plan.moveActivations(view, layer: 1, patches: 1..<4, register: 4)
    #expect(Array(buffer.buffer) == [7, 7, 7, 0, 2, 0, 0, 5, 0, 0, 8, 0, 4, 0.5, -4])
    let (gatedBuffer, gated) = StageTests.view(rows)
    plan.moveActivations(gated, layer: 1, patches: 1..<4, register: 4, gated: true)
    #expect(Array(gatedBuffer.buffer) == [7, 7, 7, 0, 2, 0, 0, 5, 0, 0, 8, 0, 4, 0.5, -6])
  }

  // MARK: The budget curve

  @Test func risesAreNoiseAndArePooled() {
    let curve = BudgetCurve([
      .init(lambda: 1, kept: 40), .init(lambda: 0.5, kept: 90), .init(lambda: 0.75, kept: 30),
      .init(lambda: 2, kept: 10),
      .init(lambda: .nan, kept: 5),
    ])
    #expect(curve.points.map(\.lambda) == [0.5, 0.75, 1, 2])
    #expect(curve.points.map(\.kept) == [90, 35, 35, 10])
  }

  @Test func inversionInterpolatesAndClamps() throws {
    let curve = BudgetCurve([.init(lambda: 0.5, kept: 90), .init(lambda: 1, kept: 40), .init(lambda: 2, kept: 40)])
    func lambda(_ budget: Double) throws -> Float { try #require(curve.lambda(forBudget: budget)).lambda }
    #expect(try lambda(90) == 0.5)
    #expect(try lambda(65) == 0.75)
    #expect(try lambda(40) == 1)
    #expect(curve.lambda(forBudget: 40)?.clamped == false)
    #expect(try lambda(12) == 2)
    #expect(curve.lambda(forBudget: 12)?.clamped == true)
    #expect(curve.lambda(forBudget: 500)?.lambda == 0.5)
    #expect(curve.lambda(forBudget: 500)?.clamped == true)
    #expect(BudgetCurve([]).lambda(forBudget: 5) == nil)
  }

  @Test func aMeasuredCurveGivesItsBudgetBack() throws {
    var generator = SeededGenerator(seed: 1)
    let samples = (0..<60).map { _ in
      TokenScores(scores: (0..<200).map { _ in generator.unitFloat() }, reference: 0.5, kind: .register)
    }
    let curve = BudgetCurve(samples: samples, lambdas: stride(from: 0, through: 2, by: 0.1).map { Float($0) })
    #expect(curve.points.first?.kept == 200)
    #expect(curve.points.last?.kept ?? 0 >= 1)
    let choice = try #require(curve.lambda(forBudget: 64))
    let kept = samples.reduce(0) { $0 + StageTwo.keep([$1], images: [0], lambda: choice.lambda)[0].count }
    #expect(abs(Double(kept) / 60 - 64) < 1)
  }
}
