/// What becomes of the KV cache entries of layers 1..l that belong to tokens Stage II dropped.
package enum KVPolicy: String, Sendable, CaseIterable {
  /// Evicted, so that decoding reads S2 only.
  case compact
  /// Kept, for comparison.
  case keep
}

/// A user's wishes; nil means "as calibrated, else the documented default".
package struct PruningOptions: Sendable, Equatable {
  package var enabled = true
  /// Stage I threshold: a token survives with s1(v) >= lambda1 x reference.
  package var lambda1: Float?
  /// Stage II threshold: a token survives with s2(v) >= lambda2 x reference.
  package var lambda2: Float?
  /// Text layer behind which Stage II drops tokens, from 1.
  package var layer: Int?
  /// Wanted mean number of visual tokens per image; picks lambda2 from the sidecar's curve.
  package var visualBudget: Int?
  /// The most visual tokens one image may keep; a hard cap.
  package var maxVisualTokens: Int?
  /// The most visual tokens of an image that Stage I lets through, largest scores first; for measuring with the counts
  /// of a published setting where no threshold means anything (random weights).
  package var maxStageOneTokens: Int?
  package var kvPolicy = KVPolicy.compact

  package init() {}

  /// Defaults where neither the user nor a sidecar says otherwise.
  ///
  /// With a register: the middle of the paper's ranges for LLaVA-1.5 (lambda1 0.01-0.02, lambda2 0.62-1.3).
  /// Against the mean the paper gives no numbers: half the mean for Stage I, which shall only drop what no question
  /// is likely to need, and the mean itself for Stage II (ours).
  package static func defaultLambdas(_ kind: ReferenceKind) -> (lambda1: Float, lambda2: Float) {
    switch kind {
    case .register: (0.015, 0.9)
    case .mean: (0.5, 1)
    }
  }

  /// Stage II's layer where none is chosen: the paper's, in proportion.
  /// - Parameters: layers: of the text model, at least 1; depth: what the paper has for the model's like.
  package static func defaultLayer(layers: Int, depth: PruningDepth = .llava) -> Int {
    min(max((layers * depth.layer + depth.layers / 2) / depth.layers, 1), max(layers, 1))
  }
}

/// The layer of stage II that the paper (arXiv 2605.29657) chose in a model of so many.
package struct PruningDepth: Sendable, Equatable {
  let layer: Int
  let layers: Int

  /// LLaVA-1.5-7B, and what nothing is known of.
  package static let llava = PruningDepth(layer: 11, layers: 32)
  /// Qwen3-VL-8B.
  package static let qwen3VL = PruningDepth(layer: 10, layers: 36)
}

/// A pruning option that cannot be honoured.
package enum PruningError: Error, Equatable, CustomStringConvertible {
  case layerOutOfRange(Int, layers: Int)
  /// Neither this layer nor one behind it attends.
  case noAttention(layer: Int)
  case invalidLambda(name: String, Float)
  case invalidCount(name: String, Int)

  package var description: String {
    switch self {
    case .layerOutOfRange(let layer, let layers): "pruning layer \(layer): the text model has layers 1 to \(layers)"
    case .noAttention(let layer): "pruning layer \(layer): neither it nor a layer behind it attends"
    case .invalidLambda(let name, let value): "\(name) \(value): expected a number of 0 or more"
    case .invalidCount(let name, let value): "\(name) \(value): expected 1 or more"
    }
  }
}

/// Options made concrete for one model.
package struct PruningSettings: Sendable, Equatable {
  package var lambda1: Float
  package var lambda2: Float
  /// Text layer behind which Stage II acts, from 1.
  package var layer: Int
  /// The most visual tokens per image.
  package var cap: Int?
  /// The most visual tokens per image behind Stage I.
  package var stageOneCap: Int?
  package var reference: ReferenceKind
  package var score = StageOneScore.attention
  /// Register neurons of the encoder; empty with the mean as reference.
  package var plan: RegisterPlan
  package var kvPolicy: KVPolicy
  /// What a user should hear once: fallbacks taken, a budget outside the calibrated range.
  package var notes: [String]

  package init(
    lambda1: Float, lambda2: Float, layer: Int, cap: Int? = nil, stageOneCap: Int? = nil,
    reference: ReferenceKind, score: StageOneScore = .attention,
    plan: RegisterPlan = RegisterPlan([]), kvPolicy: KVPolicy = .compact, notes: [String] = []
  ) {
    self.lambda1 = lambda1
    self.lambda2 = lambda2
    self.layer = layer
    self.cap = cap
    self.stageOneCap = stageOneCap
    self.reference = reference
    self.score = score
    self.plan = plan
    self.kvPolicy = kvPolicy
    self.notes = notes
  }
}

extension PruningOptions {
  /// The user's value first, then the calibrated one, then the default. nil when pruning is off.
  /// - Parameters:
  ///   - layers: layers of the text model.
  ///   - defaultLayer: where stage II acts if nobody chose; nil: a third of the depth.
  ///   - attending: the layers, from 1, ascending, that attend: a chosen one that does not gives way to the next that does;
  ///     nil: all.
  package func settings(
    layers: Int, defaultLayer: Int? = nil, attending: [Int]? = nil, sidecar: Sidecar?
  ) throws(PruningError) -> PruningSettings? {
    try validate(layers: layers)
    guard enabled else { return nil }
    func next(_ layer: Int) -> Int? { attending.map { $0.first { $0 >= layer } } ?? layer }
    let kind = sidecar?.reference ?? .mean
    let defaults = PruningOptions.defaultLambdas(kind)
    var notes: [String] = []
    if sidecar == nil {
      notes.append("no register neurons for this encoder (see occam-calibrate): thresholds are held against the mean")
    }
    let first = lambda1 ?? sidecar?.lambda1 ?? defaults.lambda1
    var second = lambda2 ?? sidecar?.lambda2 ?? defaults.lambda2
    var cap = maxVisualTokens
    let chosen = layer ?? calibratedLayer(sidecar, layers: layers)
    let acting = chosen.flatMap(next)
    if let layer, acting == nil { throw .noAttention(layer: layer) }
    if let chosen, let acting, chosen != acting {
      notes.append("layer \(chosen) does not attend: stage II acts behind layer \(acting)")
    }
    if let visualBudget, lambda2 == nil {
      if let curve = sidecar?.curve, let choice = curve.lambda(forBudget: Double(visualBudget)) {
        second = choice.lambda
        if choice.clamped {
          notes.append(
            "visual budget \(visualBudget) is outside the calibrated curve: lambda2 \(choice.lambda) is used")
        }
        if let calibrated = sidecar?.lambda1, calibrated != first {
          notes.append("the budget curve was measured at lambda1 \(calibrated), not \(first)")
        }
      } else {
        cap = min(cap ?? visualBudget, visualBudget)
        notes.append("no calibrated curve for a visual budget: it caps every image at \(visualBudget) tokens instead")
      }
    }
    return PruningSettings(
      lambda1: first, lambda2: second,
      layer: acting ?? defaultLayer ?? PruningOptions.defaultLayer(layers: layers),
      cap: cap, stageOneCap: maxStageOneTokens, reference: kind, score: sidecar?.score ?? .attention,
      plan: sidecar?.plan ?? RegisterPlan([]),
      kvPolicy: kvPolicy, notes: notes)
  }

  private func calibratedLayer(_ sidecar: Sidecar?, layers: Int) -> Int? {
    guard let layer = sidecar?.textLayer, layer >= 1, layer <= layers else { return nil }
    return layer
  }

  private func validate(layers: Int) throws(PruningError) {
    for (name, value) in [("lambda1", lambda1), ("lambda2", lambda2)] {
      if let value, !(value >= 0 && value.isFinite) { throw .invalidLambda(name: name, value) }
    }
    for (name, value) in [
      ("visual budget", visualBudget), ("maximum of visual tokens", maxVisualTokens),
      ("maximum of visual tokens behind stage I", maxStageOneTokens),
    ] {
      if let value, value < 1 { throw .invalidCount(name: name, value) }
    }
    if let layer, layer < 1 || layer > layers { throw .layerOutOfRange(layer, layers: layers) }
  }
}
