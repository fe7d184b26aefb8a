import Occam
import OccamPruning

/// A number of visual tokens, or a share of an image's.
package enum TokenBudget: Sendable, Equatable {
  case tokens(Int)
  case percent(Double)

  /// `32` or `5.6%`.
  package init?(_ text: some StringProtocol) {
    if text.hasSuffix("%") {
      guard let share = Double(text.dropLast()), share > 0, share <= 100 else { return nil }
      self = .percent(share)
    } else {
      guard let count = Int(text), (1...(1 << 20)).contains(count) else { return nil }
      self = .tokens(count)
    }
  }

  /// Several with commas between them; nil when one is not a budget.
  package static func list(_ text: String) -> [TokenBudget]? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let budgets = parts.compactMap { TokenBudget($0) }
    return budgets.count == parts.count ? budgets : nil
  }

  /// At least one token, at most all.
  package func count(of total: Int) -> Int {
    switch self {
    case .tokens(let count): min(count, max(total, 1))
    case .percent(let share): min(max(Int((Double(total) * share / 100).rounded()), 1), max(total, 1))
    }
  }
}

/// What a user wants compared; `settings` makes it concrete for a model.
package struct SettingRequest: Sendable {
  package var methods: [EvalMethod] = [.occamtoken]
  /// Of methods that keep a fixed count.
  package var budgets: [TokenBudget] = []
  /// Mean counts that adaptive methods are calibrated for.
  package var targets: [TokenBudget] = []
  /// Each tried; empty: as calibrated, else the default.
  package var lambda1: [Float] = []
  package var lambda2: [Float] = []
  package var layers: [Int] = []
  package var kvPolicies: [GenerationOptions.KVCellPolicy] = []
  /// Of methods that hold scores against their mean. nil: by calibration as many behind stage I as OccamToken, else the
  /// default; and the default.
  package var meanLambda1: Float?
  package var meanLambda2: Float?
  package var visualBudget: Int?
  package var maxVisualTokens: Int?
  /// Tokens behind stage I of `occamtoken-fixed`; nil: OccamToken's mean by calibration, else 45 %.
  package var stageOne: TokenBudget?
  package var seed: UInt64 = 0
  /// Adds `off`, which relative accuracy is told against.
  package var hasBaseline = true

  package init() {}

  /// - Parameters:
  ///   - resolve: fills in the model's calibration and defaults; nil when pruning is off.
  ///   - total: visual tokens of an image, or of the images' mean; layers: of the text model.
  ///   - calibration: nil when no calibration questions were given.
  package func settings(
    total: Int, layers count: Int, calibration: BudgetCalibration?, plan: RegisterPlan?,
    resolve: (GenerationOptions.Pruning) throws -> PruningSettings?
  ) throws -> [EvalSetting] {
    var result: [EvalSetting] = hasBaseline ? [.off] : []
    for method in methods {
      if method == .off {
        result.append(.off)
      } else if method.isAdaptive || method == .fixed {
        for base in try bases(method, plan, resolve) {
          result +=
            try method == .fixed
            ? fixed(base, total, calibration) : adaptive(base, total, calibration, plan, resolve)
        }
      } else {
        result += try single(method, total, count)
      }
    }
    var seen = Set<String>()
    return result.filter { seen.insert($0.key).inserted }
  }

  private func counts(_ method: EvalMethod, _ total: Int) throws(EvalError) -> [Int] {
    guard !budgets.isEmpty else {
      throw EvalError(.setting, method.rawValue, "keeps a fixed count: give it with --method-budget")
    }
    return budgets.map { $0.count(of: total) }
  }

  /// Methods that prune in one place.
  private func single(_ method: EvalMethod, _ total: Int, _ layers: Int) throws(EvalError) -> [EvalSetting] {
    // FastV's own policy is to keep the cells; a policy asked for is used all the same.
    let policies: [KVPolicy] = method == .fastv && !kvPolicies.isEmpty ? kvPolicies.map(\.policy) : [.keep]
    var result: [EvalSetting] = []
    for count in try counts(method, total) {
      for policy in policies {
        var setting = EvalSetting(
          method,
          pruning: PruningSettings(
            lambda1: 0, lambda2: 0, layer: method == .fastv ? min(2, layers) : layers, reference: .mean,
            kvPolicy: policy))
        setting.budget = count
        setting.seed = seed
        result.append(setting)
      }
    }
    return result
  }

  /// The method under every combination of lambda1, layer and KV policy asked for.
  private func bases(
    _ method: EvalMethod, _ plan: RegisterPlan?, _ resolve: (GenerationOptions.Pruning) throws -> PruningSettings?
  ) throws -> [EvalSetting] {
    let firsts: [Float?] =
      method == .noStageOne
      ? [0] : method.usesMean ? [meanLambda1] : lambda1.isEmpty ? [nil] : lambda1.map(Optional.some)
    var result: [EvalSetting] = []
    for first in firsts {
      for layer in layers.isEmpty ? [nil] : layers.map(Optional.some) {
        for policy in kvPolicies.isEmpty ? [.compact] : kvPolicies {
          var options = GenerationOptions.Pruning()
          options.lambda1 = first
          options.lambda2 = method.usesMean ? meanLambda2 : nil
          options.layer = layer
          options.kvPolicy = policy
          options.visualBudget = method.usesMean ? nil : visualBudget
          options.maxVisualTokens = maxVisualTokens
          guard var pruning = try resolve(options) else { continue }
          if method.usesMean {
            let defaults = PruningOptions.defaultLambdas(.mean)
            pruning.reference = .mean
            pruning.plan = plan ?? RegisterPlan([])
            pruning.lambda1 = first ?? defaults.lambda1
            pruning.lambda2 = meanLambda2 ?? defaults.lambda2
          }
          result.append(EvalSetting(method, pruning: pruning))
        }
      }
    }
    return result
  }

  private func fixed(
    _ base: EvalSetting, _ total: Int, _ calibration: BudgetCalibration?
  ) throws -> [EvalSetting] {
    let first: Int
    if let stageOne {
      first = stageOne.count(of: total)
    } else if let calibration {
      first = Int(try calibration.meanStageOne(base).rounded())
    } else {
      first = TokenBudget.percent(45).count(of: total)
    }
    return try counts(.fixed, total).map { count in
      var setting = base
      setting.budget = count
      setting.stageOne = max(first, count)
      return setting
    }
  }

  private func adaptive(
    _ base: EvalSetting, _ total: Int, _ calibration: BudgetCalibration?, _ plan: RegisterPlan?,
    _ resolve: (GenerationOptions.Pruning) throws -> PruningSettings?
  ) throws -> [EvalSetting] {
    var base = base
    if base.method.usesMean, meanLambda1 == nil, let calibration {
      // The same share behind stage I as OccamToken keeps, so that stage II starts alike.
      var model = self
      model.lambda1 = Array(lambda1.prefix(1))
      if let reference = try model.bases(.occamtoken, plan, resolve).first {
        base.pruning.lambda1 = try calibration.lambda1(base, keeping: try calibration.meanStageOne(reference))
      }
    }
    var result: [EvalSetting] = []
    if !targets.isEmpty {
      guard let calibration else {
        throw EvalError(
          .setting, base.method.rawValue, "--match-budget needs --calibrate FILE: questions to choose lambda2 on")
      }
      result += try calibration.matched(base, targets: targets.map { $0.count(of: total) })
    }
    if !base.method.usesMean {
      for second in lambda2 {
        var setting = base
        setting.pruning.lambda2 = second
        result.append(setting)
      }
    }
    return result.isEmpty ? [base] : result
  }
}

extension GenerationOptions.KVCellPolicy {
  var policy: KVPolicy { self == .keep ? .keep : .compact }
}
