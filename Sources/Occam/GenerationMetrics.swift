/// One generated token; the texts of all of them together are the reply. The token that ends a reply comes too, with what
/// text was held back until then.
public struct GeneratedToken: Sendable {
  public struct Alternative: Sendable {
    public let id: Int32
    public let text: String
    /// The token's own bytes, a control token's name; a character may be spread over several tokens.
    public let bytes: [UInt8]
    public let logprob: Float
  }

  /// -1 for text that was held back when a reply was cancelled or the context was full.
  public let id: Int32
  /// Text that became complete with this token; often empty while a character's bytes are still coming.
  public let text: String
  /// The token's own bytes, none of a control token; empty unless probabilities were asked for.
  public internal(set) var bytes: [UInt8] = []
  /// Natural logarithm of the probability before temperature and truncation, or behind them
  /// (`GenerationOptions.logprobsBehindSampling`); nil unless asked for.
  public internal(set) var logprob: Float?
  /// The most probable tokens, best first.
  public internal(set) var top: [Alternative]
}

/// What happens while a reply is made.
public enum GenerationEvent: Sendable {
  /// Share of an image's encoding that is done, 0...1.
  case encoding(image: Int, of: Int, fraction: Double)
  /// Share of the prompt's tokens that is computed, 0...1. `cached` more are known from an earlier reply.
  case prefill(tokens: Int, cached: Int, fraction: Double)
  case token(GeneratedToken)
}

/// The figures of one reply, also printed by `occam-run --json`.
public struct GenerationMetrics: Sendable {
  public enum Stop: String, Sendable { case eos, length, stop, cancelled }

  public struct Timings: Sendable {
    /// Milliseconds.
    public var load = 0.0
    public var imageDecode = 0.0
    public var imageEncode = 0.0
    public var prefill = 0.0
    /// From the call of `reply` to the first token, image decoding and encoding included.
    public var timeToFirstToken = 0.0
    public var decode = 0.0
    /// Unpruned prompt tokens that were processed, per second.
    public var prefillTokensPerSecond = 0.0
    public var decodeTokensPerSecond = 0.0
  }

  public struct Image: Sendable {
    public let image: Int
    /// Visual tokens of the encoder, the register not counted.
    public let total: Int
    public let stage1: Int
    public let kept: Int
    public let lambda1: Float
    public let lambda2: Float
    /// Text layer behind which stage II acted, from 1.
    public let layer: Int
    public let reference: String
    public let keptIndices: [Int]
    public let stage1Indices: [Int]
  }

  public var stop = Stop.length
  /// The stop string that ended the reply.
  public var stopText: String?
  /// Positions of the whole prompt, as if unpruned.
  public var promptTokens = 0
  /// Of these, taken over from an earlier reply.
  public var cachedTokens = 0
  public var generatedTokens = 0
  /// Tokens that speculative decoding guessed, and those of them that were right.
  public var draftedTokens = 0
  public var acceptedTokens = 0
  /// Passes that checked guesses.
  public var drafts = 0
  /// Passes over the weights behind prefill: without speculative decoding one less than there are tokens.
  public var decodePasses = 0
  /// Pictures that the encoder ran for, and those of the conversation that were encoded before.
  public var encodedImages = 0
  public var reusedImages = 0
  public var timings = Timings()
  /// One entry an image of the conversation; empty when pruning is off.
  public var pruning: [Image] = []
  /// Bytes of all KV cache entries at the end of the reply, and what they would be without pruning.
  public var kvBytes = 0
  public var kvBytesUnpruned = 0
  public var weightsBytes = 0
  public var peakResidentBytes = 0
  /// Visual tokens a text layer processed on average in prefill, all images together.
  public var meanVisualTokensPerLayer = 0.0
  /// Rows that each text layer really processed in prefill, and how many of them were text; the rest are visual tokens and
  /// registers.
  package var rowsPerLayer: [Int] = []
  package var textRows = 0
  public var kernel = ""
  public var threads = 0
  public var seed: UInt64 = 0
  public var text = ""

  public init() {}
}
