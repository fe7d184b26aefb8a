import OccamCore
import OccamMatmul
import OccamPruning
import OccamTensors

/// Self-attention of a vision encoder's layer: as many keys as queries, biases where the file has them, rotary positions
/// and norms of queries and keys where the encoder has them.
struct EncoderAttention: Sendable {
  let heads: Int
  let rotary: RotaryTable?
  let query: LinearWeights  // [hidden x hidden], as the others
  let key: LinearWeights
  let value: LinearWeights
  /// Over all heads together.
  let queryNorm: RMSNormWeights?  // [hidden]
  let keyNorm: RMSNormWeights?  // [hidden]
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
    self.rotary = rotary
    func norm(_ name: String) throws -> RMSNormWeights? {
      try normEpsilon.flatMap { try RMSNormWeights(optional: loader, prefix + name, hidden, epsilon: $0) }
    }
    queryNorm = try norm("attn_q_norm")
    keyNorm = try norm("attn_k_norm")
    query = try LinearWeights(loader, prefix + "attn_q", outputs: hidden, inputs: hidden)
    key = try LinearWeights(loader, prefix + "attn_k", outputs: hidden, inputs: hidden)
    value = try LinearWeights(loader, prefix + "attn_v", outputs: hidden, inputs: hidden)
    output = ScaledBranch(
      linear: try LinearWeights(loader, prefix + "attn_out", outputs: hidden, inputs: hidden), scale: scale)
  }

  /// - Parameter name: of the one matrix that holds query, key and value, one behind the other.
  init(
    _ loader: WeightLoader, _ prefix: String, fusing name: String, hidden: Int, heads: Int, rotary: RotaryTable? = nil
  ) throws {
    self.heads = heads
    self.rotary = rotary
    let parts = try LinearWeights.split(loader, prefix + name, outputs: hidden, parts: 3, inputs: hidden)
    (query, key, value) = (parts[0], parts[1], parts[2])
    (queryNorm, keyNorm) = (nil, nil)
    output = ScaledBranch(
      linear: try LinearWeights(loader, prefix + "attn_out", outputs: hidden, inputs: hidden), scale: nil)
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

  /// x += s Wo attention(RoPE(norm(Wq n)), RoPE(norm(Wk n)), Wv n).
  /// - Parameter normed: n, [rows x hidden].
  /// - Returns: of every row what `sight.score` asks for: attention received, mean over heads and scoring rows, or the
  ///   length of its key, mean over heads.
  func run(_ normed: MatrixView<Float>, _ sight: Sight, into x: MatrixView<Float>, _ compute: Compute) -> [Float]? {
    let q = compute.view(.query, rows: x.rows, columns: x.columns)
    let k = compute.view(.key, rows: x.rows, columns: x.columns)
    let v = compute.view(.value, rows: x.rows, columns: x.columns)
    let mixed = compute.view(.mixed, rows: x.rows, columns: x.columns)
    let width = x.columns / heads
    timed("vision.qkv", products(x.rows, query.weight, key.weight, value.weight)) {
      compute.matmul.load(normed)
      compute.matmul.multiply([query.product(into: q), key.product(into: k), value.product(into: v)])
    }
    if queryNorm != nil || keyNorm != nil {
      timed("vision.norm") {
        queryNorm?.apply(q, into: q, compute)
        keyNorm?.apply(k, into: k, compute)
      }
    }
    if let rotary, let positions = sight.positions {
      timed("vision.rope") {
        compute.tensors.rope(q, heads: heads, headDimension: width, positions: positions, table: rotary)
        compute.tensors.rope(k, heads: heads, headDimension: width, positions: positions, table: rotary)
      }
    }
    var request: ScoreRequest?
    if sight.score == .attention {
      request = ScoreRequest(
        rows: sight.scoring, reduction: .mean, output: compute.view(.scores, rows: 1, columns: x.rows))
    }
    timed("vision.attention", MeasuredWork(operations: 4 * sight.pairs * Double(x.columns))) {
      compute.tensors.attend(
        q, k, v, heads: heads, scale: 1 / Float(width).squareRoot(), visibility: sight.visibility, into: mixed,
        scratch: compute.attention, scores: request)
    }
    timed("vision.output", products(x.rows, output.linear.weight)) {
      compute.matmul.load(mixed)
      output.add(to: x, compute)
    }
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
