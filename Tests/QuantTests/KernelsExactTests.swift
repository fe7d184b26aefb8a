import OccamCore
import OccamMatmul
import OccamQuantFormats
import Testing

/// Integer sums are exact in every kernel set: with scales of 1 and integer activations up to 127 the products are
/// integers that floats hold exactly, so that every set must give the same bits.
struct KernelsExactTests {
  /// A source whose scales are 1 and whose quants come from `level`, and the integers it stands for.
  private static func matrix(
    _ format: QuantFormat, rows: Int, columns: Int, level: (_ index: Int, _ limit: Int) -> Int
  ) -> SourceMatrix {
    var bytes: [UInt8] = []
    var count = 0
    func next(_ limit: Int) -> UInt8 {
      count += 1
      return UInt8(truncatingIfNeeded: level(count, limit))
    }
    for _ in 0..<rows * columns / format.blockSize {
      switch format {
      case .f16: bytes += [0x00, next(2) == 0 ? 0x40 : 0xbc]
      case .bf16: bytes += next(2) == 0 ? [0x40, 0x40] : [0x80, 0xbf]
      case .f32: bytes += [0, 0] + (next(2) == 0 ? [0x40, 0x40] : [0x80, 0xbf])
      default: bytes += block(format) { next(256) }
      }
    }
    return SourceMatrix(format, rows: rows, columns: columns, bytes: bytes)
  }

  /// A block whose factors are 1, every other byte being `next`.
  private static func block(_ format: QuantFormat, _ next: () -> UInt8) -> [UInt8] {
    guard let factors = format.factors else { return [] }
    let one: [UInt8] = factors.coding == .half ? [0x00, 0x3c] : [128]
    var block: [UInt8] = []
    while block.count < format.blockBytes {
      if block.count == factors.scale || block.count == factors.minimum { block += one } else { block.append(next()) }
    }
    return block
  }

  /// Integers in -127...127, of which the first of each block is 127: their scale is 1.
  private static func activations(_ tokens: Int, _ columns: Int, block: Int, level: (Int) -> Int) -> [Float] {
    (0..<tokens * columns).map { $0 % max(block, 2) == 0 ? 127 : Float(level($0)) }
  }

  static let cases = MatmulTests.cases

  @Test(arguments: cases)
  func integersComeOutExactly(_ set: String, _ format: QuantFormat) throws {
    var random = SeededGenerator(seed: 11)
    let source = Self.matrix(format, rows: 19, columns: 256) { _, limit in Int.random(in: 0..<limit, using: &random) }
    // Few non-zero activations keep the largest sums, 63 * 31 * 127 each, below 2^24.
    let x = Self.activations(7, 256, block: format.blockSize) { $0 % 16 == 3 ? $0 % 255 - 127 : 0 }
    try check(source, x, tokens: 7, set)
  }

  /// All levels at their ends, all activations at 127 or -127: where 16-bit sums would overflow first.
  @Test(arguments: cases)
  func extremesDoNotOverflow(_ set: String, _ format: QuantFormat) throws {
    for byte in [0xff, 0x80, 0x7f, 0x00] {
      for sign in [1, -1] {
        let source = Self.matrix(format, rows: 16, columns: 256) { _, limit in min(byte, limit - 1) }
        let x = Self.activations(4, 256, block: format.blockSize) { _ in 127 * sign }
        try check(source, x, tokens: 4, set)
      }
    }
  }

  /// Q8_0 blocks whose neighbours add up to 128 at most take a path of their own in some sets: at its ends, beside blocks
  /// that are just past them, and beside many tokens.
  @Test(arguments: KernelSet.available().map(\.name))
  func limitedPairsAreExact(_ set: String) throws {
    let pairs: [(Int, Int)] = [(127, 1), (64, 64), (-128, 0), (-64, -64), (-127, -1), (127, -128), (1, 127), (0, -128)]
    for past in [false, true] {
      for sign in [1, -1] {
        let source = Self.matrix(.q8_0, rows: 19, columns: 256) { count, _ in
          let index = count - 1
          let pair = pairs[(index / 2 + index / 96) % pairs.count]
          let quant = index % 2 == 0 ? pair.0 : pair.1
          // One pair of the third block of some rows exceeds the limit by one.
          return (past && index % 256 == 65 && quant == 64 ? 65 : quant) & 0xff
        }
        let x = Self.activations(9, 256, block: 32) { $0 % 5 == 0 ? -127 : 127 * sign }
        try check(source, x, tokens: 9, set)
      }
    }
  }

  /// Against 64-bit integers, rounded to Float only where the kernels do: once a block of 256 (exact below 2^24).
  private func check(_ source: SourceMatrix, _ x: [Float], tokens: Int, _ set: String) throws {
    let kernels = try KernelSet.named(set)
    let team = WorkerTeam(threads: 1)
    let y = product(try source.packed(kernels, team), x, tokens: tokens, kernels, team)
    let w = source.decoded()
    for token in 0..<tokens {
      for row in 0..<source.rows {
        var sum = 0
        for column in 0..<source.columns {
          sum += Int(w[row * source.columns + column]) * Int(x[token * source.columns + column])
        }
        let found = y[token * source.rows + row]
        // One block of 256: K formats subtract two rounded integers, each off by at most half a unit in 2^25.
        let slack = sum.magnitude < 1 << 24 && !hasMins(source.format) ? 0 : 4
        #expect(abs(Int(found) - sum) <= slack, "\(set) \(source.format.name) token \(token) row \(row)")
      }
    }
    let portable = try KernelSet.named("portable")
    let same = product(try source.packed(portable, team), x, tokens: tokens, portable, team)
    #expect(y.map(\.bitPattern) == same.map(\.bitPattern))
  }

  private func hasMins(_ format: QuantFormat) -> Bool { format.factors?.minimum != nil }
}
