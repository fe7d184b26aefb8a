import Occam
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamTestSupport

/// The smallest pair that has everything: two layers each, four patches and a class token, grouped queries.
enum TinyModel {
  static let spec: FixtureSpec = {
    var spec = FixtureSpec.g1
    spec.name = "tiny"
    spec.seed = 5
    spec.text.layers = 2
    spec.text.width = 64
    spec.text.heads = 4
    spec.text.kvHeads = 2
    spec.text.headSize = 16
    spec.text.feedForward = 96
    spec.text.contextLength = 256
    spec.vision.imageSize = 28
    spec.vision.width = 32
    spec.vision.heads = 2
    spec.vision.feedForward = 64
    spec.vision.layers = 2
    return spec
  }()

  private static let made = Guarded<[String: FixtureFiles]>([:])

  static func files(_ type: FixtureType = .f16) throws -> (text: String, projector: String) {
    let files = try made.withLock { made in
      if let files = made[type.rawValue] { return files }
      let files = try spec.write(to: TemporaryFolder.make(), type: type)
      made[type.rawValue] = files
      return files
    }
    return (files.text, files.projector ?? "")
  }

  static func load(
    _ text: String, _ projector: String?, kernel: String? = nil, sidecar: String? = nil
  ) throws -> VisionLanguageModel {
    try VisionLanguageModel(
      path: text, projector: projector, options: ModelOptions(threads: 1, kernel: kernel, sidecar: sidecar))
  }

  /// Asks about a photo, pruned, and once more without it.
  static func ask(_ model: VisionLanguageModel, cells: SessionOptions.CacheFormat = .f16) throws {
    let session = try model.makeSession(SessionOptions(keyFormat: cells, valueFormat: cells))
    var options = GenerationOptions()
    options.maxTokens = 2
    options.logprobs = 2
    let image = ImageSource.file("\(Locations.photos)/cup.jpg")
    let metrics = try session.respond(to: "What is this?", images: [image], options: options)
    _ = metrics.jsonLine
    _ = try session.keepMap(image: 0)
    options.pruning = .off
    options.temperature = 0
    _ = try session.respond(to: "And now?", options: options)
  }
}

/// The error that loading throws; nil when it loads.
func loadingError(_ text: String, _ projector: String?) -> OccamError? {
  do {
    _ = try TinyModel.load(text, projector)
    return nil
  } catch {
    return error as? OccamError ?? OccamError(.file, "", "not an OccamError: \(error)")
  }
}
