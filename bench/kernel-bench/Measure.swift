import OccamCore
import OccamMatmul
import OccamQuantFormats

/// Seconds of at least three runs within `budget` seconds, rising.
func times(budget: Double, _ body: () -> Void) -> [Double] {
  let start = Clock.nanoseconds()
  var times: [Double] = []
  while times.count < 3 || Double(Clock.nanoseconds() - start) < budget * 1e9 {
    let before = Clock.nanoseconds()
    body()
    times.append(Double(Clock.nanoseconds() - before) / 1e9)
  }
  return times.sorted()
}

func fastest(budget: Double, _ body: () -> Void) -> Double { times(budget: budget, body)[0] }

/// What one thread's instructions and the memory give at most.
struct Bounds {
  /// Multiply-adds of the kernel set's own instruction, 1e9 a second, one thread.
  let integers: Double
  let floats: Double
  /// GB/s with one thread and with the team, the best pass over the memory.
  let readOne: Double
  let readTeam: Double
  /// The team's median pass.
  let readTeamMedian: Double

  init(_ kernels: KernelSet, one: WorkerTeam, team: WorkerTeam) {
    integers = Bounds.rate(kernels.peak.integers)
    floats = Bounds.rate(kernels.peak.floats)
    // Larger than any cache of the machines this is meant for.
    let memory = AlignedBuffer<UInt8>(count: 256 << 20)
    // Untouched pages are all the same page of zeros, which never leaves the caches.
    memory.buffer.update(repeating: 1)
    readOne = Bounds.read(memory, kernels, one).best
    (readTeam, readTeamMedian) = Bounds.read(memory, kernels, team)
  }

  private static func rate(_ run: (Int) -> (count: Int, check: Int)) -> Double {
    var count = 0
    var check = 0
    let seconds = fastest(budget: 0.1) {
      let result = run(200_000)
      count = result.count
      check &+= result.check
    }
    // The check is used so that the loop cannot be left out.
    return Double(count) / seconds / 1e9 + (check == .min ? 1e-9 : 0)
  }

  private static func read(
    _ memory: AlignedBuffer<UInt8>, _ kernels: KernelSet, _ team: WorkerTeam
  ) -> (best: Double, median: Double) {
    let piece = 1 << 20
    let sums = AlignedBuffer<Int>(count: memory.count / piece)
    let passes = times(budget: 0.8) {
      team.parallel(memory.count / piece) { range, _ in
        for i in range { sums.pointer[i] = kernels.peak.read(UnsafeRawPointer(memory.pointer) + i * piece, piece) }
      }
    }
    let count = Double(memory.count) / 1e9
    return (count / passes[0], count / passes[passes.count / 2])
  }
}

/// One shape in one format: as many copies as it takes to leave every cache, so that single tokens read from memory as
/// they do between the layers of a model.
struct BenchMatrices {
  let format: QuantFormat
  let shape: Shape
  let copies: [PackedMatrix]

  var byteCount: Int { copies[0].byteCount }

  init(
    _ format: QuantFormat, _ shape: Shape, _ kernels: KernelSet, _ team: WorkerTeam, limitsSums: Bool
  ) throws {
    self.format = format
    self.shape = shape
    guard format.byteCount(elements: shape.columns) != nil else {
      throw UsageError(description: "\(shape.columns) columns are no whole blocks of \(format.name)")
    }
    var random = SeededGenerator(seed: 1)
    let row = AlignedBuffer(copying: (0..<shape.columns).map { _ in random.normal() })
    // Sums are limited while floats are encoded, as a model's encoder is.
    let stored = limitsSums && format == .q8_0 ? QuantFormat.f32 : format
    guard let rowBytes = stored.byteCount(elements: shape.columns) else {
      throw UsageError(description: "\(shape.columns) columns are too many")
    }
    let source = AlignedBuffer<UInt8>(count: rowBytes * shape.rows)
    stored.encode(row.pointer, count: shape.columns, into: source.pointer)
    for i in 1..<max(shape.rows, 2) where i < shape.rows {
      (source.pointer + i * rowBytes).update(from: source.pointer, count: rowBytes)
    }
    let count = max(1, (192 << 20) / (source.byteCount / (stored == format ? 1 : 4)))
    copies = try (0..<count).map { _ in
      try PackedMatrix(
        rows: shape.rows, columns: shape.columns, format: format, source: UnsafeRawBufferPointer(source.buffer),
        stored: stored, limitsSums: limitsSums, kernels: kernels, team: team)
    }
  }

  /// Seconds for one product with `tokens` rows of activations, their quantization included.
  func time(tokens: Int, _ kernels: KernelSet, _ team: WorkerTeam, budget: Double) -> Double {
    var random = SeededGenerator(seed: 2)
    let x = AlignedBuffer<Float>(count: tokens * shape.columns)
    for i in 0..<x.count { x.pointer[i] = random.unitFloat() - 0.5 }
    let y = AlignedBuffer<Float>(count: tokens * shape.rows)
    let context = MatmulContext(kernels: kernels, team: team)
    let (input, output) = (
      MatrixView(x, rows: tokens, columns: shape.columns), MatrixView(y, rows: tokens, columns: shape.rows)
    )
    // Few tokens: a run passes all copies once, as a model passes its layers; many: one copy is work enough.
    let used = tokens > 16 ? 1 : copies.count
    let seconds = fastest(budget: budget) {
      team.pass {
        for i in 0..<used {
          context.load(input)
          context.multiply(by: copies[i], into: output)
        }
      }
    }
    return seconds / Double(used)
  }
}
