/// What a kernel set offers beyond matrix products: every other inner loop of a transformer, one row or one attention
/// tile a call. `OccamTensors` checks shapes and splits rows over the team; nothing here checks anything.
///
/// Each kernel target fills one table from the same source (`VectorRows`, `VectorAttention`, ...), compiled with its
/// own instruction set. Pointers need the alignment of their element only, and the caller guarantees that `count`
/// elements exist behind each; input and output may be the same row unless stated.
public struct VectorKernels: Sendable {
  public typealias Floats = UnsafePointer<Float>
  public typealias MutableFloats = UnsafeMutablePointer<Float>
  public typealias Halves = UnsafePointer<UInt16>
  public typealias MutableHalves = UnsafeMutablePointer<UInt16>

  // MARK: Rows

  /// out = x / sqrt(mean(x²) + epsilon) * weight: (x, weight, epsilon, out, count).
  public var rmsNorm: @Sendable (Floats, Floats, Float, MutableFloats, Int) -> Void
  /// out = (x - mean) / sqrt(variance + epsilon) * weight + bias: (x, weight, bias, epsilon, out, count).
  public var layerNorm: @Sendable (Floats, Floats, Floats, Float, MutableFloats, Int) -> Void
  /// y += x: (x, y, count).
  public var add: @Sendable (Floats, MutableFloats, Int) -> Void
  /// y *= x: (x, y, count).
  public var multiply: @Sendable (Floats, MutableFloats, Int) -> Void
  /// y += factor * x: (x, factor, y, count).
  public var addScaled: @Sendable (Floats, Float, MutableFloats, Int) -> Void
  /// out = factor * x: (x, factor, out, count).
  public var scale: @Sendable (Floats, Float, MutableFloats, Int) -> Void
  /// gate = gate * sigmoid(gate) * up: (gate, up, count).
  public var siluMultiply: @Sendable (MutableFloats, Floats, Int) -> Void
  /// x = exp(x), arguments limited to -87...88: (x, count).
  public var exponential: @Sendable (MutableFloats, Int) -> Void
  /// x = exp(x - max(x)) / sum: (x, count), count > 0.
  public var softmax: @Sendable (MutableFloats, Int) -> Void

  // MARK: Activations, in place: (x, count)

  /// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x³))).
  public var gelu: @Sendable (MutableFloats, Int) -> Void
  /// x / 2 * (1 + erf(x / sqrt(2))).
  public var geluErf: @Sendable (MutableFloats, Int) -> Void
  /// x * sigmoid(1.702 x).
  public var geluQuick: @Sendable (MutableFloats, Int) -> Void
  /// x * sigmoid(x).
  public var silu: @Sendable (MutableFloats, Int) -> Void
  /// max(x, 0).
  public var relu: @Sendable (MutableFloats, Int) -> Void

  // MARK: Rotary position embedding of one head, in place

  /// Pairs (2i, 2i + 1): (x, cosines, sines, count) with count = 2 * pairs and both tables of that length: cosine i
  /// twice in a row, then -sine i, +sine i.
  public var rotateAdjacent: @Sendable (MutableFloats, Floats, Floats, Int) -> Void
  /// Pairs (i, i + pairs): (x, cosines, sines, pairs).
  public var rotateHalves: @Sendable (MutableFloats, Floats, Floats, Int) -> Void

  // MARK: Recurrent layers

  /// out[i] = bias[i] + sum over taps j of rows[j][i] * weights[j * stride + i]: (rows, weights, stride, taps, bias or
  /// none, out, count). `out` may be one of the rows.
  public var convolve: Convolve
  public typealias Convolve =
    @Sendable (UnsafePointer<Floats>, Floats, Int, Int, Floats?, MutableFloats, Int) -> Void
  /// y *= sigmoid(gate): (gate, y, count).
  public var sigmoidMultiply: @Sendable (Floats, MutableFloats, Int) -> Void
  /// C (rows x columns) = or += A (rows x depth) * B (depth x columns): (A, stride, B, stride, C, stride, rows, depth,
  /// columns, accumulate), `columns` a multiple of 32, strides in floats. C is apart from A, and from the rows of B that
  /// are read.
  public var matrixProduct: MatrixProduct
  public typealias MatrixProduct =
    @Sendable (Floats, Int, Floats, Int, MutableFloats, Int, Int, Int, Int, Bool) -> Void
  /// One token of the gated delta rule: (state, key, query, value, correction, out, decay, beta, depth, columns).
  /// correction = beta * (value - decay * key * state); state = decay * state + key ⊗ correction; out = query * state,
  /// the new one. State is depth x columns, key and query have `depth` floats, the others `columns`, a multiple of 16.
  public var deltaStep: DeltaStep
  public typealias DeltaStep =
    @Sendable (MutableFloats, Floats, Floats, Floats, MutableFloats, MutableFloats, Float, Float, Int, Int) -> Void

  // MARK: KV cache formats

  /// Whether the processor converts binary16: then `scoresHalf` and `weightedValuesHalf` beat a conversion beforehand
  /// where few rows share it.
  public var convertsHalves: Bool

  /// IEEE binary16, round to nearest even: (x, out, count). Not in place.
  public var narrow: @Sendable (Floats, MutableHalves, Int) -> Void
  /// (x, out, count). Not in place.
  public var widen: @Sendable (Halves, MutableFloats, Int) -> Void
  /// Symmetric 8-bit blocks: (x, out, scales, count); one binary16 scale for each 32 values, the last block may be
  /// shorter.
  public var quantize: @Sendable (Floats, UnsafeMutablePointer<Int8>, MutableHalves, Int) -> Void
  /// Keys of one block of entries to `dimension` x `AttentionTile.cells` floats: (values, scales, out, dimension); scale
  /// of dimension d, cell c at [d / 32][c].
  public var dequantizeKeys: @Sendable (UnsafePointer<Int8>, Halves, MutableFloats, Int) -> Void
  /// Values of `rows` cells of `dimension` floats, a multiple of 32: (values, scales, out, rows, dimension); scale of
  /// dimension d, cell c at [c][d / 32].
  public var dequantizeValues: @Sendable (UnsafePointer<Int8>, Halves, MutableFloats, Int, Int) -> Void
  /// Q4_0: (x, out, scales, count); of each 32 values 16 bytes, byte j values j and j + 16, and a binary16 scale.
  public var quantizeNibbles: @Sendable (Floats, UnsafeMutablePointer<UInt8>, MutableHalves, Int) -> Void
  /// As `dequantizeKeys`; byte j of block b, entry e at [16 b + j][e].
  public var dequantizeKeyNibbles: @Sendable (UnsafePointer<UInt8>, Halves, MutableFloats, Int) -> Void
  /// As `dequantizeValues`.
  public var dequantizeValueNibbles: @Sendable (UnsafePointer<UInt8>, Halves, MutableFloats, Int, Int) -> Void

  // MARK: Weights

  /// binary16 to Q8_0 blocks: (x, blocks, count, limitsSums), `count` a multiple of 32.
  public var requantizeHalves: @Sendable (Halves, UnsafeMutableRawPointer, Int, Bool) -> Void
  /// Floats to Q8_0 blocks: (x, blocks, count, limitsSums), `count` a multiple of 32.
  public var requantizeFloats: @Sendable (Floats, UnsafeMutableRawPointer, Int, Bool) -> Void

  // MARK: Attention tiles (see `AttentionTile` for the layouts)

  /// scores = queries * keys: (queries, keys, scores, rows, cells, dimension), the first `cells` columns at least.
  public var scores: @Sendable (Floats, Floats, MutableFloats, Int, Int, Int) -> Void
  /// The same, keys in binary16.
  public var scoresHalf: @Sendable (Floats, Halves, MutableFloats, Int, Int, Int) -> Void
  /// outputs += weights * values: (weights, values, outputs, rows, cells, paddedDimension).
  public var weightedValues: @Sendable (Floats, Floats, MutableFloats, Int, Int, Int) -> Void
  /// The same, values in binary16.
  public var weightedValuesHalf: @Sendable (Floats, Halves, MutableFloats, Int, Int, Int) -> Void
  /// One step of the online softmax: (scores, starts, limits, maxima, sums, outputs, rows, paddedDimension). Scores
  /// starts[r]..<limits[r] of row r become exp(score - new maximum), the others 0; maxima and sums (-infinity and 0
  /// at the start) are brought up to date and the row's outputs rescaled to the new maximum. A row that sees nothing
  /// of the block has start 0 and limit 0.
  public var softmaxStep: SoftmaxStep
  public typealias SoftmaxStep =
    @Sendable (
      MutableFloats, UnsafePointer<Int32>, UnsafePointer<Int32>, MutableFloats, MutableFloats, MutableFloats, Int, Int
    ) -> Void

  @inlinable
  public init(
    rmsNorm: @escaping @Sendable (Floats, Floats, Float, MutableFloats, Int) -> Void,
    layerNorm: @escaping @Sendable (Floats, Floats, Floats, Float, MutableFloats, Int) -> Void,
    add: @escaping @Sendable (Floats, MutableFloats, Int) -> Void,
    multiply: @escaping @Sendable (Floats, MutableFloats, Int) -> Void,
    addScaled: @escaping @Sendable (Floats, Float, MutableFloats, Int) -> Void,
    scale: @escaping @Sendable (Floats, Float, MutableFloats, Int) -> Void,
    siluMultiply: @escaping @Sendable (MutableFloats, Floats, Int) -> Void,
    exponential: @escaping @Sendable (MutableFloats, Int) -> Void,
    softmax: @escaping @Sendable (MutableFloats, Int) -> Void,
    gelu: @escaping @Sendable (MutableFloats, Int) -> Void,
    geluErf: @escaping @Sendable (MutableFloats, Int) -> Void,
    geluQuick: @escaping @Sendable (MutableFloats, Int) -> Void,
    silu: @escaping @Sendable (MutableFloats, Int) -> Void,
    relu: @escaping @Sendable (MutableFloats, Int) -> Void,
    rotateAdjacent: @escaping @Sendable (MutableFloats, Floats, Floats, Int) -> Void,
    rotateHalves: @escaping @Sendable (MutableFloats, Floats, Floats, Int) -> Void,
    convolve: @escaping Convolve,
    sigmoidMultiply: @escaping @Sendable (Floats, MutableFloats, Int) -> Void,
    matrixProduct: @escaping MatrixProduct,
    deltaStep: @escaping DeltaStep,
    convertsHalves: Bool,
    narrow: @escaping @Sendable (Floats, MutableHalves, Int) -> Void,
    widen: @escaping @Sendable (Halves, MutableFloats, Int) -> Void,
    quantize: @escaping @Sendable (Floats, UnsafeMutablePointer<Int8>, MutableHalves, Int) -> Void,
    dequantizeKeys: @escaping @Sendable (UnsafePointer<Int8>, Halves, MutableFloats, Int) -> Void,
    dequantizeValues: @escaping @Sendable (UnsafePointer<Int8>, Halves, MutableFloats, Int, Int) -> Void,
    quantizeNibbles: @escaping @Sendable (Floats, UnsafeMutablePointer<UInt8>, MutableHalves, Int) -> Void,
    dequantizeKeyNibbles: @escaping @Sendable (UnsafePointer<UInt8>, Halves, MutableFloats, Int) -> Void,
    dequantizeValueNibbles: @escaping @Sendable (UnsafePointer<UInt8>, Halves, MutableFloats, Int, Int) -> Void,
    requantizeHalves: @escaping @Sendable (Halves, UnsafeMutableRawPointer, Int, Bool) -> Void,
    requantizeFloats: @escaping @Sendable (Floats, UnsafeMutableRawPointer, Int, Bool) -> Void,
    scores: @escaping @Sendable (Floats, Floats, MutableFloats, Int, Int, Int) -> Void,
    scoresHalf: @escaping @Sendable (Floats, Halves, MutableFloats, Int, Int, Int) -> Void,
    weightedValues: @escaping @Sendable (Floats, Floats, MutableFloats, Int, Int, Int) -> Void,
    weightedValuesHalf: @escaping @Sendable (Floats, Halves, MutableFloats, Int, Int, Int) -> Void,
    softmaxStep: @escaping SoftmaxStep
  ) {
    self.rmsNorm = rmsNorm
    self.layerNorm = layerNorm
    self.add = add
    self.multiply = multiply
    self.addScaled = addScaled
    self.scale = scale
    self.siluMultiply = siluMultiply
    self.exponential = exponential
    self.softmax = softmax
    self.gelu = gelu
    self.geluErf = geluErf
    self.geluQuick = geluQuick
    self.silu = silu
    self.relu = relu
    self.rotateAdjacent = rotateAdjacent
    self.rotateHalves = rotateHalves
    self.convolve = convolve
    self.sigmoidMultiply = sigmoidMultiply
    self.matrixProduct = matrixProduct
    self.deltaStep = deltaStep
    self.convertsHalves = convertsHalves
    self.narrow = narrow
    self.widen = widen
    self.quantize = quantize
    self.dequantizeKeys = dequantizeKeys
    self.dequantizeValues = dequantizeValues
    self.quantizeNibbles = quantizeNibbles
    self.dequantizeKeyNibbles = dequantizeKeyNibbles
    self.dequantizeValueNibbles = dequantizeValueNibbles
    self.requantizeHalves = requantizeHalves
    self.requantizeFloats = requantizeFloats
    self.scores = scores
    self.scoresHalf = scoresHalf
    self.weightedValues = weightedValues
    self.weightedValuesHalf = weightedValuesHalf
    self.softmaxStep = softmaxStep
  }
}

/// Layout of one attention tile. Keys lie transposed (dimension x cells) and values row by row (cells x padded
/// dimension), so that both products are rows x vectors with a broadcast left operand and without any horizontal sum.
/// Strides are constants where they are used: the inner loops address all rows of a tile from one register. Those of
/// the left operands are no powers of two, since rows 1024 bytes apart share few L1 sets.
public enum AttentionTile {
  /// Cells in one block.
  @inlinable @inline(__always) public static var cells: Int { 64 }
  /// Floats from one row of scores to the next.
  @inlinable @inline(__always) public static var scoreStride: Int { 80 }
  /// Floats from one row of queries, or of outputs, to the next, in heads of up to `narrowDimension`.
  @inlinable @inline(__always) public static var narrowStride: Int { 272 }
  /// The same in wider heads.
  @inlinable @inline(__always) public static var wideStride: Int { 528 }
  @inlinable @inline(__always) public static var narrowDimension: Int { 256 }
  /// Largest head dimension.
  @inlinable @inline(__always) public static var maximumDimension: Int { 512 }
  /// Floats from one row of queries, or of outputs, to the next in heads of `dimension`, padded or not.
  @inlinable @inline(__always) public static func rowStride(_ dimension: Int) -> Int {
    dimension <= narrowDimension ? narrowStride : wideStride
  }
  /// Values' rows are padded to a multiple of this, with zeros.
  @inlinable @inline(__always) public static var dimensionMultiple: Int { 32 }
}
