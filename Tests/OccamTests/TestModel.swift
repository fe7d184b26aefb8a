import Occam
import OccamCore
import OccamTestSupport

/// Small models of generated weights, loaded once.
enum TestModel {
  private static let loaded = Guarded<[String: VisionLanguageModel]>([:])

  static func pair() throws -> VisionLanguageModel { try model("pair") { (try Fixture.make("g1", "Q8_0"), true) } }

  /// A family's fixture; without a projector where it has none.
  static func family(_ name: String) throws -> VisionLanguageModel {
    try model(name) {
      let files = try Fixture.makeFiles(name, "Q8_0")
      return ((files.text, files.projector ?? ""), files.projector != nil)
    }
  }

  /// The same without its chat template.
  static func withoutTemplate(_ name: String) throws -> VisionLanguageModel {
    try model("\(name) without template") {
      let files = try Fixture.makeFiles(name, "Q8_0")
      var edited = try EditedModel(files.text)
      edited.set("tokenizer.chat_template", nil)
      return ((try edited.write(), files.projector ?? ""), files.projector != nil)
    }
  }

  /// A slower model on the slowest kernels: filling its context takes seconds, so that whoever leaves a reply early does so
  /// long before, even on a busy machine.
  static func slow() throws -> VisionLanguageModel {
    let files = try Fixture.make("g2", "F32")
    return try VisionLanguageModel(
      path: files.text, projector: files.projector, options: ModelOptions(threads: 1, kernel: "portable"))
  }

  /// The same text model without its projector.
  static func textOnly() throws -> VisionLanguageModel {
    try model("text") {
      let source = try Fixture.make("g1", "Q8_0").text
      let path = "\(TemporaryFolder.make())/text.gguf"
      try Files.write(try Files.read(source), to: path)
      return ((path, ""), false)
    }
  }

  private static func model(
    _ key: String, _ files: () throws -> (pair: (text: String, projector: String), hasVision: Bool)
  ) throws -> VisionLanguageModel {
    try loaded.withLock { loaded in
      if let model = loaded[key] { return model }
      let (files, hasVision) = try files()
      let model = try VisionLanguageModel(
        path: files.text, projector: hasVision ? files.projector : nil, options: ModelOptions(threads: 2))
      loaded[key] = model
      return model
    }
  }

  static let cat = ImageSource.file("\(Locations.photos)/cat.jpg")
  static let cup = ImageSource.file("\(Locations.photos)/cup.png")
}

extension GenerationOptions {
  static func greedy(_ tokens: Int?, raw: Bool = false) -> GenerationOptions {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = tokens
    options.ignoresEndOfText = true
    options.raw = raw
    return options
  }
}

/// Code of the error that `body` throws; nil when it throws none.
func code(_ body: () throws -> Void) -> OccamError.Code? { failure(body)?.code }

func failure(_ body: () throws -> Void) -> OccamError? {
  do {
    try body()
    return nil
  } catch {
    return error as? OccamError
  }
}
