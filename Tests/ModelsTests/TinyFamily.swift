import Occam
import OccamCore
import OccamFixtures
import OccamImages
import OccamTestSupport
import Testing

/// The smallest models of the families beside LLaVA-1.5 (`TinyModel`): one or two layers of everything, several tiles.
enum TinyFamily: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case smolVLM = "smolvlm-a"
  case gemma3 = "gemma3-a"
  case llavaNeXT = "next-a"
  case internVL = "internvl-a"
  case internVLLarge = "internvl-b"
  case qwen3 = "qwen3-text"
  case qwen3MoE = "qwen3moe-text"
  case qwen2VL = "qwen2vl-a"
  case qwen25VL = "qwen25vl-a"
  case qwen3VL = "qwen3vl-a"
  case qwen35 = "qwen35-a"
  case qwen35MoE = "qwen35moe-a"
  case lfm2 = "lfm2-a"
  case gemma4 = "gemma4-a"

  static let seeing: [TinyFamily] = [
    .smolVLM, .gemma3, .llavaNeXT, .internVL, .internVLLarge, .qwen2VL, .qwen25VL, .qwen3VL, .qwen35,
    .qwen35MoE, .lfm2, .gemma4,
  ]

  var testDescription: String { rawValue }

  /// What the text model's keys begin with.
  var prefix: String {
    switch self {
    case .smolVLM, .llavaNeXT: "llama"
    case .gemma3: "gemma3"
    case .internVL: "qwen2"
    case .internVLLarge, .qwen3: "qwen3"
    case .qwen3MoE: "qwen3moe"
    case .qwen2VL, .qwen25VL: "qwen2vl"
    case .qwen3VL: "qwen3vl"
    case .qwen35: "qwen35"
    case .qwen35MoE: "qwen35moe"
    case .lfm2: "lfm2"
    case .gemma4: "gemma4"
    }
  }

  private static let made = Guarded<[String: FixtureFiles]>([:])

  func files(_ type: FixtureType = .f16) throws -> (text: String, projector: String?) {
    let files = try TinyFamily.made.withLock { made in
      let key = "\(rawValue) \(type.rawValue)"
      if let files = made[key] { return files }
      let files = try spec().write(to: TemporaryFolder.make(), type: type)
      made[key] = files
      return files
    }
    return (files.text, files.projector)
  }

  private func spec() throws -> FixtureSpec {
    var spec = try #require(FixtureSpec.named(rawValue))
    // Gemma 3's sixth layer is the first that sees everything.
    spec.text.layers = self == .gemma3 ? 6 : 2
    spec.text.width = 64
    spec.text.heads = 4
    spec.text.kvHeads = 2
    spec.text.headSize = 16
    spec.text.feedForward = 96
    spec.text.contextLength = 512
    if self == .gemma4 {
      spec.text.layers = 4
      spec.text.mixed = MixedLayers(
        globalEvery: 2, globalHeadSize: 32, globalKVHeads: 1, sharedLayers: 2, sharedFeedForward: 192,
        perLayerWidth: 16)
    }
    if self == .qwen3MoE { spec.text.experts = .init(count: 4, used: 2, feedForward: 32) }
    if self == .qwen35MoE { spec.text.experts = .init(count: 4, used: 2, feedForward: 32, shared: 48) }
    guard spec.hasVision else { return spec }
    spec.vision.width = 32
    spec.vision.heads = 2
    spec.vision.feedForward = 64
    spec.vision.layers = 2
    switch self {
    case .smolVLM:
      spec.vision.imageSize = 32
      spec.vision.longestEdge = 96
    case .gemma3:
      spec.vision.imageSize = 56
      spec.vision.merge = 2
      spec.vision.namesMerge = true
    case .llavaNeXT:
      spec.vision.featureLayer = 2
      spec.vision.imageSize = 28
      spec.vision.pinpoints = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
    case .internVL, .internVLLarge:
      spec.vision.imageSize = 4 * spec.vision.patchSize
      spec.vision.tiles = 1...4
    case .qwen2VL, .qwen25VL:
      spec.text.ropeSections = [2, 3, 3]
      if self == .qwen2VL { spec.vision.feedForward = 96 }
    case .qwen3VL:
      spec.text.ropeSections = [3, 3, 2]
      spec.text.planes = 2
      spec.vision.imageSize = 32
      spec.vision.patchSize = 8
      spec.vision.deepStack = [0, 1]
    case .qwen35, .qwen35MoE:
      spec.text.ropeSections = [2, 1, 1]
      spec.text.delta = .init(keyHeads: 2, valueHeads: 4, headSize: 8, interval: 2, rotated: 8)
      spec.vision.imageSize = 32
      spec.vision.patchSize = 8
    case .lfm2:
      spec.text.attentionLayers = [1]
      spec.vision.imageSize = 64
      spec.vision.projectorWidth = 48
    case .gemma4:
      spec.vision.patchSize = 8
      spec.vision.positionsPerAxis = 36
      spec.vision.isStandardized = true
    case .qwen3, .qwen3MoE: break
    }
    return spec
  }

  /// 40 x 30 pixels, no two rows alike.
  static let picture: ImageSource = {
    let pixels = (0..<40 * 30 * 3).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) }
    return .bytes(encodePNG(Image(width: 40, height: 30, pixels: pixels)), name: "picture.png")
  }()

  /// Asks about a picture where the model sees, pruned, and once more without pruning.
  static func ask(_ model: VisionLanguageModel, cells: SessionOptions.CacheFormat = .f16) throws {
    let session = try model.makeSession(SessionOptions(keyFormat: cells, valueFormat: cells))
    var options = GenerationOptions()
    options.maxTokens = 2
    options.logprobs = 2
    let images = model.projectorPath == nil ? [] : [picture]
    let metrics = try session.respond(to: "What is this?", images: images, options: options)
    _ = metrics.jsonLine
    if !images.isEmpty { _ = try session.keepMap(image: 0) }
    options.pruning = .off
    options.temperature = 0
    _ = try session.respond(to: "And now?", options: options)
  }
}
