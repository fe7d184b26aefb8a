import OccamCore
import OccamKernelContract

/// The delta rule for one value head: chunks as products of matrices, single tokens as steps.
struct DeltaChunk {
  let rule: DeltaRule
  /// Columns of this head: rows x key dimension, rows x value dimension, rows x 1.
  let queries: MatrixView<Float>
  let keys: MatrixView<Float>
  let values: MatrixView<Float>
  let out: MatrixView<Float>
  let decay: MatrixView<Float>
  let beta: MatrixView<Float>
  /// key dimension x state columns.
  let state: UnsafeMutablePointer<Float>
  let memory: DeltaHeadMemory
  let vector: VectorKernels

  /// Tokens in a chunk: more make the triangles dearer, fewer the products narrower.
  static let rows = 64
  /// Up to this many tokens steps are cheaper.
  static let stepRows = 6
  /// Rows of a triangle that go through the products together, two tiles of the micro-kernel.
  static let blockRows = 12

  private var columns: Int { rule.stateColumns }

  // MARK: Steps

  func runSteps(_ range: Range<Int>) {
    let (key, query) = (memory.keys, memory.queries)
    // Results, corrections and values of one token; padding of values stays 0.
    let (value, correction, result) = (memory.reads, memory.reads + columns, memory.reads + 2 * columns)
    value.update(repeating: 0, count: columns)
    for row in range {
      normalize(row, key, query)
      value.update(from: values.row(row), count: rule.valueDimension)
      let forget = exponential(decay.row(row)[0])
      vector.deltaStep(
        state, key, query, value, correction, result, forget, beta.row(row)[0], rule.keyDimension, columns)
      out.row(row).update(from: result, count: rule.valueDimension)
    }
  }

  private func normalize(_ row: Int, _ key: UnsafeMutablePointer<Float>, _ query: UnsafeMutablePointer<Float>) {
    vector.rmsNorm(keys.row(row), rule.keyScale.pointer, rule.meanEpsilon, key, rule.keyDimension)
    vector.rmsNorm(queries.row(row), rule.queryScale.pointer, rule.meanEpsilon, query, rule.keyDimension)
  }

  /// The kernel's own, so that steps and chunks forget alike.
  private func exponential(_ x: Float) -> Float {
    var result = x
    withUnsafeMutablePointer(to: &result) { vector.exponential($0, 1) }
    return result
  }

  // MARK: Chunks

  func run(_ range: Range<Int>) {
    let count = range.count
    load(range)
    sumDecay(range)
    // K S and Q S.
    readState(memory.keys, count, into: memory.reads)
    readState(memory.queries, count, into: memory.outputs)
    multiplyKeys(count)
    decayTriangles(range)
    solve(range)
    multiplyCorrections(count)
    for (index, row) in range.enumerated() {
      out.row(row).update(from: memory.outputs + index * memory.readStride, count: rule.valueDimension)
    }
    updateState(count)
  }

  /// Normalised keys and queries, keys transposed too.
  private func load(_ range: Range<Int>) {
    for (index, row) in range.enumerated() {
      let key = memory.keys + index * memory.keyStride
      normalize(row, key, memory.queries + index * memory.keyStride)
      let column = memory.transposed + index
      for k in 0..<rule.keyDimension { column[k &* DeltaChunk.rows] = key[k] }
    }
  }

  /// G, and its exponentials. Sums and their differences are doubles: where much is forgotten, G is large beside the
  /// difference of neighbours.
  private func sumDecay(_ range: Range<Int>) {
    var sum = 0.0
    for (index, row) in range.enumerated() {
      sum += Double(decay.row(row)[0])
      memory.decay[index] = sum
      memory.forget[index] = Float(sum)
    }
    vector.exponential(memory.forget, range.count)
  }

  /// K Kᵀ and Q Kᵀ, of each block of rows the columns before its end.
  private func multiplyKeys(_ count: Int) {
    for block in blocks(count) {
      let ends = min((block.upperBound + 31) / 32 * 32, DeltaChunk.rows)
      multiplyKeys(memory.keys, block, ends, into: memory.alikes)
      multiplyKeys(memory.queries, block, ends, into: memory.weights)
    }
  }

  private func multiplyKeys(
    _ left: UnsafePointer<Float>, _ block: Range<Int>, _ columns: Int, into triangle: UnsafeMutablePointer<Float>
  ) {
    vector.matrixProduct(
      left + block.lowerBound * memory.keyStride, memory.keyStride, memory.transposed, DeltaChunk.rows,
      triangle + block.lowerBound * DeltaMemory.triangleStride, DeltaMemory.triangleStride, block.count,
      rule.keyDimension, columns, false)
  }

  /// alikes becomes -A, weights P: zeros above the diagonal as far as a block reaches.
  private func decayTriangles(_ range: Range<Int>) {
    let count = range.count
    let factors = memory.factors
    for (row, token) in range.enumerated() {
      let own = memory.decay[row]
      for other in 0...row { factors[other] = Float(own - memory.decay[other]) }
      vector.exponential(factors, row + 1)
      let weights = memory.weights + row * DeltaMemory.triangleStride
      vector.multiply(factors, weights, row + 1)
      let end = min(row / DeltaChunk.blockRows * DeltaChunk.blockRows + DeltaChunk.blockRows, count)
      for other in row + 1..<max(row + 1, end) { weights[other] = 0 }
      let alikes = memory.alikes + row * DeltaMemory.triangleStride
      vector.scale(alikes, -beta.row(token)[0], alikes, row)
      vector.multiply(factors, alikes, row)
    }
  }

  /// reads, K S, becomes D, and outputs, Q S, e^G Q S.
  private func solve(_ range: Range<Int>) {
    let stride = memory.readStride
    for (row, token) in range.enumerated() {
      let read = memory.reads + row * stride
      let rate = beta.row(token)[0]
      vector.scale(read, -rate * memory.forget[row], read, columns)
      vector.addScaled(values.row(token), rate, read, rule.valueDimension)
      let output = memory.outputs + row * stride
      vector.scale(output, memory.forget[row], output, columns)
    }
    for block in blocks(range.count) {
      let first = block.lowerBound
      let alikes = memory.alikes + first * DeltaMemory.triangleStride
      if first > 0 {
        vector.matrixProduct(
          alikes, DeltaMemory.triangleStride, memory.reads, stride, memory.reads + first * stride, stride, block.count,
          first, columns, true)
      }
      for row in 1..<max(block.count, 1) {
        vector.matrixProduct(
          alikes + row * DeltaMemory.triangleStride + first, DeltaMemory.triangleStride, memory.reads + first * stride,
          stride, memory.reads + (first + row) * stride, stride, 1, row, columns, true)
      }
    }
  }

  /// outputs += P D.
  private func multiplyCorrections(_ count: Int) {
    for block in blocks(count) {
      vector.matrixProduct(
        memory.weights + block.lowerBound * DeltaMemory.triangleStride, DeltaMemory.triangleStride, memory.reads,
        memory.readStride, memory.outputs + block.lowerBound * memory.readStride, memory.readStride, block.count,
        block.upperBound, columns, true)
    }
  }

  /// S = e^G[last] S + Kᵀ (e^(G[last] - G) D).
  private func updateState(_ count: Int) {
    let last = memory.decay[count - 1]
    for row in 0..<count { memory.factors[row] = Float(last - memory.decay[row]) }
    vector.exponential(memory.factors, count)
    for row in 0..<count {
      let read = memory.reads + row * memory.readStride
      vector.scale(read, memory.factors[row], read, columns)
    }
    vector.scale(state, memory.forget[count - 1], state, rule.headCount)
    vector.matrixProduct(
      memory.transposed, DeltaChunk.rows, memory.reads, memory.readStride, state, columns, rule.keyDimension, count,
      columns, true)
  }

  private func readState(_ left: UnsafePointer<Float>, _ count: Int, into reads: UnsafeMutablePointer<Float>) {
    vector.matrixProduct(
      left, memory.keyStride, state, columns, reads, memory.readStride, count, rule.keyDimension, columns, false)
  }

  private func blocks(_ count: Int) -> DeltaBlocks { DeltaBlocks(count: count) }
}

/// Runs of `DeltaChunk.blockRows` rows.
private struct DeltaBlocks: Sequence, IteratorProtocol {
  let count: Int
  var first = 0

  init(count: Int) { self.count = count }

  mutating func next() -> Range<Int>? {
    guard first < count else { return nil }
    let block = first..<Swift.min(first + DeltaChunk.blockRows, count)
    first = block.upperBound
    return block
  }
}

/// Working memory of the delta rule, a part for each worker. Grows to the largest rule and is then reused. One call at a
/// time.
package final class DeltaScratch {
  private var memory = AlignedBuffer<Float>(count: 0)

  package init() {}

  /// What is allocated, bytes.
  package var byteCount: Int { memory.byteCount }

  func memory(_ rule: DeltaRule, workers: Int) -> DeltaMemory {
    let floats = workers * DeltaHeadMemory.floats(rule)
    if memory.count < floats { memory = AlignedBuffer(count: floats) }
    return DeltaMemory(first: memory.pointer, rule: rule)
  }
}

/// The parts of all workers.
struct DeltaMemory {
  /// Floats from one row of a triangle to the next, and what rows of other operands are longer than they need be: rows
  /// a power of two apart share few L1 sets.
  static let triangleStride = DeltaChunk.rows + 16

  fileprivate let first: UnsafeMutablePointer<Float>
  fileprivate let rule: DeltaRule

  subscript(worker: Int) -> DeltaHeadMemory {
    DeltaHeadMemory(first + worker * DeltaHeadMemory.floats(rule), rule)
  }
}

/// One worker's part.
struct DeltaHeadMemory {
  /// Chunk x key dimension, `keyStride` floats apart.
  let keys: UnsafeMutablePointer<Float>
  let queries: UnsafeMutablePointer<Float>
  /// Key dimension x chunk.
  let transposed: UnsafeMutablePointer<Float>
  /// Chunk x chunk, `DeltaMemory.triangleStride` floats apart: products of keys with keys, of queries with keys.
  let alikes: UnsafeMutablePointer<Float>
  let weights: UnsafeMutablePointer<Float>
  /// Chunk x state columns, `readStride` floats apart.
  let reads: UnsafeMutablePointer<Float>
  let outputs: UnsafeMutablePointer<Float>
  /// A number a row each.
  let decay: UnsafeMutablePointer<Double>
  let forget: UnsafeMutablePointer<Float>
  let factors: UnsafeMutablePointer<Float>
  let keyStride: Int
  let readStride: Int

  fileprivate static func keyStride(_ rule: DeltaRule) -> Int { (rule.keyDimension + 15) / 16 * 16 + 16 }
  fileprivate static func readStride(_ rule: DeltaRule) -> Int { rule.stateColumns + 16 }

  fileprivate static func floats(_ rule: DeltaRule) -> Int {
    DeltaChunk.rows
      * (2 * keyStride(rule) + rule.keyDimension + 2 * DeltaMemory.triangleStride + 2 * readStride(rule) + 4)
  }

  fileprivate init(_ first: UnsafeMutablePointer<Float>, _ rule: DeltaRule) {
    let rows = DeltaChunk.rows
    keyStride = DeltaHeadMemory.keyStride(rule)
    readStride = DeltaHeadMemory.readStride(rule)
    keys = first
    queries = keys + rows * keyStride
    transposed = queries + rows * keyStride
    alikes = transposed + rows * rule.keyDimension
    weights = alikes + rows * DeltaMemory.triangleStride
    reads = weights + rows * DeltaMemory.triangleStride
    outputs = reads + rows * readStride
    // The same memory holds doubles here and nothing else.
    decay = UnsafeMutableRawPointer(outputs + rows * readStride).bindMemory(to: Double.self, capacity: rows)
    forget = outputs + rows * (readStride + 2)
    factors = forget + rows
  }
}
