import OccamCore
import OccamMatmul
import OccamTensors

/// Everything a forward pass writes to: scratch for matmul and attention and the activation buffers. One per session;
/// buffers grow to the largest pass seen and are then reused, so that decoding allocates nothing.
package final class Compute {
  package let team: WorkerTeam
  package let kernels: KernelSet
  package let matmul: MatmulContext
  package let tensors: TensorOps
  package let attention: AttentionScratch
  package let delta = DeltaScratch()
  /// Asked between layers; true ends the pass with `Cancelled`.
  package var isCancelled: () -> Bool = { false }
  /// Told between layers what share of the current pass is done, 0...1.
  package var progress: (Double) -> Void = { _ in }
  let routing = ExpertRouting()
  private var slots = [AlignedBuffer<Float>?](repeating: nil, count: Slot.allCases.count)

  private var ranges = AlignedBuffer<VisibleRange>(count: 0)
  /// The most that was allocated between two layers.
  package private(set) var peakByteCount = 0

  package enum Slot: Int, CaseIterable {
    case residual, inputs, layerInputs, normed, query, key, value, mixed, branch, gate, up, patches, hidden
    case logits, scores
    case router, gathered, experts
  }

  package init(kernels: KernelSet, team: WorkerTeam) {
    self.kernels = kernels
    self.team = team
    matmul = MatmulContext(kernels: kernels, team: team)
    tensors = TensorOps(kernels: kernels, team: team)
    attention = AttentionScratch()
  }

  /// A `rows` x `columns` view of the slot's buffer. Content is undefined; a later, larger request of the same slot
  /// invalidates earlier views.
  package func view(_ slot: Slot, rows: Int, columns: Int) -> MatrixView<Float> {
    let needed = rows * columns
    if let buffer = slots[slot.rawValue], buffer.count >= needed {
      return MatrixView(buffer, rows: rows, columns: columns)
    }
    let buffer = AlignedBuffer<Float>(count: needed)
    slots[slot.rawValue] = buffer
    return MatrixView(buffer, rows: rows, columns: columns)
  }

  /// Room for one visible range a row; undefined content, valid until the next call.
  func visibleRanges(_ rows: Int) -> UnsafeMutablePointer<VisibleRange> {
    if ranges.count < rows { ranges = AlignedBuffer(count: rows, zeroed: false) }
    return ranges.pointer
  }

  /// What is allocated, bytes: activations, packed inputs of products, scratch of attention and delta rule.
  package var byteCount: Int {
    slots.reduce(0) { $0 + ($1?.byteCount ?? 0) } + ranges.byteCount + routing.byteCount + matmul.byteCount
      + attention.byteCount + delta.byteCount
  }

  /// Frees buffers larger than decoding one token needs, after a long prefill. Logits stay: they are what it was for.
  package func trim(keeping elements: Int = 1 << 20) {
    peakByteCount = max(peakByteCount, byteCount)
    for slot in Slot.allCases where slot != .logits {
      if let buffer = slots[slot.rawValue], buffer.count > elements { slots[slot.rawValue] = nil }
    }
  }

  /// Frees all activations.
  package func release() { slots = [AlignedBuffer<Float>?](repeating: nil, count: Slot.allCases.count) }

  /// Between two layers: `done` of `total` layers are behind.
  package func beginLayer(_ done: Int, of total: Int) throws(Cancelled) {
    if isCancelled() { throw Cancelled() }
    peakByteCount = max(peakByteCount, byteCount)
    progress(Double(done) / Double(max(total, 1)))
    team.giveWay()
  }
}

/// `rows` rows through the matrices: multiplies plus adds, and the weights once.
func products(_ rows: Int, _ matrices: PackedMatrix...) -> MeasuredWork {
  MeasuredWork(
    operations: 2 * Double(rows) * matrices.reduce(0.0) { $0 + Double($1.rows) * Double($1.columns) },
    bytes: matrices.reduce(0.0) { $0 + Double($1.byteCount) })
}

extension KVCacheShape {
  /// Attention of `heads` heads: row i sees the entries before and rows 0...i, in a sliding window no more than that.
  func work(_ rows: Range<Int>, firstEntry: Int, heads: Int) -> MeasuredWork {
    let mean = Double(firstEntry) + Double(rows.lowerBound + rows.upperBound + 1) / 2
    let seen = min(mean, Double(window ?? Int.max))
    return MeasuredWork(operations: 4 * Double(rows.count) * seen * Double(heads * headDimension))
  }
}
