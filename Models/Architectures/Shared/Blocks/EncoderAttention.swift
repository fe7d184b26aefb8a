import OccamCore
import OccamMatmul
import OccamPruning
import OccamTensors

/// Self-attention of a vision encoder's layer: as many keys as queries, biases where the file has them, rotary positions
/// and norms of queries, keys and values where the encoder has them.
struct EncoderAttention: Sendable {
  let heads: Int
  let rotary: [RotaryPart]
  let query: LimitedLinear  // [hidden x hidden], as the others
  let key: LimitedLinear
  let value: LimitedLinear
  /// [hidden]: over all heads together; [head dimension]: over each. As the others.
  let queryNorm: RMSNormWeights?
  let keyNorm: RMSNormWeights?
  let valueNorm: RMSNormWeights?
  /// Of the scores, before softmax.
  let scale: Float
  let output: ScaledBranch

  /// - Parameters:
  ///   - prefix: of the layer's tensors, "v.blk.0.".
  ///   - normEpsilon: of the norms of queries and keys, for encoders that may have them.
  ///   - scale: of what the layer adds, one factor a channel (LayerScale).
  init(
    _ loader: WeightLoader, _ prefix: String, hidden: Int, heads: Int, rotary: RotaryTable? = nil,
    normEpsilon: Float? = nil, scale: AlignedBuffer<Float>? = nil
  ) throws {
    self.heads = heads
    self.rotary = rotary.map { [RotaryPart(table: $0, first: 0)] } ?? []
    self.scale = 1 / Float(hidden / heads).squareRoot()
    func norm(_ name: String) throws -> RMSNormWeights? {
      try normEpsilon.flatMap { try RMSNormWeights(optional: loader, prefix + name, hidden, epsilon: $0) }
    }
    queryNorm = try norm("attn_q_norm")
    keyNorm = try norm("attn_k_norm")
    valueNorm = nil
    query = try LimitedLinear(loader, prefix + "attn_q", outputs: hidden, inputs: hidden)
    key = try LimitedLinear(loader, prefix + "attn_k", outputs: hidden, inputs: hidden)
    value = try LimitedLinear(loader, prefix + "attn_v", outputs: hidden, inputs: hidden)
    output = ScaledBranch(
      linear: try LimitedLinear(loader, prefix + "attn_out", outputs: hidden, inputs: hidden), scale: scale)
  }

  /// Gemma 4's: limited layers, norms of each head's query, key and value, the values' without weight, unscaled scores, a
  /// norm of what is added.
  init(
    limited loader: WeightLoader, _ prefix: String, hidden: Int, heads: Int, rotary: [RotaryPart], epsilon: Float
  ) throws {
    self.heads = heads
    self.rotary = rotary
    scale = 1
    func linear(_ name: String) throws -> LimitedLinear {
      try LimitedLinear(loader, prefix + name, outputs: hidden, inputs: hidden, isLimited: true)
    }
    (query, key, value) = (try linear("attn_q"), try linear("attn_k"), try linear("attn_v"))
    queryNorm = try RMSNormWeights(loader, prefix + "attn_q_norm", hidden / heads, epsilon: epsilon)
    keyNorm = try RMSNormWeights(loader, prefix + "attn_k_norm", hidden / heads, epsilon: epsilon)
    valueNorm = RMSNormWeights(ones: hidden / heads, epsilon: epsilon)
    output = ScaledBranch(
      linear: try linear("attn_out"),
      norm: try RMSNormWeights(loader, prefix + "attn_post_norm", hidden, epsilon: epsilon))
  }

  /// - Parameter name: of the one matrix that holds query, key and value, one behind the other.
  init(
    _ loader: WeightLoader, _ prefix: String, fusing name: String, hidden: Int, heads: Int, rotary: RotaryTable? = nil
  ) throws {
    self.heads = heads
    self.rotary = rotary.map { [RotaryPart(table: $0, first: 0)] } ?? []
    scale = 1 / Float(hidden / heads).squareRoot()
    let parts = try LinearWeights.split(loader, prefix + name, outputs: hidden, parts: 3, inputs: hidden)
    (query, key, value) = (LimitedLinear(parts[0]), LimitedLinear(parts[1]), LimitedLinear(parts[2]))
    (queryNorm, keyNorm, valueNorm) = (nil, nil, nil)
    output = ScaledBranch(linear: try LimitedLinear(loader, prefix + "attn_out", outputs: hidden, inputs: hidden))
  }

  /// What a layer's rows see, and which of them score the others.
  struct Sight {
    var visibility = Visibility.everything
    /// One a row, for rotary positions.
    var positions: UnsafePointer<Position>?
    /// Query and key pairs, for timing.
    var pairs: Double
    /// What is wanted of this layer; nil: nothing.
    var score: StageOneScore?
    /// Rows whose attention to all rows is the score, their mean taken.
    var scoring: [Int] = []
  }

  /// x += s norm(Wo attention(RoPE(norm(Wq n)), RoPE(norm(Wk n)), norm(Wv n))).
  /// - Parameter normed: n, [rows x hidden].
  /// - Returns: of every row what `sight.score` asks for: attention received, mean over heads and scoring rows, or the
  ///   length of its key, mean over heads.
  func run(_ normed: MatrixView<Float>, _ sight: Sight, into x: MatrixView<Float>, _ compute: Compute) -> [Float]? {
    let q = compute.view(.query, rows: x.rows, columns: x.columns)
    let k = compute.view(.key, rows: x.rows, columns: x.columns)
    let v = compute.view(.value, rows: x.rows, columns: x.columns)
    let mixed = compute.view(.mixed, rows: x.rows, columns: x.columns)
    timed("vision.qkv", products(x.rows, query.weight, key.weight, value.weight)) {
      LimitedLinear.multiply(
        normed, [(query, q), (key, k), (value, v)],
        clamping: compute.view(.branch, rows: x.rows, columns: x.columns), compute)
    }
    if queryNorm != nil || keyNorm != nil || valueNorm != nil {
      timed("vision.norm") {
        queryNorm?.applyToHeads(q, compute)
        keyNorm?.applyToHeads(k, compute)
        valueNorm?.applyToHeads(v, compute)
      }
    }
    if !rotary.isEmpty, let positions = sight.positions {
      timed("vision.rope") {
        for part in rotary {
          part.apply(q, heads: heads, positions: positions, compute)
          part.apply(k, heads: heads, positions: positions, compute)
        }
      }
    }
    var request: ScoreRequest?
    if sight.score == .attention {
      request = ScoreRequest(
        rows: sight.scoring, reduction: .mean, output: compute.view(.scores, rows: 1, columns: x.rows))
    }
    timed("vision.attention", MeasuredWork(operations: 4 * sight.pairs * Double(x.columns))) {
      compute.tensors.attend(
        q, k, v, heads: heads, scale: scale, visibility: sight.visibility, into: mixed, scratch: compute.attention,
        scores: request)
    }
    timed("vision.output", products(x.rows, output.linear.weight)) { output.add(mixed, to: x, compute) }
    if sight.score == .keyNorm { return keyNorms(k) }
    return request.map { Array(UnsafeBufferPointer(start: $0.output.row(0), count: x.rows)) }
  }

  /// Lengths of the keys [rows x hidden], mean over heads.
  private func keyNorms(_ keys: MatrixView<Float>) -> [Float] {
    let width = keys.columns / heads
    return (0..<keys.rows).map { row in
      let lengths = (0..<heads).map { head -> Float in
        let key = UnsafeBufferPointer(start: keys.row(row) + head * width, count: width)
        return key.reduce(0) { $0 + $1 * $1 }.squareRoot()
      }
      return lengths.reduce(0, +) / Float(heads)
    }
  }
}
