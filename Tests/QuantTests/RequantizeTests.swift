import OccamCore
import OccamMatmul
import OccamQuantFormats
import Testing

/// Float weights encoded while they are packed are the bytes of the scalar reference.
@Suite struct RequantizeTests {
  /// Every half that is a number, in an order that puts small and large ones into one block, then ties of rounding.
  private func halves() -> [UInt16] {
    var generator = SeededGenerator(seed: 7)
    var values = (0..<1 << 16).map { UInt16($0) }.filter { $0 & 0x7c00 != 0x7c00 }
    for index in values.indices { values.swapAt(index, Int(generator.next() % UInt64(values.count))) }
    // 127 as the largest: d is 1 and every half-integer a tie.
    for tie in 0..<4096 {
      values.append(Half.bits(tie % 32 == 0 ? 127 : Float(Int(generator.next() % 508) - 254) / 4))
    }
    values += [UInt16](repeating: 0, count: 32) + [UInt16](repeating: 0x8000, count: 32)
    return Array(values.prefix(values.count & ~31))
  }

  private func reference(_ floats: [Float], limitsSums: Bool) -> [UInt8] {
    var blocks = [UInt8](repeating: 0, count: floats.count / 32 * 34)
    blocks.withUnsafeMutableBytes { target in
      floats.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        guard limitsSums else { return QuantFormat.q8_0.encode(from, count: floats.count, into: to) }
        for i in 0..<floats.count / 32 { BlockQ8_0.encodeSumLimited(from + i * 32, into: to + i * 34) }
      }
    }
    return blocks
  }

  private func made(_ count: Int, _ body: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    var blocks = [UInt8](repeating: 0xaa, count: count / 32 * 34)
    blocks.withUnsafeMutableBytes { if let base = $0.baseAddress { body(base) } }
    return blocks
  }

  @Test(arguments: [false, true]) func everyKernelSetEncodesAsTheReference(limitsSums: Bool) {
    let halves = halves()
    let floats = halves.map { Half.float($0) }
    let expected = reference(floats, limitsSums: limitsSums)
    // Floats that are no halves, from subnormal to the edge of what a half can scale.
    var random = SeededGenerator(seed: 3)
    let wide = (0..<8192).map { random.normal() * Float(sign: .plus, exponent: $0 / 32 % 140 - 130, significand: 1) }
    let expectedWide = reference(wide, limitsSums: limitsSums)
    for set in KernelSet.available() {
      let found = halves.withUnsafeBufferPointer { source in
        made(halves.count) { out in
          if let base = source.baseAddress { set.vector.requantizeHalves(base, out, halves.count, limitsSums) }
        }
      }
      #expect(found == expected, "\(set.name)")
      for (numbers, blocks) in [(floats, expected), (wide, expectedWide)] {
        let found = numbers.withUnsafeBufferPointer { source in
          made(numbers.count) { out in
            if let base = source.baseAddress { set.vector.requantizeFloats(base, out, numbers.count, limitsSums) }
          }
        }
        #expect(found == blocks, "\(set.name)")
      }
    }
  }

  /// Whole panels and a last one that is short; all products equal to the bit.
  @Test func packedWhileEncodedEqualsEncodedThenPacked() throws {
    let team = WorkerTeam(threads: 3)
    let columns = 256
    var random = SeededGenerator(seed: 5)
    let x = (0..<columns * 3).map { _ in random.normal() }
    for kernels in KernelSet.available() {
      for rows in [1, 16, 45] {
        for stored in [QuantFormat.f32, .f16, .bf16] {
          let source = SourceMatrix(stored, rows: rows, columns: columns, seed: UInt64(rows))
          for target in [QuantFormat.q8_0, .q4_0, .q6_K] {
            var blocks = SourceMatrix(target, rows: rows, columns: columns, seed: 1)
            let floats = source.decoded()
            blocks.bytes.withUnsafeMutableBytes { bytes in
              floats.withUnsafeBufferPointer {
                if let from = $0.baseAddress, let to = bytes.baseAddress {
                  target.encode(from, count: floats.count, into: to)
                }
              }
            }
            let packed = try source.bytes.withUnsafeBytes {
              try PackedMatrix(
                rows: rows, columns: columns, format: target, source: $0, stored: stored, kernels: kernels, team: team,
                arena: MemoryArena())
            }
            let found = product(packed, x, tokens: 3, kernels, team)
            let expected = product(try blocks.packed(kernels, team), x, tokens: 3, kernels, team)
            #expect(
              found.map(\.bitPattern) == expected.map(\.bitPattern), "\(kernels.name) \(stored) \(target) \(rows)")
          }
        }
      }
    }
  }

  /// Rows that end inside a block: zeros stand for what lacks, of weights and of activations, and count for nothing. The
  /// products equal those of rows that were written out with zeros, to the bit.
  @Test(arguments: KernelSet.available().map(\.name), [(1, 5), (21, 4304), (16, 33), (17, 587)])
  func rowsEndInsideABlock(set: String, size: (rows: Int, columns: Int)) throws {
    let kernels = try KernelSet.named(set)
    let (rows, columns) = size
    for (threads, tokens) in [(1, 1), (2, 4), (3, 13)] {
      let team = WorkerTeam(threads: threads)
      for stored in [QuantFormat.f32, .f16, .bf16] {
        let source = SourceMatrix(stored, rows: rows, columns: columns, seed: UInt64(columns))
        let x = randomActivations(tokens: tokens, columns: columns, seed: 6)
        for (target, limitsSums) in [(QuantFormat.q8_0, false), (.q8_0, true), (.q4_0, false), (.q6_K, false)] {
          let padded = try #require(target.wholeBlocks(columns))
          var floats = source.decoded()
          var widened: [Float] = []
          for row in 0..<rows {
            widened += floats[row * columns..<(row + 1) * columns]
            widened += [Float](repeating: 0, count: padded - columns)
          }
          (floats, widened) = (widened, [])
          for token in 0..<tokens {
            widened += x[token * columns..<(token + 1) * columns]
            widened += [Float](repeating: 0, count: padded - columns)
          }
          func packed(_ bytes: UnsafeRawBufferPointer, _ format: QuantFormat, _ columns: Int) throws -> PackedMatrix {
            try PackedMatrix(
              rows: rows, columns: columns, format: target, source: bytes, stored: format, limitsSums: limitsSums,
              kernels: kernels, team: team)
          }
          let expected = try floats.withUnsafeBytes { try packed($0, .f32, padded) }
          let found = try source.bytes.withUnsafeBytes { try packed($0, stored, columns) }
          #expect(found.columns == columns && found.byteCount == expected.byteCount)
          let y = product(found, x, tokens: tokens, kernels, team).map(\.bitPattern)
          #expect(
            y == product(expected, widened, tokens: tokens, kernels, team).map(\.bitPattern),
            "\(stored) as \(target), limited \(limitsSums), \(tokens) tokens")
        }
      }
    }
  }

  /// One input multiplied by matrices of several formats, whose blocks end at different columns; the floats beside a row
  /// are not read.
  @Test func formsOfOneInputEndWhereTheirBlocksDo() throws {
    let team = WorkerTeam(threads: 2)
    let (columns, tokens) = (300, 6)
    for kernels in KernelSet.available() {
      let source = SourceMatrix(.f32, rows: 16, columns: columns, seed: 2)
      let formats = [QuantFormat.f32, .q8_0, .q6_K]
      let weights = try formats.map { format in
        try source.bytes.withUnsafeBytes {
          try PackedMatrix(
            rows: 16, columns: columns, format: format, source: $0, stored: .f32, kernels: kernels, team: team)
        }
      }
      let x = randomActivations(tokens: tokens, columns: columns, seed: 3)
      let wide = AlignedBuffer(copying: [Float](repeating: .nan, count: tokens * (columns + 300)))
      for token in 0..<tokens {
        for column in 0..<columns { wide.pointer[token * (columns + 300) + column] = x[token * columns + column] }
      }
      let context = MatmulContext(kernels: kernels, team: team)
      context.load(MatrixView(wide.pointer, rows: tokens, columns: columns, stride: columns + 300))
      for matrix in weights {
        let y = AlignedBuffer<Float>(count: tokens * 16)
        context.multiply(by: matrix, into: MatrixView(y, rows: tokens, columns: 16))
        let alone = product(matrix, x, tokens: tokens, kernels, team)
        #expect(Array(y.buffer) == alone && alone.allSatisfy(\.isFinite), "\(kernels.name) \(matrix.format.name)")
      }
    }
  }

  /// Neighbours of one sign add up to 157 at most, the magnitudes of every other pair of a half block to 315, and every
  /// number stays within half a step, which grows little.
  @Test func limitedSumsAreLimited() {
    var random = SeededGenerator(seed: 9)
    var steps = (plain: 0.0, limited: 0.0)
    var most = (pair: 0, eight: 0, one: 0)
    for block in 0..<3000 {
      var x = (0..<32).map { _ in random.normal() }
      // Equal neighbours on top, both rounded up; equal magnitudes throughout; one number far above the others.
      if block % 6 == 0 { (x[6], x[7]) = (40, Float(40 + block % 7)) }
      if block % 6 == 1 { x = x.map { $0 < 0 ? -3 : 3 } }
      if block % 6 == 2 { x[block % 32] = 90 }
      let limited = reference(x, limitsSums: true)
      let step = Half.float(UInt16(limited[0]) | UInt16(limited[1]) << 8)
      let quants = limited[2...].map { Int(Int8(bitPattern: $0)) }
      for i in 0..<16 where quants[2 * i].signum() == quants[2 * i + 1].signum() {
        most.pair = max(most.pair, abs(quants[2 * i] + quants[2 * i + 1]))
      }
      for first in [0, 2, 16, 18] {
        let eight = [0, 1, 4, 5, 8, 9, 12, 13].reduce(0) { $0 + abs(quants[first + $1]) }
        most.eight = max(most.eight, eight)
      }
      most.one = max(most.one, quants.map { abs($0) }.max() ?? 0)
      for (value, quant) in zip(x, quants) {
        #expect((value - Float(quant) * step).magnitude <= step * 0.5 + value.magnitude * 0x1p-10)
      }
      guard block % 6 > 2 else { continue }
      let plain = reference(x, limitsSums: false)
      steps.plain += Double(Half.float(UInt16(plain[0]) | UInt16(plain[1]) << 8))
      steps.limited += Double(step)
    }
    // Each limit was nearly reached, and none crossed.
    #expect((155...157).contains(most.pair) && (309...315).contains(most.eight) && most.one == 127)
    #expect(steps.limited < 1.5 * steps.plain)
  }

  /// Products of limited weights, against double precision, with sums as large as they become: equal magnitudes, signs
  /// that agree.
  @Test(arguments: KernelSet.available().map(\.name)) func limitedProducts(set: String) throws {
    let kernels = try KernelSet.named(set)
    let team = WorkerTeam(threads: 2)
    let (rows, columns, tokens) = (40, 320, 29)
    var random = SeededGenerator(seed: 21)
    var weights = (0..<rows * columns).map { _ in random.normal() }
    var x = randomActivations(tokens: tokens, columns: columns, seed: 22)
    for column in 0..<columns {
      let sign: Float = column % 3 == 0 ? -1 : 1
      for row in 0..<8 { weights[row * columns + column] = row % 2 == 0 ? sign : -sign }
      for row in 8..<12 { weights[row * columns + column] = column % 32 < row - 6 ? sign : sign / 1000 }
      for token in 0..<6 { x[token * columns + column] = token % 2 == 0 ? 2 * sign : -2 * sign }
      for token in 6..<8 { x[token * columns + column] = 2 }
    }
    let packed = try weights.withUnsafeBytes {
      try PackedMatrix(
        rows: rows, columns: columns, format: .q8_0, source: $0, stored: .f32, limitsSums: true, kernels: kernels,
        team: team)
    }
    let isLimited = kernels.matmul.limited != nil
    let decoded = SourceMatrix(
      .q8_0, rows: rows, columns: columns, bytes: reference(weights, limitsSums: isLimited)
    ).decoded()
    let rounded = roundedActivations(x, block: 32, top: isLimited ? 104 : 127)
    let y = product(packed, x, tokens: tokens, kernels, team)
    for token in 0..<tokens {
      for row in 0..<rows {
        let (sum, magnitude) = QuantTests.reference(decoded, row: row, rounded, token: token, columns: columns)
        let found = Double(y[token * rows + row])
        #expect(
          (found - sum).magnitude <= 18 * Double(Float.ulpOfOne) * magnitude,
          "token \(token), row \(row): \(found), not \(sum)")
      }
    }
    for (first, count) in [(0, 1), (28, 1), (3, 2), (5, 6), (0, 11)] {
      let part = product(packed, Array(x[first * columns..<(first + count) * columns]), tokens: count, kernels, team)
      #expect(part == Array(y[first * rows..<(first + count) * rows]), "tokens \(first) + \(count)")
    }
  }
}
