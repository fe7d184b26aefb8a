import Occam
import OccamCore
import OccamGGUF
import OccamImages
import OccamModels
import OccamPruning
import OccamTestSupport

/// A generated pair with what its pruning is held against, and the settings the tests of the invariants use with it.
struct PrunedCase: Sendable, CustomStringConvertible {
  let fixture: String
  let hasRegister: Bool
  /// Text layers of the fixture.
  let layers: Int
  /// Thresholds at which these random models drop tokens in both stages, and keep some.
  let lambda1: Float
  let lambda2: Float
  /// Where stage II acts unless a test says otherwise.
  var layer = 2
  /// The first layer that attends.
  var firstLayer = 1
  /// The last one, if it is not the last of all.
  var lastLayer: Int?
  /// Channels of the encoder's feed-forward network that make up the register's neurons.
  var channels = [3, 100, 501]
  /// Of weights. Where a prompt's chunks change the last bits of sums, 8-bit activations may make a step of them.
  var type = "Q8_0"

  /// LLaVA-1.5 with and without a class token (g1, g3), tiles with pixel shuffle, pooled patches in a decoder with sliding
  /// windows and bidirectional images, tiles whose rows lie between each other, windows in the encoder and positions of
  /// three numbers, planes that join behind stage II too, layers with a state instead of entries, layers that read entries
  /// of layers before stage II; register and mean.
  static let all = [
    PrunedCase(fixture: "g1", hasRegister: false, layers: 4, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(fixture: "g1", hasRegister: true, layers: 4, lambda1: 0.5, lambda2: 1.2),
    PrunedCase(fixture: "g3", hasRegister: false, layers: 5, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(fixture: "g3", hasRegister: true, layers: 5, lambda1: 0.9, lambda2: 5),
    PrunedCase(fixture: "smolvlm-a", hasRegister: false, layers: 4, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(
      fixture: "smolvlm-a", hasRegister: true, layers: 4, lambda1: 0.9, lambda2: 1.2, channels: [3, 100, 201]),
    PrunedCase(fixture: "gemma3-b", hasRegister: false, layers: 7, lambda1: 0.7, lambda2: 0.9, layer: 6),
    PrunedCase(
      fixture: "gemma3-b", hasRegister: true, layers: 7, lambda1: 0.8, lambda2: 1.8, layer: 6, channels: [3, 60, 101]),
    PrunedCase(fixture: "next-a", hasRegister: false, layers: 3, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(fixture: "next-a", hasRegister: true, layers: 3, lambda1: 1.2, lambda2: 4, channels: [3, 100, 201]),
    PrunedCase(fixture: "internvl-a", hasRegister: false, layers: 4, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(
      fixture: "internvl-a", hasRegister: true, layers: 4, lambda1: 0.9, lambda2: 1.4, channels: [3, 100, 201]),
    PrunedCase(
      fixture: "lfm2-a", hasRegister: false, layers: 5, lambda1: 0.7, lambda2: 0.9, firstLayer: 2, lastLayer: 4),
    PrunedCase(
      fixture: "lfm2-a", hasRegister: true, layers: 5, lambda1: 0.4, lambda2: 1.25, firstLayer: 2, lastLayer: 4,
      channels: [3, 60, 101]),
    PrunedCase(fixture: "qwen25vl-b", hasRegister: false, layers: 3, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(
      fixture: "qwen25vl-b", hasRegister: true, layers: 3, lambda1: 0.3, lambda2: 2, channels: [5, 40, 77]),
    PrunedCase(fixture: "qwen3vl-a", hasRegister: false, layers: 4, lambda1: 0.7, lambda2: 0.9),
    PrunedCase(
      fixture: "qwen3vl-a", hasRegister: true, layers: 4, lambda1: 0.9, lambda2: 1.2, channels: [3, 100, 201]),
    PrunedCase(fixture: "qwen35-a", hasRegister: false, layers: 8, lambda1: 0.7, lambda2: 0.9, layer: 4, firstLayer: 4),
    PrunedCase(
      fixture: "qwen35-a", hasRegister: true, layers: 8, lambda1: 3, lambda2: 1.3, layer: 4, firstLayer: 4,
      channels: [3, 60, 101]),
    PrunedCase(fixture: "gemma4-a", hasRegister: false, layers: 8, lambda1: 0.7, lambda2: 0.82),
    PrunedCase(
      fixture: "gemma4-a", hasRegister: true, layers: 8, lambda1: 0.5, lambda2: 2.8, channels: [4, 192, 231]),
    PrunedCase(fixture: "gemma4-b", hasRegister: false, layers: 6, lambda1: 0.7, lambda2: 0.93, layer: 3, type: "F16"),
    PrunedCase(
      fixture: "gemma4-b", hasRegister: true, layers: 6, lambda1: 0.3, lambda2: 2.5, layer: 3, channels: [3, 60, 101],
      type: "F16"),
  ]

  var description: String { "\(fixture) \(hasRegister ? "register" : "mean")" }

  static let photos = ["cat.jpg", "cup.jpg"].map { "\(Locations.photos)/\($0)" }
  static let images = photos.map { ImageSource.file($0) }
  static let onePhoto = "USER: <__media__>\nWhat is on the table? ASSISTANT:"
  static let twoPhotos = "USER: Look at <__media__> and then at <__media__>\nWhich one shows a cat? ASSISTANT:"

  /// The prompt and its photos: one, or two.
  static func prompt(photos count: Int) -> (text: String, images: [ImageSource], photos: [String]) {
    count == 1
      ? (onePhoto, Array(images.prefix(1)), Array(photos.prefix(1))) : (twoPhotos, images, photos)
  }

  func files() throws -> (text: String, projector: String) { try Fixture.make(fixture, type) }

  /// Register neurons: three channels in each of the first two layers.
  var plan: RegisterPlan? {
    hasRegister
      ? RegisterPlan((0..<2).flatMap { layer in channels.map { .init(layer: layer, channel: $0) } }) : nil
  }

  func pruning(layer: Int? = nil) -> GenerationOptions.Pruning {
    var pruning = GenerationOptions.Pruning()
    pruning.lambda1 = lambda1
    pruning.lambda2 = lambda2
    pruning.layer = layer ?? self.layer
    return pruning
  }

  func reference(layer: Int? = nil) -> ReferenceRun.Settings {
    var settings = ReferenceRun.Settings()
    settings.register = plan
    settings.lambda1 = lambda1
    settings.lambda2 = lambda2
    settings.layer = layer ?? self.layer
    return settings
  }

  func session(threads: Int = 2, _ options: SessionOptions = SessionOptions()) throws -> Session {
    try model(threads: threads).makeSession(options)
  }

  func model(threads: Int = 2) throws -> VisionLanguageModel {
    let files = try files()
    let key = "\(self) \(threads)"
    return try Self.models.withLock { models in
      if let model = models[key] { return model }
      let options = ModelOptions(threads: threads, sidecar: try sidecar(files.projector))
      let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
      models[key] = model
      return model
    }
  }

  /// Of one number a layer those of layers that attend without a sliding window, which gives up entries block by block.
  func unlimited(_ counts: [Int]) throws -> [Int] {
    let shape = try model().textShape
    return counts.indices.filter { layer in shape.attention(layer).map { $0.window == nil } ?? false }.map {
      counts[$0]
    }
  }

  /// Entries that the layers without a sliding window hold.
  func counts(_ session: Session) throws -> [Int] { try unlimited(session.entryCounts) }

  /// Tiles that a photo is cut into.
  func tiles(photo index: Int) throws -> Int {
    let path = Self.photos[index]
    let photo = try decodeImage(try Files.read(path), subject: path)
    let plan = try ModelRegistry.visionPlan(GGUFFile(path: try files().projector))
    return plan.processor.layout(width: photo.width, height: photo.height).tiles.count
  }

  private static let models = Guarded<[String: VisionLanguageModel]>([:])

  /// Path of a sidecar with `plan`, for the cases that have one.
  func sidecar(_ projector: String) throws -> String? {
    guard let plan else { return nil }
    let file = try GGUFFile(path: projector)
    let path = "\(TemporaryFolder.make())/sidecar.json"
    try Sidecar(model: VisionLanguageModel.fingerprint(file), plan: plan, reference: .register).write(to: path)
    return path
  }
}

extension Session {
  /// A raw prompt's prefill alone, and what pruning did.
  func prefill(_ prompt: String, _ images: [ImageSource], _ pruning: GenerationOptions.Pruning) throws
    -> GenerationMetrics
  {
    try respond(to: prompt, images: images, options: .greedy(0, raw: true, pruning))
  }
}

extension GenerationOptions {
  static func greedy(_ tokens: Int, raw: Bool = false, _ pruning: Pruning = Pruning()) -> GenerationOptions {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = tokens
    options.ignoresEndOfText = true
    options.raw = raw
    options.pruning = pruning
    return options
  }
}
