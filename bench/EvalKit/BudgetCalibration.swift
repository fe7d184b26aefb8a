import Occam
import OccamCore
import OccamPruning

/// Chooses thresholds on questions that are not evaluated, so that adaptive methods keep a wanted number of tokens on
/// average. Scores of each question are computed once; lambdas are then searched without running the model.
package final class BudgetCalibration {
  private let evaluator: Evaluator
  private let questions: QuestionSet
  /// Told the step's name, questions done, of how many; false stops.
  private let progress: (String, Int, Int) -> Bool
  private var stageOne: [(register: RegisterPlan?, scores: [TokenScores])] = []

  package init(
    evaluator: Evaluator, questions: QuestionSet, progress: @escaping (String, Int, Int) -> Bool = { _, _, _ in true }
  ) {
    self.evaluator = evaluator
    self.questions = questions
    self.progress = progress
  }

  /// The lambda whose mean count comes nearest to `target`, of a count that never rises with lambda. 0 where even that
  /// keeps fewer.
  package static func lambda(target: Double, kept: (Float) -> Double) -> Float {
    guard kept(0) > target else { return 0 }
    var low: Float = 0
    var high: Float = 1
    while kept(high) > target {
      guard high < 1e9 else { return high }
      low = high
      high *= 2
    }
    // Neighbouring floats are not needed: the count is a step function of far fewer steps.
    for _ in 0..<48 {
      let middle = low + (high - low) / 2
      if kept(middle) > target { low = middle } else { high = middle }
    }
    return target - kept(high) <= kept(low) - target ? high : low
  }

  /// Mean tokens behind stage I over the questions.
  package func meanStageOne(_ setting: EvalSetting) throws -> Double {
    BudgetCalibration.mean(try scores(setting)) { StageOne.keep($0, lambda: setting.pruning.lambda1).count }
  }

  /// The lambda1 at which stage I keeps `count` tokens on average.
  package func lambda1(_ setting: EvalSetting, keeping count: Double) throws -> Float {
    let scores = try scores(setting)
    return BudgetCalibration.lambda(target: count) { lambda in
      BudgetCalibration.mean(scores) { StageOne.keep($0, lambda: lambda).count }
    }
  }

  /// The setting with the lambda2 of each target.
  package func matched(_ setting: EvalSetting, targets: [Int]) throws -> [EvalSetting] {
    var open = setting
    open.pruning.lambda2 = 0
    open.pruning.cap = nil
    let selector = try open.selector(questions.questions[0]) { [] }
    let name = "calibrating \(setting.method.rawValue)"
    let samples = try evaluator.scores(
      questions, register: open.register, progress: { self.progress(name, $0, self.questions.questions.count) },
      selector: selector
    ).compactMap(\.stageTwo)
    guard !samples.isEmpty else {
      throw EvalError(.setting, questions.path, "gives \(setting.method.rawValue) no scores to calibrate with")
    }
    return targets.map { target in
      var result = setting
      result.target = target
      result.pruning.lambda2 = BudgetCalibration.lambda(target: Double(target)) { lambda in
        BudgetCalibration.mean(samples) {
          StageTwo.keep([$0], images: [0], lambda: lambda, cap: setting.pruning.cap)[0].count
        }
      }
      return result
    }
  }

  /// Stage I scores as the setting's method compares them.
  private func scores(_ setting: EvalSetting) throws -> [TokenScores] {
    let register = setting.register
    var scores: [TokenScores]
    if let known = stageOne.first(where: { $0.register == register }) {
      scores = known.scores
    } else {
      scores = try evaluator.scores(
        questions, register: register,
        progress: { self.progress("calibrating stage I", $0, self.questions.questions.count) }, selector: nil
      ).map(\.stageOne)
      stageOne.append((register, scores))
    }
    return setting.method.usesMean ? scores.map { TokenScores(scores: $0.scores) } : scores
  }

  private static func mean(_ samples: [TokenScores], _ count: (TokenScores) -> Int) -> Double {
    Double(samples.reduce(0) { $0 + count($1) }) / Double(max(samples.count, 1))
  }
}
