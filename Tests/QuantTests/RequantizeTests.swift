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

  private func reference(_ floats: [Float]) -> [UInt8] {
    var blocks = [UInt8](repeating: 0, count: floats.count / 32 * 34)
    blocks.withUnsafeMutableBytes { target in
      floats.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        QuantFormat.q8_0.encode(from, count: floats.count, into: to)
      }
    }
    return blocks
  }

  private func made(_ count: Int, _ body: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    var blocks = [UInt8](repeating: 0xaa, count: count / 32 * 34)
    blocks.withUnsafeMutableBytes { if let base = $0.baseAddress { body(base) } }
    return blocks
  }

  @Test func everyKernelSetEncodesAsTheReference() {
    let halves = halves()
    let floats = halves.map { Half.float($0) }
    let expected = reference(floats)
    // Floats that are no halves, from subnormal to the edge of what a half can scale.
    var random = SeededGenerator(seed: 3)
    let wide = (0..<8192).map { random.normal() * Float(sign: .plus, exponent: $0 / 32 % 140 - 130, significand: 1) }
    let expectedWide = reference(wide)
    for set in KernelSet.available() {
      let found = halves.withUnsafeBufferPointer { source in
        made(halves.count) { out in
          if let base = source.baseAddress { set.vector.requantizeHalves(base, out, halves.count) }
        }
      }
      #expect(found == expected, "\(set.name)")
      for (numbers, blocks) in [(floats, expected), (wide, expectedWide)] {
        let found = numbers.withUnsafeBufferPointer { source in
          made(numbers.count) { out in
            if let base = source.baseAddress { set.vector.requantizeFloats(base, out, numbers.count) }
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
}
