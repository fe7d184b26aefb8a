import Occam
import OccamCore
import OccamModels
import OccamPruning

/// Asks every question under every setting, an image at a time, so that settings share its encoding.
package final class Evaluator {
  package let model: VisionLanguageModel
  private let session: Session
  /// The most tokens of an answer.
  private let answerTokens: Int

  package init(model: VisionLanguageModel, session: SessionOptions = SessionOptions(), answerTokens: Int = 64)
    throws(OccamError)
  {
    self.model = model
    self.session = try model.makeSession(session)
    self.answerTokens = answerTokens
  }

  /// Pruning options with the model's calibration and the defaults filled in; nil when pruning is off.
  package func settings(_ options: GenerationOptions.Pruning) throws(OccamError) -> PruningSettings? {
    try session.settings(options)
  }

  /// Asks what is not on file.
  /// - Parameters:
  ///   - results: read for what is there, and written after every answer; nil keeps nothing on disk.
  ///   - progress: answers done, of how many; false stops.
  /// - Returns: one record for each question and setting, in the order of the questions, settings inside.
  package func run(
    _ questions: QuestionSet, _ settings: [EvalSetting], results: ResultsFile? = nil,
    progress: (Int, Int) -> Bool = { _, _ in true }
  ) throws -> [EvalRecord] {
    let keys = settings.map(\.key)
    let total = questions.questions.count * settings.count
    var answers: [String: [EvalRecord]] = [:]
    var done = 0
    for group in questions.byImage {
      var photos = PhotoShelf(session)
      for question in group {
        for (setting, key) in zip(settings, keys) {
          guard progress(done, total) else { throw EvaluationStopped() }
          done += 1
          if let known = try results?.record(question, setting: key) {
            answers[question.id, default: []].append(known)
            continue
          }
          let record = try answer(question, setting, key, &photos)
          try results?.add(record)
          answers[question.id, default: []].append(record)
        }
      }
    }
    _ = progress(total, total)
    return questions.questions.flatMap { answers[$0.id] ?? [] }
  }

  private func answer(
    _ question: EvalQuestion, _ setting: EvalSetting, _ key: String, _ photos: inout PhotoShelf
  ) throws(OccamError) -> EvalRecord {
    let photo = try photos.photo(question.image, register: setting.register)
    let session = session
    let selector = try setting.selector(question) { () throws(OccamError) in
      try session.textEmbeddings(question.question)
    }
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = answerTokens
    let metrics = try session.respond(to: question.question, photo: photo, selector: selector, options: options)
    return record(question, setting, key, photo, metrics)
  }

  private func record(
    _ question: EvalQuestion, _ setting: EvalSetting, _ key: String, _ photo: EncodedPhoto,
    _ metrics: GenerationMetrics
  ) -> EvalRecord {
    var record = EvalRecord()
    record.id = question.id
    record.setting = key
    record.method = setting.method.rawValue
    record.question = question.question
    record.image = question.image
    record.type = question.type
    record.objects = question.objects
    record.extra = question.extra
    record.expected = question.answers
    record.answer = metrics.text
    record.score = Scoring.score(metrics.text, question)
    record.budget = setting.budget
    record.target = setting.target
    if setting.method.isAdaptive {
      record.lambda1 = Double("\(setting.pruning.lambda1)")
      record.lambda2 = Double("\(setting.pruning.lambda2)")
    }
    if setting.actsInsideModel {
      record.layer = setting.pruning.layer
      record.kvPolicy = setting.pruning.kvPolicy.rawValue
    }
    let image = metrics.pruning.first
    record.total = photo.tokens
    record.stage1 = image?.stage1 ?? photo.tokens
    record.kept = image?.kept ?? photo.tokens
    record.stage1Indices = image?.stage1Indices
    record.keptIndices = image?.keptIndices
    record.rowsPerLayer = metrics.rowsPerLayer
    record.textRows = metrics.textRows
    record.kvBytes = metrics.kvBytes
    record.kvBytesUnpruned = metrics.kvBytesUnpruned
    record.kvCells = session.entryCounts.reduce(0, +)
    record.imageDecode = rounded(photo.decodeTime)
    record.encode = rounded(photo.encodeTime + metrics.timings.imageEncode)
    record.prefill = rounded(metrics.timings.prefill)
    record.timeToFirstToken = rounded(photo.decodeTime + photo.encodeTime + metrics.timings.timeToFirstToken)
    record.generated = metrics.generatedTokens
    record.effectivePatches = photo.scores.map { rounded(effectiveCount($0.scores)) }
    return record
  }

  /// Three decimals, as on file, so that a record read back equals the one written.
  private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

  /// Stage I and stage II scores of questions under a selector, for choosing lambdas.
  func scores(
    _ questions: QuestionSet, register: RegisterPlan?, progress: (Int) -> Bool,
    selector: (any VisualTokenSelector)?
  ) throws -> [CalibrationSample] {
    var samples: [CalibrationSample] = []
    for group in questions.byImage {
      var photos = PhotoShelf(session)
      for question in group {
        guard progress(samples.count) else { throw EvaluationStopped() }
        let photo = try photos.photo(question.image, register: register)
        guard let stageOne = photo.scores else { continue }
        var sample = CalibrationSample(stageOne: stageOne)
        if let selector {
          sample.stageTwo = try session.stageTwoScores(question.question, photo: photo, selector: selector)
        }
        samples.append(sample)
      }
    }
    return samples
  }
}

extension QuestionSet {
  /// Visual tokens of the photos asked about before anything is dropped, mean over the questions; shares are of them.
  package func meanTokens(_ model: VisionLanguageModel) throws(OccamError) -> Int {
    var total = 0
    for group in byImage { total += group.count * (try model.visualTokens(of: .file(group[0].image))) }
    return Int((Double(total) / Double(max(questions.count, 1))).rounded())
  }
}

/// Progress asked to stop.
package struct EvaluationStopped: Error {
  package init() {}
}

/// The scores of one question about one image.
struct CalibrationSample {
  var stageOne: TokenScores
  var stageTwo: TokenScores?
}

/// Encodings of the image in hand, one for each register.
private struct PhotoShelf {
  private let session: Session
  private var photos: [(path: String, register: RegisterPlan?, photo: EncodedPhoto)] = []

  init(_ session: Session) { self.session = session }

  mutating func photo(_ path: String, register: RegisterPlan?) throws(OccamError) -> EncodedPhoto {
    if let known = photos.first(where: { $0.path == path && $0.register == register }) { return known.photo }
    let photo = try session.encode(.file(path), register: register)
    photos.append((path, register, photo))
    return photo
  }
}
