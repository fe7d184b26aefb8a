import OccamImages
import OccamPruning

// Which scores a model is pruned by, and what they are held against: the register, or their mean.

extension Calibrator {
  struct Candidate {
    var sidecar: Sidecar
    let after: Sinks
    /// Nats a token of the unpruned answers.
    var loss: Double?
  }

  func candidate(
    _ reference: ReferenceKind, _ score: StageOneScore, _ plan: RegisterPlan, _ after: Sinks,
    _ prepared: [CalibrationTile],
    _ samples: [CalibrationSample], _ options: Options, _ progress: (String) -> Void
  ) throws(OccamError) -> Candidate {
    progress("\(reference.rawValue), \(score.rawValue): thresholds")
    let register = reference == .register ? plan : nil
    let lambda1: Float
    if let given = options.lambda1 {
      lambda1 = given
    } else {
      lambda1 = try stageOneLambda(prepared, register, score, options)
    }
    return Candidate(
      sidecar: try curve(samples, reference, score, plan, lambda1, options, progress), after: after, loss: nil)
  }

  /// How much less likely each candidate makes the answers that the unpruned model gives. Register neurons are moved in the
  /// encoder whatever is pruned: in one whose outliers carry content that can cost more than a better threshold gains.
  func measureLosses(
    _ candidates: inout [Candidate], _ samples: [CalibrationSample], _ options: Options, _ progress: (String) -> Void
  ) throws(OccamError) {
    let count = min(max(options.comparedSamples, 1), samples.count)
    var (sums, tokens) = (candidates.map { _ in 0.0 }, 0)
    let text = model.decoder.shape
    for sample in 0..<count {
      let asked = samples[sample * samples.count / count]
      let (question, image) = (asked.question, ImageSource.file(asked.image))
      let (answer, whole) = try session.likelihood(question, image, nil, limit: 16)
      for (number, candidate) in candidates.enumerated() {
        let settings = try translating("calibration") {
          try text.settings(PruningOptions(), candidate.sidecar)
        }
        let selector = settings.map(OccamTokenSelector.init)
        sums[number] +=
          whole - (try session.likelihood(of: answer, question, image, selector, limit: 16)).logProbability
      }
      tokens += answer.count
      if (sample + 1) % 10 == 0 || sample + 1 == count { progress("references: \(sample + 1) of \(count) samples") }
    }
    for number in candidates.indices { candidates[number].loss = sums[number] / Double(max(tokens, 1)) }
  }
}
