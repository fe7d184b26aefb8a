import Occam
import OccamCore
import OccamPruning

/// What is compared.
package enum EvalMethod: String, Sendable, CaseIterable {
  case off
  case occamtoken
  /// Stage II alone: lambda1 = 0.
  case noStageOne = "no-stage-one"
  /// Both stages with the mean as reference, the register in the encoder.
  case meanWithRegister = "mean-register"
  /// The same without a register token.
  case mean
  /// Both stages with fixed counts instead of thresholds.
  case fixed = "occamtoken-fixed"
  case random
  case fastv
  case cls
  case divprune
  case cdpruner

  /// Its count follows image and question; a mean count is chosen by way of lambda2.
  package var isAdaptive: Bool {
    switch self {
    case .occamtoken, .noStageOne, .meanWithRegister, .mean: true
    case .off, .fixed, .random, .fastv, .cls, .divprune, .cdpruner: false
    }
  }

  /// Keeps a count it is told.
  package var takesBudget: Bool { self != .off && !isAdaptive }

  /// Holds scores against their mean; its lambdas are of another scale.
  package var usesMean: Bool { self == .mean || self == .meanWithRegister }
}

/// A method with everything that decides its outcome.
package struct EvalSetting: Sendable, Equatable {
  package let method: EvalMethod
  /// Tokens kept, of methods that keep a fixed count.
  package var budget: Int?
  /// Mean tokens that lambda2 was chosen for.
  package var target: Int?
  /// Of `occamtoken-fixed`: tokens behind stage I.
  package var stageOne: Int?
  package var seed: UInt64 = 0
  package var pruning: PruningSettings

  package init(_ method: EvalMethod, pruning: PruningSettings) {
    self.method = method
    self.pruning = pruning
  }

  /// Nothing is pruned.
  package static var off: EvalSetting {
    EvalSetting(.off, pruning: PruningSettings(lambda1: 0, lambda2: 0, layer: 1, reference: .mean))
  }

  /// One text for one setting: results are filed under it.
  package var key: String {
    var parts = [method.rawValue]
    if let budget { parts.append("k=\(budget)") }
    if let stageOne { parts.append("s1=\(stageOne)") }
    if method == .random { parts.append("seed=\(seed)") }
    if method.isAdaptive {
      parts += ["lambda1=\(pruning.lambda1)", "lambda2=\(pruning.lambda2)"]
      if let cap = pruning.cap { parts.append("cap=\(cap)") }
    }
    if actsInsideModel { parts += ["layer=\(pruning.layer)", "kv=\(pruning.kvPolicy.rawValue)"] }
    if method.isAdaptive || method == .fixed { parts.append(registerText) }
    return parts.joined(separator: " ")
  }

  /// Whether tokens are dropped inside the language model.
  package var actsInsideModel: Bool { method.isAdaptive || method == .fixed || method == .fastv }

  /// The register that the encoder runs with, by count and content of its neurons.
  private var registerText: String {
    guard let plan = register else { return "register=none" }
    if plan.isEmpty { return "register=neutral" }
    var hash = Fingerprint()
    for neuron in plan.neurons { hash.add(Array("\(neuron.layer):\(neuron.channel);".utf8)) }
    return "register=\(plan.neurons.count):\(hash.text.prefix(8))"
  }

  /// Register neurons at work in the encoder; nil without a register token.
  package var register: RegisterPlan? {
    switch method {
    case .occamtoken, .noStageOne, .fixed: pruning.reference == .register ? pruning.plan : nil
    case .meanWithRegister: pruning.plan
    case .off, .mean, .random, .fastv, .cls, .divprune, .cdpruner: nil
    }
  }

  /// The selector for one question; nil prunes nothing.
  /// - Parameter text: input embeddings of the question, computed when asked for.
  package func selector(
    _ question: EvalQuestion, text: () throws(OccamError) -> [[Float]]
  ) throws(OccamError) -> (any VisualTokenSelector)? {
    let count = budget ?? 1
    switch method {
    case .off: return nil
    case .occamtoken, .noStageOne: return OccamTokenSelector(pruning)
    case .meanWithRegister:
      return AblatedSelector(name: key, settings: pruning, change: .meanThreshold(register: true))
    case .mean: return AblatedSelector(name: key, settings: pruning, change: .meanThreshold(register: false))
    case .fixed:
      return AblatedSelector(
        name: key, settings: pruning, change: .fixedCounts(stageOne: stageOne ?? Int.max, stageTwo: count))
    case .random:
      // Of an image, not of a question: the choice is made before anybody asks.
      var hash = Fingerprint()
      hash.add(Array("\(seed) \(question.image.split(separator: "/").last ?? "")".utf8))
      return RandomSelector(name: key, settings: pruning, count: count, seed: hash.value)
    case .fastv: return FastVSelector(name: key, settings: pruning, count: count)
    case .cls: return ClassAttentionSelector(name: key, settings: pruning, count: count)
    case .divprune: return DivPruneSelector(name: key, settings: pruning, count: count)
    case .cdpruner: return CDPrunerSelector(name: key, settings: pruning, count: count, text: try text())
    }
  }
}

/// FNV-1a, 64 bits.
package struct Fingerprint: Sendable {
  package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  package init() {}

  package mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  package var text: String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
