import Occam
import OccamCore
import OccamPruning
import OccamTestSupport
import Testing

/// Calibration from photos and questions to a sidecar that the next load finds and prunes by.
@Suite(.serialized) struct CalibratorTests {
  private static let photos = ["cat.jpg", "cup.jpg", "cat.png", "cup.png"].map { "\(Locations.photos)/\($0)" }
  private static let questions = [
    "What is this?", "Describe the colour of the table and the wall.", "Is there a cat?", "Where is the light?",
    "How many cups are there on the table?",
  ]

  private static var register: Calibrator.Options {
    var options = Calibrator.Options()
    options.reference = .register
    options.score = .attention
    return options
  }

  /// A pair of its own, so that its sidecar concerns nobody else.
  private func pair(_ name: String) throws -> (text: String, projector: String) {
    let files = try Fixture.make(name, "Q8_0")
    let folder = TemporaryFolder.make()
    try Files.write(try Files.read(files.text), to: "\(folder)/model.gguf")
    try Files.write(try Files.read(files.projector), to: "\(folder)/mmproj-model.gguf")
    return ("\(folder)/model.gguf", "\(folder)/mmproj-model.gguf")
  }

  private func load(_ files: (text: String, projector: String), threads: Int = 2) throws -> VisionLanguageModel {
    try VisionLanguageModel(path: files.text, projector: files.projector, options: ModelOptions(threads: threads))
  }

  /// What a model keeps of the calibration's own samples.
  private func kept(
    _ model: VisionLanguageModel, _ pruning: GenerationOptions.Pruning
  ) throws -> [GenerationMetrics.Image] {
    try CalibratorTests.questions.enumerated().map { index, question in
      let photo = ImageSource.file(CalibratorTests.photos[index % CalibratorTests.photos.count])
      let metrics = try model.makeSession().respond(to: question, images: [photo], options: .greedy(0, pruning))
      return try #require(metrics.pruning.first)
    }
  }

  private func mean(_ images: [GenerationMetrics.Image], _ value: (GenerationMetrics.Image) -> Int) -> Double {
    Double(images.reduce(0) { $0 + value($1) }) / Double(images.count)
  }

  /// With and without a class token.
  @Test(arguments: ["g1", "g2", "g3"]) func theSidecarIsFoundAndUsed(fixture: String) throws {
    let files = try pair(fixture)
    let calibrator = try Calibrator(model: try load(files))
    #expect(calibrator.sidecarPath == files.projector + ".occam.json")
    var lines: [String] = []
    let report = try calibrator.run(
      images: CalibratorTests.photos, questions: CalibratorTests.questions, options: CalibratorTests.register
    ) { lines.append($0) }
    #expect(report.images == 4 && report.samples == 5 && !lines.isEmpty)
    #expect(report.lambda1 > 0 && report.lambda2 > 0 && report.curve.count > 10)
    #expect(zip(report.curve, report.curve.dropFirst()).allSatisfy { $0.lambda2 < $1.lambda2 && $0.kept >= $1.kept })
    #expect(report.effectivePatchesBefore > 1 && report.effectivePatchesAfter > 1)
    #expect(report.outliersAfter <= report.outliersBefore)
    try TextFile.write(Array(report.json.utf8), to: calibrator.sidecarPath)
    #expect(try Sidecar(path: calibrator.sidecarPath).reference == .register)
    #expect(report.registerLoss == nil && report.meanLoss == nil, "nothing is to be compared")

    let model = try load(files)
    #expect(model.isCalibrated)
    let images = try kept(model, GenerationOptions.Pruning())
    for image in images {
      #expect(image.reference == "register" && image.lambda1 == report.lambda1 && image.lambda2 == report.lambda2)
    }
    // Stage I keeps the wanted share, stage II a ninth, on average.
    let total = Double(try #require(images.first).total)
    #expect(abs(mean(images, \.stage1) / total - 0.45) < 0.08)
    #expect(abs(mean(images, \.kept) - (total / 9).rounded(.down)) <= max(2, total * 0.02))
  }

  @Test(arguments: ["g1", "g3"]) func budgetsReadTheCurve(fixture: String) throws {
    let files = try pair(fixture)
    let calibrator = try Calibrator(model: try load(files))
    let report = try calibrator.run(images: CalibratorTests.photos, questions: CalibratorTests.questions)
    try TextFile.write(Array(report.json.utf8), to: calibrator.sidecarPath)
    let model = try load(files)
    var lambdas: [Float] = []
    for budget in [4, 8, 16, 24] {
      var pruning = GenerationOptions.Pruning()
      pruning.visualBudget = budget
      let images = try kept(model, pruning)
      #expect(abs(mean(images, \.kept) - Double(budget)) <= 1.5, "budget \(budget)")
      // A mean, not a cap: some photo keeps more.
      lambdas.append(images[0].lambda2)
    }
    #expect(zip(lambdas, lambdas.dropFirst()).allSatisfy { $0 > $1 })
  }

  @Test func calibrationIsReproducible() throws {
    let files = try pair("g1")
    let first = try Calibrator(model: try load(files, threads: 1))
      .run(images: CalibratorTests.photos, questions: CalibratorTests.questions)
    let calibrator = try Calibrator(model: try load(files, threads: 2))
    for _ in 0..<2 {
      #expect(
        try calibrator.run(images: CalibratorTests.photos, questions: CalibratorTests.questions).json == first.json)
    }
  }

  @Test func wishesAreHonoured() throws {
    let files = try pair("g1")
    let calibrator = try Calibrator(model: try load(files))
    var options = Calibrator.Options()
    options.reference = .mean
    options.lambda1 = 0.25
    options.layer = 3
    options.visualBudget = 20
    let report = try calibrator.run(
      images: CalibratorTests.photos, questions: CalibratorTests.questions, options: options)
    #expect(report.registerNeurons == 0 && report.lambda1 == 0.25)
    try TextFile.write(Array(report.json.utf8), to: calibrator.sidecarPath)
    let images = try kept(try load(files), GenerationOptions.Pruning())
    #expect(images.allSatisfy { $0.reference == "mean" && $0.layer == 3 && $0.lambda1 == 0.25 })
    #expect(abs(mean(images, \.kept) - 20) <= 1.5)
  }

  /// An encoder whose patches have outliers (here: one channel of one layer writes a large vector where it is active) gets
  /// register neurons, among them that channel, and loses the outliers.
  @Test func registerNeuronsAreFound() throws {
    let source = try Fixture.make("g2", "F32")
    let folder = TemporaryFolder.make()
    let files = (text: "\(folder)/model.gguf", projector: "\(folder)/mmproj-model.gguf")
    try Files.write(try Files.read(source.text), to: files.text)
    try OutlierEncoder.write(source.projector, to: files.projector, photos: CalibratorTests.photos)
    let calibrator = try Calibrator(model: try load(files))
    let report = try calibrator.run(
      images: CalibratorTests.photos, questions: CalibratorTests.questions, options: CalibratorTests.register)
    #expect(report.outliersBefore >= 1 && report.registerNeurons > 0)
    #expect(report.outliersAfter <= 0.05 * report.outliersBefore)
    try TextFile.write(Array(report.json.utf8), to: calibrator.sidecarPath)
    let sidecar = try Sidecar(path: calibrator.sidecarPath)
    #expect(sidecar.plan.neurons.contains(.init(layer: OutlierEncoder.layer, channel: OutlierEncoder.channel)))
    #expect(try kept(try load(files), GenerationOptions.Pruning()).allSatisfy { $0.reference == "register" })
  }

  /// Of the two references the one is taken that leaves the unpruned answers the more likely; each is what it is alone.
  @Test(arguments: ["g1", "g3"]) func theBetterReferenceIsTaken(fixture: String) throws {
    let calibrator = try Calibrator(model: try load(try pair(fixture)))
    func run(_ reference: Calibrator.Reference, samples: Int = 24) throws -> Calibrator.Report {
      var options = Calibrator.Options()
      options.reference = reference
      options.score = .attention
      options.comparedSamples = samples
      return try calibrator.run(images: CalibratorTests.photos, questions: CalibratorTests.questions, options: options)
    }
    let report = try run(.auto)
    let (register, mean) = (try #require(report.registerLoss), try #require(report.meanLoss))
    #expect(register.isFinite && mean.isFinite && register != mean)
    #expect(report.reference == (mean < register ? .mean : .register))
    #expect(report.json == (try run(report.reference)).json)
    // One sample is another measurement.
    #expect(try run(.auto, samples: 1).meanLoss != mean)
  }

  /// Without a class token the lengths of keys are tried as scores too; what a sidecar says is what stage I reads.
  @Test func keyNormsAreAScore() throws {
    let files = try pair("g3")
    let calibrator = try Calibrator(model: try load(files))
    var options = Calibrator.Options()
    options.reference = .mean
    let report = try calibrator.run(
      images: CalibratorTests.photos, questions: CalibratorTests.questions, options: options)
    let (attention, keys) = (try #require(report.meanLoss), try #require(report.keyNormLoss))
    #expect(report.score == (keys < attention ? .keyNorm : .attention))
    var stageOne: [Calibrator.Score: [[Int]]] = [:]
    for score in [Calibrator.Score.attention, .keyNorm] {
      options.score = score
      let report = try calibrator.run(
        images: CalibratorTests.photos, questions: CalibratorTests.questions, options: options)
      #expect(report.score == score)
      try TextFile.write(Array(report.json.utf8), to: calibrator.sidecarPath)
      #expect(try Sidecar(path: calibrator.sidecarPath).score == (score == .keyNorm ? .keyNorm : .attention))
      stageOne[score] = try kept(try load(files), GenerationOptions.Pruning()).map(\.stage1Indices)
    }
    #expect(stageOne[.attention] != stageOne[.keyNorm])
    // With a class token there is nothing to try.
    let other = try Calibrator(model: try load(try pair("g1")))
    options.score = .auto
    let plain = try other.run(images: CalibratorTests.photos, questions: CalibratorTests.questions, options: options)
    #expect(plain.keyNormLoss == nil && plain.score == .attention)
  }

  /// A question set's pairs, photo and question belonging together.
  @Test func pairsAreRead() throws {
    let folder = TemporaryFolder.make()
    let path = "\(folder)/pairs.jsonl"
    let lines = (0..<6).map { #"{"image": "\#($0).png", "question": "What is \#($0)?", "answer": "x"}"# }
    try Files.write(Array((lines.joined(separator: "\n\n") + "\n").utf8), to: path)
    let all = try CalibrationSample.read(path, limit: 100)
    #expect(all.count == 6 && all[5] == CalibrationSample(image: "\(folder)/5.png", question: "What is 5?"))
    #expect(try CalibrationSample.read(path, limit: 3) == [all[0], all[2], all[4]])
    #expect(try CalibrationSample.read(path, limit: 0) == [])
    for bad in [
      "{", "[]", #"{"image": "a.png"}"#, #"{"image": 3, "question": "?"}"#, #"{"image": "", "question": "?"}"#,
    ] {
      try Files.write(Array(bad.utf8), to: path)
      let error = #expect(throws: OccamError.self) { try CalibrationSample.read(path, limit: 1) }
      #expect(error?.code == .invalidOption && error?.subject.contains("pairs.jsonl: sample 1") == true)
    }
    // The same pairs by both ways make the same calibration.
    let calibrator = try Calibrator(model: try load(try pair("g1")))
    let (photos, questions) = (CalibratorTests.photos, CalibratorTests.questions)
    let samples = questions.indices.map { CalibrationSample(image: photos[$0 % 4], question: questions[$0]) }
    let report = try calibrator.run(samples, options: CalibratorTests.register)
    #expect(report.images == 4 && report.samples == 5)
    let apart = try calibrator.run(images: photos, questions: questions, options: CalibratorTests.register)
    #expect(report.json == apart.json)
  }

  @Test func whatCannotBeCalibrated() throws {
    let files = try pair("g1")
    let model = try load(files)
    func code(_ images: [String], _ questions: [String]) -> OccamError.Code? {
      do {
        _ = try Calibrator(model: model).run(images: images, questions: questions)
        return nil
      } catch { return error.code }
    }
    #expect(code([], ["What?"]) == .invalidOption)
    #expect(code([CalibratorTests.photos[0]], []) == .invalidOption)
    #expect(code(["/nowhere/photo.png"], ["What?"]) == .file)
    let junk = "\(TemporaryFolder.make())/junk.png"
    try Files.write(Array("junk".utf8), to: junk)
    #expect(code([junk], ["What?"]) == .invalidImage)
    let folder = TemporaryFolder.make()
    try Files.write(try Files.read(files.text), to: "\(folder)/text.gguf")
    let textOnly = try VisionLanguageModel(path: "\(folder)/text.gguf", options: ModelOptions(threads: 1))
    let error = #expect(throws: OccamError.self) { try Calibrator(model: textOnly) }
    #expect(error?.code == .mismatch)
  }
}
