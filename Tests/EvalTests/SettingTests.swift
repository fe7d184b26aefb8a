import Occam
import OccamEvalKit
import OccamPruning
import Testing

@Suite struct SettingTests {
  /// A model with a calibrated register, 6 layers and 144 tokens.
  private func settings(
    _ request: SettingRequest, hasRegister: Bool = true, attending: [Int] = Array(1...6)
  ) throws -> [EvalSetting] {
    let sidecar = Sidecar(
      model: ModelFingerprint(architecture: "clip", layers: 4, hiddenSize: 8, tensorHash: "x"),
      plan: RegisterPlan([.init(layer: 1, channel: 2)]), reference: .register, lambda1: 0.2, lambda2: 0.8)
    return try request.settings(
      total: 144, attending: attending, calibration: nil, plan: hasRegister ? sidecar.plan : nil
    ) { options in
      var wishes = PruningOptions()
      wishes.lambda1 = options.lambda1
      wishes.lambda2 = options.lambda2
      wishes.layer = options.layer
      wishes.maxVisualTokens = options.maxVisualTokens
      wishes.kvPolicy = options.kvPolicy == .keep ? .keep : .compact
      return try wishes.settings(layers: 6, sidecar: hasRegister ? sidecar : nil)
    }
  }

  private func request(_ methods: EvalMethod...) -> SettingRequest {
    var request = SettingRequest()
    request.methods = methods
    return request
  }

  @Test(arguments: [
    ("22%", 32), ("11%", 16), ("5.6%", 8), ("2.8%", 4), ("0.1%", 1), ("100%", 144), ("32", 32), ("1000", 144),
  ]) func budgets(text: String, count: Int) throws {
    #expect(try #require(TokenBudget(text)).count(of: 144) == count)
  }

  @Test(arguments: ["", "0", "-1", "0%", "101%", "x", "5 %%", "nan%", "99999999"]) func badBudgets(text: String) {
    #expect(TokenBudget(text) == nil)
    #expect(TokenBudget.list("8,\(text)") == nil)
  }

  @Test func theDefaultIsOccamTokenBesideTheUnprunedModel() throws {
    let settings = try settings(SettingRequest())
    #expect(settings.map(\.method) == [.off, .occamtoken])
    #expect(settings[1].pruning.lambda1 == 0.2 && settings[1].pruning.lambda2 == 0.8)
    #expect(settings[1].key.hasPrefix("occamtoken lambda1=0.2 lambda2=0.8 layer=2 kv=compact register=1:"))
  }

  /// FastV asks its second layer; where only some attend, the next of them.
  @Test(arguments: [([1, 2, 3], 2), ([4, 8], 4), ([1, 4], 4), ([1], 1)])
  func fastVReadsALayerThatAttends(attending: [Int], layer: Int) throws {
    var request = request(.fastv)
    request.budgets = [.tokens(8)]
    request.hasBaseline = false
    #expect(try settings(request, attending: attending).map(\.pruning.layer) == [layer])
  }

  @Test func everyCombinationOfListsIsASetting() throws {
    var request = request(.occamtoken)
    request.lambda1 = [0.1, 0.2]
    request.lambda2 = [1, 2, 3]
    request.layers = [1, 2]
    request.kvPolicies = [.compact, .keep]
    request.hasBaseline = false
    let settings = try settings(request)
    #expect(settings.count == 24 && Set(settings.map(\.key)).count == 24)
  }

  @Test func fixedMethodsTakeEachBudget() throws {
    var request = request(.cls, .fastv, .random, .fixed)
    request.budgets = [.tokens(8), .percent(22)]
    let settings = try settings(request)
    #expect(settings.map(\.budget) == [nil, 8, 32, 8, 32, 8, 32, 8, 32])
    let fastv = try #require(settings.first { $0.method == .fastv })
    #expect(fastv.key == "fastv k=8 layer=2 kv=keep")
    #expect(settings.first { $0.method == .random }?.key == "random k=8 seed=0")
    // 45 % of 144.
    #expect(settings.first { $0.method == .fixed }?.stageOne == 65)
    request.budgets = []
    #expect(evalError { _ = try self.settings(request) }?.code == .setting)
  }

  @Test func fastVTakesAPolicyThatIsAskedFor() throws {
    var request = request(.fastv)
    request.budgets = [.tokens(8)]
    request.kvPolicies = [.compact]
    #expect(try settings(request).last?.pruning.kvPolicy == .compact)
  }

  @Test func aTargetNeedsCalibrationQuestions() throws {
    var request = request(.occamtoken)
    request.targets = [.tokens(8)]
    #expect(evalError { _ = try self.settings(request) }?.message.contains("--calibrate") == true)
  }

  @Test func ablationsDifferInOneThingEach() throws {
    let settings = try settings(request(.occamtoken, .noStageOne, .meanWithRegister, .mean))
    let base = settings[1]
    #expect(settings[2].pruning.lambda1 == 0 && settings[2].register == base.register)
    #expect(settings[3].register == base.register && settings[3].pruning.reference == .mean)
    #expect(settings[4].register == nil)
    #expect(Set(settings.map(\.key)).count == 5)
  }

  @Test func withoutCalibrationTheMeanMethodHasANeutralRegister() throws {
    let settings = try settings(request(.meanWithRegister), hasRegister: false)
    #expect(settings[1].register == RegisterPlan([]))
    #expect(settings[1].key.hasSuffix("register=neutral"))
  }

  @Test func twiceTheSameIsOnce() throws {
    #expect(try settings(request(.off, .occamtoken, .occamtoken)).count == 2)
  }

  // MARK: Calibration

  /// 10 tokens with scores 0.1...1: lambda keeps those at or above it.
  private func kept(_ lambda: Float) -> Double { Double((1...10).filter { Float($0) / 10 >= lambda }.count) }

  @Test(arguments: [1.0, 3, 5, 9, 10]) func lambdaHitsAWholeCount(target: Double) {
    #expect(kept(BudgetCalibration.lambda(target: target, kept: kept)) == target)
  }

  @Test func lambdaTakesTheNearerSideOfAStep() {
    #expect(kept(BudgetCalibration.lambda(target: 3.3, kept: kept)) == 3)
    #expect(kept(BudgetCalibration.lambda(target: 3.7, kept: kept)) == 4)
    // More than there are: nothing is pruned.
    #expect(BudgetCalibration.lambda(target: 12, kept: kept) == 0)
    // A count that no lambda reaches ends the search.
    #expect(BudgetCalibration.lambda(target: 0.5) { _ in 1 } >= 1e9)
  }

  // MARK: Summary

  private func record(_ id: String, _ type: QuestionType, _ score: Double, setting: String, kept: Int) -> EvalRecord {
    var record = EvalRecord()
    record.id = id
    record.type = type
    record.score = score
    record.setting = setting
    record.total = 144
    record.kept = kept
    record.rowsPerLayer = [20 + kept]
    record.textRows = 20
    return record
  }

  @Test func typesWeighTheSameAndDescriptionsStandApart() {
    var pruned = EvalSetting(.cls, pruning: .plain())
    pruned.budget = 10
    let off = EvalSetting.off
    let records = [
      record("1", .existence, 1, setting: off.key, kept: 144), record("2", .existence, 1, setting: off.key, kept: 144),
      record("3", .count, 1, setting: off.key, kept: 144), record("4", .description, 0.5, setting: off.key, kept: 144),
      record("1", .existence, 1, setting: pruned.key, kept: 10),
      record("2", .existence, 0, setting: pruned.key, kept: 20),
      record("3", .count, 1, setting: pruned.key, kept: 30),
      record("4", .description, 0.25, setting: pruned.key, kept: 40),
    ]
    let summaries = EvalSummary.all([off, pruned], records)
    #expect(summaries[0].overall == 1 && summaries[0].relative == 1)
    #expect(summaries[1].accuracy == [.existence: 0.5, .count: 1])
    #expect(summaries[1].overall == 0.75 && summaries[1].relative == 0.75)
    #expect(summaries[1].descriptionF1 == 0.25)
    #expect(summaries[1].mean { Double($0.kept) } == 25 && summaries[1].mean(\.visualPerLayer) == 25)
    let table = EvalSummary.table(summaries)
    #expect(table.rows.count == 2)
    #expect(table.text(.csv).contains("cls,10,,,,,4,50.0,100.0,75.0,75.0,25.0"))
  }

  @Test func withoutAWholeBaselineThereIsNothingRelative() {
    let pruned = EvalSetting(.cls, pruning: .plain())
    let records = [
      record("1", .existence, 1, setting: "off", kept: 144), record("1", .existence, 1, setting: pruned.key, kept: 10),
      record("2", .existence, 0, setting: pruned.key, kept: 20),
    ]
    #expect(EvalSummary.all([pruned], records)[0].relative == nil)
  }
}
