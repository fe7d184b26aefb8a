import OccamCore
import OccamImages
import OccamModels
import OccamPruning

/// Finds what OccamToken needs to know about a model, from a folder of images and a list of questions: the encoder's
/// register neurons, lambda1, and the curve lambda2 -> mean kept tokens at that lambda1. Nothing is trained.
public final class Calibrator {
  public struct Options: Sendable {
    /// Tried in turn until at most a twentieth of the outlier patches is left; the best of them is taken. Jiang et al.
    /// needed 10 to 100.
    public var neuronCounts = [10, 25, 50, 100, 200]
    /// Share of the visual tokens stage I is to keep on average; the paper's 200-300 of 576.
    public var stageOneShare = 0.45
    public var lambda1: Float?
    /// Text layer of stage II, from 1; nil: a third of the depth.
    public var layer: Int?
    /// Mean kept tokens of the default lambda2; nil: a ninth of the tokens, the paper's 64 of 576.
    public var visualBudget: Int?
    /// What scores are held against.
    public var reference = Reference.auto
    /// What stage I reads of the encoder.
    public var score = Score.auto
    /// Samples that answer by both references, where that is to be found.
    public var comparedSamples = 24
    public init() {}
  }

  public enum Reference: String, Sendable, CaseIterable {
    /// The one with which the model's own unpruned answers stay the more likely.
    case auto
    case register, mean
  }

  public enum Score: String, Sendable, CaseIterable {
    /// Attention; for encoders without a class token the one with which the model's own unpruned answers stay the more
    /// likely.
    case auto
    case attention
    case keyNorm = "key-norm"
  }

  /// What was found, for people.
  public struct Report: Sendable {
    public let images: Int
    public let samples: Int
    public let registerNeurons: Int
    /// Outlier patches an image, before and after the register.
    public let outliersBefore: Double
    public let outliersAfter: Double
    /// Effective number of patches that stage I's scores attend to, before and after.
    public let effectivePatchesBefore: Double
    public let effectivePatchesAfter: Double
    public let reference: Reference
    public let score: Score
    /// Nats a token of the unpruned answers loses by pruning, for each reference that was tried; nil where not measured.
    public let registerLoss: Double?
    public let meanLoss: Double?
    /// The same for the best reference with the lengths of keys as scores.
    public let keyNormLoss: Double?
    public let lambda1: Float
    public let lambda2: Float
    public let curve: [(lambda2: Float, kept: Double)]
    /// The sidecar's content.
    public let json: String
  }

  let model: VisionLanguageModel
  private let vision: VisionModel
  /// Keeps the weights for as long as the calibration lasts.
  private let weights: VisionSource.Use
  private let compute: Compute
  /// Image tokens of a calibration photo, before anything is dropped.
  private var meanTokens = 0.0
  let session: SessionCore

  public init(model: VisionLanguageModel) throws(OccamError) {
    guard let weights = model.parts.vision?.use() else {
      throw OccamError(.mismatch, model.path, "is a text-only model: there is nothing to calibrate")
    }
    self.model = model
    self.weights = weights
    vision = try weights.vision
    session = try SessionCore(model: model, options: SessionOptions())
    compute = session.compute
  }

  /// Where the sidecar belongs.
  public var sidecarPath: String { Sidecar.path(forModel: model.projectorPath ?? model.path) }

  /// - Parameters:
  ///   - images: files to show.
  ///   - questions: asked in turn, one an image and again from the start.
  ///   - progress: a line for the user.
  public func run(
    images: [String], questions: [String], options: Options = Options(), progress: (String) -> Void = { _ in }
  ) throws(OccamError) -> Report {
    try run(CalibrationSample.pairing(images: images, questions: questions), options: options, progress: progress)
  }

  /// - Parameters:
  ///   - samples: questions and the photos they are about.
  ///   - progress: a line for the user.
  public func run(
    _ samples: [CalibrationSample], options: Options = Options(), progress: (String) -> Void = { _ in }
  ) throws(OccamError) -> Report {
    guard !samples.isEmpty else { throw OccamError(.invalidOption, "calibration", "no images or no questions") }
    var seen = Set<String>()
    let images = samples.map(\.image).filter { seen.insert($0).inserted }
    let pictures = try images.map { path throws(OccamError) in try prepare(path) }
    // Each tile has a softmax, and so a register, of its own.
    let prepared = pictures.flatMap { picture in
      picture.layout.tiles.enumerated().map { CalibrationTile(image: picture.tile($0), window: $1) }
    }
    meanTokens = Double(pictures.reduce(0) { $0 + $1.layout.imageTokens }) / Double(images.count)
    let before = try sinks(prepared, nil)
    var candidates: [Candidate] = []
    let scores = wantedScores(options)
    if options.reference != .mean {
      progress("register neurons: \(prepared.count) images")
      let (plan, after) = try registerPlan(prepared, before, options, progress)
      for score in scores {
        candidates.append(try candidate(.register, score, plan, after, prepared, samples, options, progress))
      }
    }
    if options.reference != .register {
      for score in scores {
        candidates.append(try candidate(.mean, score, RegisterPlan([]), before, prepared, samples, options, progress))
      }
    }
    if candidates.count > 1 {
      try measureLosses(&candidates, samples, options, progress)
    }
    // The first, the register and attention, where they are equal.
    var best = candidates[0]
    for other in candidates.dropFirst() where other.loss ?? 0 < best.loss ?? 0 { best = other }
    func loss(_ kind: ReferenceKind) -> Double? {
      candidates.first { $0.sidecar.reference == kind && $0.sidecar.score == .attention }?.loss
    }
    let keyNormLoss = candidates.filter { $0.sidecar.score == .keyNorm }.compactMap(\.loss).min()
    let sidecar = best.sidecar
    return Report(
      images: images.count, samples: samples.count, registerNeurons: sidecar.plan.neurons.count,
      outliersBefore: before.outliers, outliersAfter: best.after.outliers, effectivePatchesBefore: before.effective,
      effectivePatchesAfter: best.after.effective, reference: sidecar.reference == .register ? .register : .mean,
      score: sidecar.score == .attention ? .attention : .keyNorm, registerLoss: loss(.register), meanLoss: loss(.mean),
      keyNormLoss: keyNormLoss, lambda1: sidecar.lambda1 ?? 0,
      lambda2: sidecar.lambda2 ?? 0,
      curve: sidecar.curve?.points.map { ($0.lambda, $0.kept) } ?? [],
      json: sidecar.json.text(indented: true) + "\n")
  }

  /// A photo as its tiles.
  private func prepare(_ path: String) throws(OccamError) -> PreparedPicture {
    let bytes = try ImagePipeline.read(.file(path))
    let photo = try ImagePipeline.decode(path, bytes, ImageReading(), for: vision.plan.processor).image
    return vision.plan.processor.prepare(photo)
  }

  /// A tile of a photo, and which of its tokens count.
  struct CalibrationTile {
    let image: PreparedImage
    let window: TokenWindow
  }

  private func wantedScores(_ options: Options) -> [StageOneScore] {
    switch options.score {
    case .attention: [.attention]
    case .keyNorm: [.keyNorm]
    case .auto: vision.plan.shape.hasClassToken ? [.attention] : [.attention, .keyNorm]
    }
  }

  // MARK: Register neurons

  struct Sinks {
    var outliers = 0.0
    var effective = 0.0
  }

  /// Two runs an image: the norms name the outlier patches, then the activations at them are summed.
  private func registerPlan(
    _ images: [CalibrationTile], _ before: Sinks, _ options: Options, _ progress: (String) -> Void
  ) throws(OccamError) -> (RegisterPlan, after: Sinks) {
    var finder = RegisterNeuronFinder(layers: vision.plan.shape.layers, channels: vision.plan.shape.feedForward)
    for image in images {
      let norms = NormObserver()
      _ = try encode(image, nil, norms)
      if finder.beginImage(norms: norms.norms).isEmpty { continue }
      let activations = ActivationObserver(finder)
      _ = try encode(image, nil, activations)
      finder = activations.finder
    }
    var plan = RegisterPlan([])
    var after = try sinks(images, plan)
    guard finder.outlierCount > 0 else {
      progress("no outlier patches: the register is a neutral token")
      return (plan, after)
    }
    for count in options.neuronCounts {
      let candidate = finder.plan(top: count)
      let outcome = try sinks(images, candidate)
      progress(
        "\(candidate.neurons.count) neurons: \(fixed(before.outliers, 2)) -> \(fixed(outcome.outliers, 2)) outlier patches an image"
      )
      // More neurons than the outliers have only disturb the encoder.
      if outcome.outliers < after.outliers { (plan, after) = (candidate, outcome) }
      if after.outliers <= 0.05 * before.outliers || candidate.neurons.count < count { break }
    }
    return (plan, after)
  }

  private func sinks(_ images: [CalibrationTile], _ plan: RegisterPlan?) throws(OccamError) -> Sinks {
    var sinks = Sinks()
    for image in images {
      let norms = NormObserver()
      let encoded = try encode(image, plan, norms)
      sinks.outliers += Double(outlierPatches(norms: norms.norms.last ?? []).count) / Double(images.count)
      sinks.effective += effectiveCount((encoded.scores ?? []).prefix(encoded.patches)) / Double(images.count)
    }
    return sinks
  }

  private func encode(
    _ tile: CalibrationTile, _ plan: RegisterPlan?, _ observer: EncoderObserver, score: StageOneScore = .attention
  ) throws(OccamError) -> EncodedPatches {
    try translating("calibration") {
      try compute.team.pass {
        try vision.encoder.encode(
          tile.image, request: EncoderRequest(wantsScores: true, score: score, register: plan), compute: compute,
          observer: observer)
      }
    }
  }

  // MARK: Lambdas

  /// The lambda1 that keeps the wanted share on average: the quantile of all s1(v) / s1(reference).
  func stageOneLambda(
    _ images: [CalibrationTile], _ register: RegisterPlan?, _ score: StageOneScore, _ options: Options
  ) throws(OccamError) -> Float {
    var relative: [Float] = []
    for image in images {
      let encoded = try encode(image, register, NormObserver(), score: score)
      guard let tokens = vision.tokens(encoded, of: image.image, window: image.window).scores else { continue }
      relative += tokens.scores.indices.map { tokens.relative($0) }.filter(\.isFinite)
    }
    relative.sort(by: >)
    guard !relative.isEmpty else {
      return PruningOptions.defaultLambdas(register == nil ? .mean : .register).lambda1
    }
    let index = min(Int(Double(relative.count) * options.stageOneShare), relative.count - 1)
    return max(relative[index], 0)
  }

  func curve(
    _ asked: [CalibrationSample], _ reference: ReferenceKind, _ score: StageOneScore, _ plan: RegisterPlan,
    _ lambda1: Float,
    _ options: Options,
    _ progress: (String) -> Void
  ) throws(OccamError) -> Sidecar {
    var wishes = PruningOptions()
    wishes.lambda1 = lambda1
    wishes.layer = options.layer
    var sidecar = Sidecar(
      model: try fingerprint(), plan: plan, reference: reference, score: score, lambda1: lambda1)
    let text = model.decoder.shape
    guard
      let settings = try translating(
        "calibration",
        {
          try text.settings(wishes, sidecar)
        })
    else { throw OccamError(.invalidOption, "calibration", "pruning is off") }
    var samples: [TokenScores] = []
    for (index, sample) in asked.enumerated() {
      let image = ImageSource.file(sample.image)
      if let scores = try session.stageTwoScores(sample.question, .source(image), OccamTokenSelector(settings)) {
        samples.append(scores)
      }
      let done = index + 1
      if done % 10 == 0 || done == asked.count { progress("stage II: \(done) of \(asked.count) samples") }
    }
    let curve = BudgetCurve(samples: samples, lambdas: Calibrator.lambdas(samples))
    let budget = options.visualBudget ?? max(Int(meanTokens / 9), 1)
    sidecar.curve = curve
    sidecar.lambda2 = curve.lambda(forBudget: Double(budget))?.lambda
    sidecar.textLayer = settings.layer
    let (images, questions) = (Set(asked.map(\.image)).count, Set(asked.map(\.question)).count)
    sidecar.calibration = "\(images) images, \(questions) questions, \(samples.count) samples"
    return sidecar
  }

  /// Where the curve is measured: quantiles of the relative scores, so that points lie where tokens are.
  private static func lambdas(_ samples: [TokenScores]) -> [Float] {
    let relative = samples.flatMap { sample in sample.scores.indices.map { sample.relative($0) } }
      .filter { $0.isFinite && $0 > 0 }.sorted()
    guard !relative.isEmpty else { return [0] }
    let steps = 48
    return [0] + (0...steps).map { relative[min($0 * relative.count / steps, relative.count - 1)] }
  }

  private func fingerprint() throws(OccamError) -> ModelFingerprint {
    let file = try ModelFiles.open(model.projectorPath ?? model.path)
    return try VisionLanguageModel.fingerprint(file)
  }
}

/// Patch norms at every layer's output.
private final class NormObserver: EncoderObserver {
  var norms: [[Float]] = []
  func hidden(layer: Int, _ values: MatrixView<Float>) {}
  func output(layer: Int, _ values: MatrixView<Float>) { norms.append(rowNorms(values, rows: 0..<values.rows)) }
}

/// MLP activations at the outlier patches of the image in hand.
private final class ActivationObserver: EncoderObserver {
  var finder: RegisterNeuronFinder
  init(_ finder: RegisterNeuronFinder) { self.finder = finder }
  func hidden(layer: Int, _ values: MatrixView<Float>) { finder.addActivations(values, layer: layer, firstPatch: 0) }
  func output(layer: Int, _ values: MatrixView<Float>) {}
}
