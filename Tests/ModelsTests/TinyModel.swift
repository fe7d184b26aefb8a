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
  static func ask(_ model: VisionLanguageModel, cells: SessionOptions.CellFormat = .f16) throws {
    let session = try model.makeSession(SessionOptions(cells: cells))
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

/// A GGUF file with some changes.
struct EditedModel {
  private let source: GGUFFile
  private var values: [String: GGUFValue?] = [:]
  private var replaced: [String: (name: String, dimensions: [Int], type: GGMLType, data: [UInt8])?] = [:]

  init(_ path: String) throws { source = try GGUFFile(path: path) }

  var keys: [String] { source.metadata.keys }
  var tensors: [GGUFTensorInfo] { source.tensors }

  func value(_ key: String) -> GGUFValue? { source.metadata[key] }

  mutating func set(_ key: String, _ value: GGUFValue?) { values[key] = .some(value) }

  mutating func remove(tensor name: String) { replaced[name] = .some(nil) }

  /// Zeros where no data is given.
  mutating func replace(
    tensor name: String, by newName: String? = nil, dimensions: [Int]? = nil, type: GGMLType? = nil,
    data: [UInt8]? = nil
  ) throws {
    let info = try source.requireTensor(name)
    let dimensions = dimensions ?? info.dimensions
    let type = type ?? info.type
    let size = type.byteCount(dimensions: dimensions) ?? 0
    replaced[name] = (newName ?? name, dimensions, type, data ?? [UInt8](repeating: 0, count: size))
  }

  /// Fills every tensor with one byte.
  mutating func fill(_ byte: UInt8) throws {
    for tensor in tensors {
      try replace(tensor: tensor.name, data: [UInt8](repeating: byte, count: tensor.byteRange.count))
    }
  }

  /// - Returns: the path of the new file, in a folder of its own.
  func write(_ name: String = "edited.gguf") throws -> String {
    var writer = GGUFWriter()
    for key in source.metadata.keys + values.keys.filter({ source.metadata[$0] == nil }).sorted() {
      if let value = values[key] ?? source.metadata[key] { writer.set(key, value) }
    }
    for tensor in source.tensors {
      switch replaced[tensor.name] {
      case nil:
        try writer.add(
          tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: Array(source.bytes(tensor)))
      case .some(nil): continue
      case .some(.some(let new)):
        try writer.add(tensor: new.name, dimensions: new.dimensions, type: new.type, data: new.data)
      }
    }
    let path = "\(TemporaryFolder.make())/\(name)"
    try writer.write(to: path)
    return path
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
