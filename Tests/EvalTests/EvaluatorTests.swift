import Occam
import OccamCore
import OccamEvalKit
import OccamGGUF
import OccamPruning
import OccamTestSupport
import Testing

/// Whole evaluations of a generated model.
@Suite struct EvaluatorTests {
  private static let loaded = Guarded<VisionLanguageModel?>(nil)

  /// A model with a sidecar that has register neurons.
  private func model() throws -> VisionLanguageModel {
    try Self.loaded.withLock { loaded in
      if let loaded { return loaded }
      let files = try Fixture.make("g1", "Q8_0")
      let plan = RegisterPlan((0..<2).flatMap { layer in [3, 100, 501].map { .init(layer: layer, channel: $0) } })
      let sidecar = Sidecar(
        model: try VisionLanguageModel.fingerprint(GGUFFile(path: files.projector)), plan: plan, reference: .register,
        lambda1: 0.5, lambda2: 1.2)
      let path = try temporaryFile("sidecar.json", sidecar.json.text())
      let model = try VisionLanguageModel(
        path: files.text, projector: files.projector, options: ModelOptions(threads: 2, sidecar: path))
      loaded = model
      return model
    }
  }

  private func evaluator() throws -> Evaluator { try Evaluator(model: try model(), answerTokens: 6) }

  private func settings(
    _ evaluator: Evaluator, _ request: SettingRequest, calibration: BudgetCalibration? = nil
  ) throws -> [EvalSetting] {
    try request.settings(
      total: try SampleQuestions.set().meanTokens(evaluator.model), layers: evaluator.model.textShape.layers,
      calibration: calibration, plan: evaluator.model.calibration?.plan, resolve: evaluator.settings)
  }

  private func everything() -> SettingRequest {
    var request = SettingRequest()
    request.methods = EvalMethod.allCases
    request.budgets = [.tokens(7)]
    return request
  }

  private func untimed(_ records: [EvalRecord]) -> [EvalRecord] {
    records.map { record in
      var record = record
      (record.imageDecode, record.encode, record.prefill, record.timeToFirstToken) = (0, 0, 0, 0)
      return record
    }
  }

  /// Pictures in their own proportions differ in tokens: 126 of the cat, 120 of the cup (Tests/Goldens/qwen3vl), three
  /// questions about each.
  @Test func sharesAreOfThePicturesAskedAbout() throws {
    let files = try Fixture.make("qwen3vl-a", "Q8_0")
    let model = try VisionLanguageModel(
      path: files.text, projector: files.projector, options: ModelOptions(threads: 2))
    var questions = try SampleQuestions.set()
    #expect(try questions.meanTokens(model) == 123)
    var request = SettingRequest()
    request.methods = [.divprune]
    request.budgets = [.percent(10)]
    let evaluator = try Evaluator(model: model, answerTokens: 1)
    questions.restrict(types: [.count], limit: nil)
    let settings = try request.settings(
      total: questions.meanTokens(model), layers: model.textShape.layers, calibration: nil, plan: nil,
      resolve: evaluator.settings)
    let records = try evaluator.run(questions, settings)
    #expect(records.map(\.total) == [126, 126, 120, 120] && records.map(\.kept) == [126, 12, 120, 12])
    let blind = try VisionLanguageModel(
      path: Fixture.makeFiles("qwen3-text", "Q8_0").text, options: ModelOptions(threads: 1))
    #expect(throws: OccamError.self) { try questions.meanTokens(blind) }
  }

  @Test func everyMethodAnswersAndKeepsWhatItSays() throws {
    let evaluator = try evaluator()
    let settings = try settings(evaluator, everything())
    #expect(Set(settings.map(\.method)) == Set(EvalMethod.allCases))
    let questions = try SampleQuestions.set()
    let records = try evaluator.run(questions, settings)
    #expect(records.count == settings.count * questions.questions.count)
    let layers = evaluator.model.textShape.layers
    for record in records {
      let setting = try #require(settings.first { $0.key == record.setting })
      #expect(record.rowsPerLayer.count == layers, "\(record.setting)")
      let registers = setting.register == nil ? 0 : 1
      let split = setting.actsInsideModel ? setting.pruning.layer : layers
      for (layer, rows) in record.rowsPerLayer.enumerated() {
        let visual = layer < split ? record.stage1 : record.kept
        #expect(rows == record.textRows + visual + registers, "\(record.setting) layer \(layer + 1)")
      }
      #expect(record.kept <= record.stage1 && record.stage1 <= record.total)
      if let budget = setting.budget { #expect(record.kept == budget, "\(record.setting)") }
      #expect(record.extra == [JSONMember("scene", "kitchen")])
      #expect(record.generated > 0)
    }
    // The choice of methods that see the question follows it; that of the others does not.
    for (method, follows) in [
      (EvalMethod.cls, false), (.divprune, false), (.random, false), (.fastv, true), (.cdpruner, true),
    ] {
      let kept = records.filter { $0.method == method.rawValue && $0.id.hasPrefix("t0") }.compactMap(\.keptIndices)
      #expect((Set(kept).count > 1) == follows, "\(method)")
    }
  }

  @Test func offIsTheModelWithoutPruning() throws {
    let evaluator = try evaluator()
    let questions = try SampleQuestions.set()
    for record in try evaluator.run(questions, [.off]) {
      let session = try evaluator.model.makeSession()
      var options = GenerationOptions()
      options.temperature = 0
      options.maxTokens = 6
      options.pruning = .off
      let plain = try session.respond(to: record.question, images: [.file(record.image)], options: options)
      #expect(record.answer == plain.text)
      #expect(record.kept == record.total && record.keptIndices == nil)
      #expect(record.visualPerLayer == plain.meanVisualTokensPerLayer)
      #expect(record.kvCells == session.entryCounts.reduce(0, +))
    }
  }

  /// The evaluation's OccamToken is the one of the runtime: same answers, same tokens, with a shared encoding or without.
  @Test(arguments: [GenerationOptions.KVCellPolicy.compact, .keep])
  func occamTokenIsTheRuntimes(policy: GenerationOptions.KVCellPolicy) throws {
    let evaluator = try evaluator()
    var request = SettingRequest()
    request.kvPolicies = [policy]
    request.hasBaseline = false
    for record in try evaluator.run(try SampleQuestions.set(), try settings(evaluator, request)) {
      var options = GenerationOptions()
      options.temperature = 0
      options.maxTokens = 6
      options.pruning.kvPolicy = policy
      let session = try evaluator.model.makeSession()
      let plain = try session.respond(to: record.question, images: [.file(record.image)], options: options)
      #expect(record.answer == plain.text)
      #expect(record.keptIndices == plain.pruning.first?.keptIndices)
      #expect(record.stage1Indices == plain.pruning.first?.stage1Indices)
      #expect(record.kvCells == session.entryCounts.reduce(0, +) && record.kvBytes == plain.kvBytes)
      // The register is a row too, which the runtime's figure leaves out.
      #expect(abs(record.visualPerLayer - plain.meanVisualTokensPerLayer - 1) < 1e-9)
      #expect(record.kept < record.stage1 && record.stage1 < record.total)
    }
  }

  @Test func aSecondRunIsTheSame() throws {
    let questions = try SampleQuestions.set()
    let first = try evaluator()
    let settings = try settings(first, everything())
    let isSame = untimed(try first.run(questions, settings)) == untimed(try evaluator().run(questions, settings))
    #expect(isSame)
  }

  @Test func aStoppedRunGoesOn() throws {
    let evaluator = try evaluator()
    var request = SettingRequest()
    request.methods = [.occamtoken, .cls]
    request.budgets = [.tokens(5)]
    let settings = try settings(evaluator, request)
    let questions = try SampleQuestions.set()
    let path = "\(TemporaryFolder.make())/r.jsonl"
    let run = try RunIdentity.line(model: evaluator.model, options: ["a=b"])
    #expect(throws: EvaluationStopped.self) {
      _ = try evaluator.run(questions, settings, results: try ResultsFile(path: path, run: run)) { done, _ in done < 7 }
    }
    #expect(try ResultsFile(path: path, run: run).records.count == 7)
    let whole = try evaluator.run(questions, settings, results: try ResultsFile(path: path, run: run))
    #expect(try ResultsFile(path: path, run: run).records.count == 18)
    // Nothing is asked a third time.
    let before = try Files.read(path)
    let again = try evaluator.run(questions, settings, results: try ResultsFile(path: path, run: run))
    let isSame = again == whole
    #expect(isSame)
    #expect(try Files.read(path) == before)
    let isUnbroken = untimed(whole) == untimed(try evaluator.run(questions, settings))
    #expect(isUnbroken)
  }

  @Test func calibrationMatchesTheMeanCount() throws {
    let evaluator = try evaluator()
    let questions = try SampleQuestions.set()
    var request = SettingRequest()
    request.methods = [.occamtoken, .noStageOne, .meanWithRegister, .mean, .fixed]
    request.targets = [.tokens(10), .tokens(4)]
    request.budgets = [.tokens(4)]
    request.hasBaseline = false
    let calibration = BudgetCalibration(evaluator: evaluator, questions: questions)
    let settings = try settings(evaluator, request, calibration: calibration)
    #expect(settings.count == 9)
    // Asked about the very questions of the calibration, the mean is the target, up to a step of one token in six.
    let summaries = EvalSummary.all(settings, try evaluator.run(questions, settings))
    let stageOne = try #require(summaries.first).mean { Double($0.stage1) }
    for summary in summaries {
      let target = try #require(summary.setting.target ?? summary.setting.budget)
      #expect(abs(summary.mean { Double($0.kept) } - Double(target)) <= 0.51, "\(summary.setting.key)")
      if summary.setting.method != .noStageOne {
        #expect(abs(summary.mean { Double($0.stage1) } - stageOne) <= 1, "\(summary.setting.key)")
      }
    }
  }

  @Test func filesWithOtherContentHaveOtherFingerprints() throws {
    let files = try Fixture.make("g1", "Q8_0")
    let print = try RunIdentity.fingerprint(files.text)
    var bytes = try Files.read(files.text)
    bytes[bytes.count - 1] ^= 1
    let path = "\(TemporaryFolder.make())/other.gguf"
    try Files.write(bytes, to: path)
    #expect(try RunIdentity.fingerprint(path) != print)
    #expect(evalError { _ = try RunIdentity.fingerprint("/nowhere") }?.code == .file)
  }

  @Test func aMissingImageIsNamed() throws {
    let path = try temporaryFile(
      "q.jsonl", #"{"id":"a","image":"none.png","question":"?","answer":"a","type":"count"}"#)
    #expect {
      _ = try evaluator().run(try QuestionSet(path: path), [.off])
    } throws: { error in
      (error as? OccamError)?.code == .file && "\(error)".contains("none.png")
    }
  }
}
