import OccamImages
import OccamPruning
import OccamTensors

/// How one reply is generated.
public struct GenerationOptions: Sendable {
  /// The most tokens to generate; nil: until the model stops or the context is full.
  public var maxTokens: Int?
  /// 0 or less: greedy.
  public var temperature: Float = 0.8
  /// 0: off.
  public var topK = 40
  /// 1: off.
  public var topP: Float = 0.95
  /// 0: off.
  public var minP: Float = 0.05
  /// 1: off.
  public var repeatPenalty: Float = 1
  /// Taken off the logit of a recent token, once, and once for each time that it occurred; 0: off.
  public var presencePenalty: Float = 0
  public var frequencyPenalty: Float = 0
  /// Tokens the penalties look back on.
  public var repeatLastN = 64
  /// Added to the logits of single tokens; minus infinity forbids one.
  public var logitBias: [Int32: Float] = [:]
  /// Same seed, same text, whatever the thread count.
  public var seed: UInt64 = 0
  /// Goes on past the model's end-of-text tokens, for measuring.
  public var ignoresEndOfText = false
  /// A full context ends a reply as `maxTokens` does; else it is an error.
  public var endsAtFullContext = false
  /// The reply ends before the first of these.
  public var stop: [String] = []
  /// Alternatives reported a token, with log-probabilities; nil: neither is computed.
  public var logprobs: Int?
  /// Reports the probabilities that the token was drawn by, behind penalties, top-k, top-p, min-p and temperature, instead
  /// of the model's own.
  public var logprobsBehindSampling = false
  public var pruning = Pruning()
  /// Faster decoding by guessing what comes next; off unless asked for, or the model has a draft model.
  public var speculation = Speculation()
  /// The prompt is taken verbatim: no chat template, `<__media__>` marks each image. Such a prompt is a conversation of
  /// its own: earlier turns and their images are forgotten.
  public var raw = false

  public init() {}

  /// What the text must look like.
  public var format = ResponseFormat.text
  /// Functions that the model is told about, by its chat template.
  public var tools: [Tool] = []
  /// Texts of control tokens that the reply shows nevertheless, as the marks of calls; the model's own alone count.
  public var shownTokens: [String] = []
  /// A JSON object: further variables of the chat template, as `{"enable_thinking": false}`.
  public var templateVariables: String?

  /// Visual-token pruning by OccamToken. nil: as calibrated, else the documented default.
  public struct Pruning: Sendable, Equatable {
    public var enabled = true
    /// Stage I threshold, relative to the reference's score.
    public var lambda1: Float?
    /// Stage II threshold, relative to the reference's score.
    public var lambda2: Float?
    /// Text layer behind which stage II drops tokens, from 1.
    public var layer: Int?
    /// Wanted mean number of visual tokens an image.
    public var visualBudget: Int?
    /// Hard cap of visual tokens an image.
    public var maxVisualTokens: Int?
    /// The most visual tokens of an image behind stage I, for measuring.
    package var maxStageOneTokens: Int?
    /// What becomes of dropped tokens' KV cache entries in the layers before.
    public var kvPolicy = KVCellPolicy.compact

    public init() {}
    public static var off: Pruning {
      var options = Pruning()
      options.enabled = false
      return options
    }

    var options: PruningOptions {
      var result = PruningOptions()
      result.enabled = enabled
      result.lambda1 = lambda1
      result.lambda2 = lambda2
      result.layer = layer
      result.visualBudget = visualBudget
      result.maxVisualTokens = maxVisualTokens
      result.maxStageOneTokens = maxStageOneTokens
      result.kvPolicy = kvPolicy == .keep ? .keep : .compact
      return result
    }
  }

  public enum KVCellPolicy: String, Sendable, CaseIterable { case compact, keep }
}

/// How a session reads pictures' files.
public struct ImageReading: Sendable, Equatable {
  /// Refuses files that are damaged though browsers show them; otherwise they are shown, with a warning on standard error.
  public var isStrict = false
  /// What transparent pixels are composed on: red, green, blue.
  public var background = SIMD3<UInt8>(repeating: 255)

  public init() {}

  /// - Parameter colour: "white", "black", "grey", "#rrggbb", "#rgb" or "red,green,blue"; nil for anything else.
  public static func background(named colour: String) -> SIMD3<UInt8>? {
    RGB(parsing: colour).map { SIMD3($0.red, $0.green, $0.blue) }
  }

  var options: ImageDecodingOptions {
    ImageDecodingOptions(strict: isStrict, background: RGB(background.x, background.y, background.z))
  }
}

/// How a session stores keys and values, and reads pictures.
public struct SessionOptions: Sendable {
  /// How a number of the KV cache is stored: in 4, 2, about 1.06 or about 0.56 bytes.
  public enum CacheFormat: String, Sendable, CaseIterable {
    case f32, f16, q8_0, q4_0

    fileprivate var stored: KVCacheFormat {
      switch self {
      case .f32: .f32
      case .f16: .f16
      case .q8_0: .q8_0
      case .q4_0: .q4_0
      }
    }
  }
  /// The most positions of a conversation; nil: what the model was trained for. A ceiling, not an allocation.
  public var contextLength: Int?
  public var keyFormat: CacheFormat
  /// Values take coarse rounding better than keys do.
  public var valueFormat: CacheFormat
  public var images = ImageReading()
  /// Keeps what the encoder made of pictures, for all sessions that are given it; nil: this conversation's alone.
  public var imageCache: ImageCache?

  public init(contextLength: Int? = nil, keyFormat: CacheFormat = .f16, valueFormat: CacheFormat = .f16) {
    self.contextLength = contextLength
    self.keyFormat = keyFormat
    self.valueFormat = valueFormat
  }

  var cacheFormats: KVCacheFormats { KVCacheFormats(keys: keyFormat.stored, values: valueFormat.stored) }
}

/// An image of a prompt.
public enum ImageSource: Sendable {
  /// A path; `-` reads standard input.
  case file(String)
  /// A JPEG, PNG, WebP, GIF or BMP file's bytes and the name for error messages.
  case bytes([UInt8], name: String)

  var name: String {
    switch self {
    case .file(let path): path == "-" ? "standard input" : path
    case .bytes(_, let name): name
    }
  }
}

/// What a reply's text must look like; the model can say nothing else.
public enum ResponseFormat: Sendable, Equatable {
  /// Anything.
  case text
  /// A JSON object.
  case json
  /// JSON that is valid by a JSON Schema, itself JSON text.
  case schema(String)
  /// What a grammar in llama.cpp's notation (GBNF) describes.
  case grammar(String)
}
