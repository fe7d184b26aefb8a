import OccamModels
import OccamPackCache
import OccamQuantFormats

/// How a model is loaded.
public struct ModelOptions: Sendable {
  /// Compute threads; nil takes OCCAM_THREADS, else the cores this process may use.
  public var threads: Int?
  /// Kernel set by name; nil takes OCCAM_KERNEL, else the best this processor has.
  public var kernel: String?
  /// Calibration written by occam-calibrate; nil looks for `<projector file>.occam.json` beside the projector.
  public var sidecar: String?
  /// Reading of the vision encoder's layout.
  public var visionLayout: VisionLayout = .reference

  /// Format that float weights of the vision encoder and projector take in memory.
  public var encoderType: EncoderType = .auto

  /// Tokens that a picture takes at least and at most, for families that keep a picture's proportions; nil: as the family
  /// does. Other families refuse one.
  public var imageMinTokens: Int?
  public var imageMaxTokens: Int?

  /// Takes the place of the file's chat template: a template's text, or the name of a format built in (`chatml`, `vicuna`,
  /// `plain`).
  public var chatTemplate: String?

  /// A small text model (GGUF) with the same vocabulary, which guesses for this one: see `Speculation`.
  public var draftModel: String?

  /// A folder for packed weights: what the first load packs, later ones map in, and all processes share its pages. Made if
  /// it is missing; nil: none. What is wrong with it is said in `VisionLanguageModel.notes`, and never fails a load.
  public var packCache: String?

  /// Bytes that the folder's files may take together; those used longest ago go first, none that is in use.
  public var packCacheBytes = ModelOptions.defaultPackCacheBytes

  /// 16 GiB.
  public static let defaultPackCacheBytes = PackCache.defaultByteLimit

  /// The vision encoder's weights are in memory only while pictures are encoded: each turn that shows some loads them
  /// anew, mapped from the pack cache where there is one, else read and packed again.
  public var lowMemory = false

  var imageTokens: ImageTokenBudget { ImageTokenBudget(minimum: imageMinTokens, maximum: imageMaxTokens) }

  /// Overrides `visionLayout`, for comparing numerics with one of its differences at a time.
  package var peerDifferences: PeerDifferences?

  public init(threads: Int? = nil, kernel: String? = nil, sidecar: String? = nil) {
    self.threads = threads
    self.kernel = kernel
    self.sidecar = sidecar
  }

  /// 8 or 6 bits make the encoder faster and smaller at a small loss; what is stored quantised stays as it is.
  public enum EncoderType: String, Sendable, CaseIterable {
    /// The fastest format whose embeddings keep a cosine of 0.9995 with the stored floats': 8 bits (6 do not).
    case auto
    /// As in the file, for exact comparisons.
    case stored
    case q8_0, q6_K

    var format: QuantFormat? {
      switch self {
      case .stored: nil
      case .auto, .q8_0: .q8_0
      case .q6_K: .q6_K
      }
    }
  }

  /// Two readings of a LLaVA projector file, see ARCHITECTURE.md.
  public enum VisionLayout: String, Sendable, CaseIterable {
    /// As the encoder was trained.
    case reference
    /// As llama.cpp computes it, for comparing numerics.
    case llamaCpp = "llama.cpp"

    var differences: PeerDifferences { self == .reference ? [] : [.classTokenIsLast, .skipsLastLayer] }
  }
}
