import OccamGGUF
import OccamTensors

/// Hyperparameters of the `gemma3` architecture, as GGUF's `gemma3.*` keys name them.
struct Gemma3Configuration: Sendable {
  let base: LlamaConfiguration
  let shape: TextShape
  /// Factor of the attention scores.
  let attentionScale: Float
  /// RoPE base of layers with a sliding window.
  let windowRopeBase: Float

  /// Every sixth layer sees everything.
  private static let period = 6
  /// The 27B model alone scales scores by the width of a head's share instead of the head's; its depth tells it.
  private static let layersOf27B = 62

  init(_ file: GGUFFile) throws {
    base = try LlamaConfiguration(file, prefix: "gemma3")
    let windowKey = "gemma3.attention.sliding_window"
    let window = try file.integer(windowKey) ?? 0
    guard window >= 0, window <= 1 << 30 else {
      throw ModelError(.badValue, file.subject, "\(windowKey) is \(window)")
    }
    let baseKey = "gemma3.rope.freq_base_swa"
    windowRopeBase = try file.float(baseKey) ?? 10_000
    guard windowRopeBase > 0, windowRopeBase.isFinite else {
      throw ModelError(.badValue, file.subject, "\(baseKey) is \(windowRopeBase)")
    }
    guard try file.float("gemma3.final_logit_softcapping") ?? 0 == 0 else {
      throw ModelError(.unsupportedFormat, file.subject, "gemma3.final_logit_softcapping is not supported")
    }
    var shape = base.shape
    let windowed = KVCacheShape(
      kvHeads: base.cache.kvHeads, headDimension: base.cache.headDimension, window: window > 0 ? window : nil)
    let whole = base.cache
    shape.states = (1...shape.layers).map { .attention($0 % Self.period == 0 ? whole : windowed) }
    shape.imagesAreBidirectional = true
    self.shape = shape
    let width = shape.layers == Self.layersOf27B ? shape.hidden / shape.heads : base.cache.headDimension
    attentionScale = 1 / Float(width).squareRoot()
  }
}
