import OccamGGUF
import OccamTensors

/// Hyperparameters of the `lfm2` architecture.
struct LFM2Configuration: Sendable {
  let base: LlamaConfiguration
  let shape: TextShape
  /// Rows that a short convolution sees, its own included.
  let taps: Int

  init(_ file: GGUFFile) throws {
    // One number a layer, 0 for a convolution; a plain number means that all layers attend.
    let headsKey = "lfm2.attention.head_count_kv"
    let isList = if case .array = file.metadata[headsKey] { true } else { false }
    let heads = isList ? try file.integers(headsKey) ?? [] : nil
    guard heads.map({ $0.allSatisfy { $0 >= 0 } && $0.contains { $0 > 0 } }) ?? true else {
      throw ModelError(.badValue, file.subject, "\(headsKey): no layer attends, or less than none")
    }
    base = try LlamaConfiguration(file, prefix: "lfm2", kvHeads: heads?.first { $0 > 0 })
    let (layers, queries, width) = (base.shape.layers, base.shape.heads, base.cache.headDimension)
    let counts = heads ?? Array(repeating: base.cache.kvHeads, count: layers)
    guard counts.count == layers, counts.allSatisfy({ $0 == 0 || queries % $0 == 0 }) else {
      throw ModelError(
        .badValue, file.subject, "\(headsKey) must hold \(layers) numbers that divide \(queries), is \(counts)")
    }
    let tapsKey = "lfm2.shortconv.l_cache"
    taps = try file.requireInteger(tapsKey)
    guard taps >= 2, taps <= CausalConvolution.maximumTaps else {
      throw ModelError(
        .badValue, file.subject, "\(tapsKey) is \(taps), expected 2...\(CausalConvolution.maximumTaps)")
    }
    let windowKey = "lfm2.attention.sliding_window"
    let window = try file.integer(windowKey) ?? 0
    guard window >= 0, window <= 1 << 30 else {
      throw ModelError(.badValue, file.subject, "\(windowKey) is \(window), expected 0...\(1 << 30)")
    }
    guard try file.bool("lfm2.attention.causal") ?? true else {
      throw ModelError(
        .unknownArchitecture, file.subject, "models that see what follows are not supported (lfm2.attention.causal)")
    }
    let state = RecurrentShape(floats: (taps - 1) * base.shape.hidden)
    var shape = base.shape
    shape.states = counts.map { count in
      count == 0
        ? .recurrent(state)
        : .attention(KVCacheShape(kvHeads: count, headDimension: width, window: window > 0 ? window : nil))
    }
    // The inputs of a convolution: both gates and what they gate.
    if counts.contains(0) { shape.mixerWidth = 3 * shape.hidden }
    self.shape = shape
  }
}
