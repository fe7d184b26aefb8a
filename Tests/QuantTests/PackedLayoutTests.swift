import OccamCore
import OccamMatmul
import OccamQuantFormats
import Testing

/// What packing makes of bytes, format by format: other processes map it in (`PackedMatrix.layoutVersion`).
@Suite struct PackedLayoutTests {
  /// Whoever changes one of these raises `layoutVersion`, or old packed weights are taken for new ones.
  private static let version = 1
  private static let sums: [String: UInt64] = [
    "F32": 0x38b040d0a478487d,
    "F16": 0x542ca11ca0ff5d92,
    "Q4_0": 0xaea0d0fdc9b5cabb,
    "Q4_1": 0xf89fc449c7f423bd,
    "Q5_0": 0x42865db6c0e1dce0,
    "Q5_1": 0xe5cdff20b9ab9cf3,
    "Q8_0": 0x607b32142955c338,
    "Q2_K": 0x40604e3166a20d7e,
    "Q3_K": 0x456f536d420f77bb,
    "Q4_K": 0x85818585f9a30e66,
    "Q5_K": 0x9502d0fdb4649d77,
    "Q6_K": 0x52a981eacee429a8,
    "IQ4_NL": 0xaea0d0fdc9b5cabb,
    "IQ4_XS": 0x92d20b2ace6d7433,
    "BF16": 0x542ca11ca0ff5d92,
    "MXFP4": 0xaf71c9d935a7e0ba,
    "F16>Q8_0": 0xc8a1f9417985dc1f,
    "F16>Q6_K": 0xa0f4c396d33b3058,
  ]

  /// Any bytes will do: packing only moves them.
  private static func packed(_ format: QuantFormat, as target: QuantFormat? = nil) throws -> PackedMatrix {
    let (rows, columns) = (37, 512)
    var random = SeededGenerator(seed: 11)
    let count = try #require(format.byteCount(elements: rows * columns))
    var bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    // Floats that are encoded are finite and small.
    if target != nil { for index in stride(from: 1, to: count, by: 2) { bytes[index] &= 0xbb } }
    return try bytes.withUnsafeBytes {
      try PackedMatrix(
        rows: rows, columns: columns, format: target ?? format, source: $0, stored: format,
        kernels: KernelSet.named("portable"), team: WorkerTeam(threads: 2))
    }
  }

  @Test func theBytesOfAllFormatsAreThoseOfTheirVersion() throws {
    #expect(PackedMatrix.layoutVersion == PackedLayoutTests.version)
    var found: [(String, UInt64)] = []
    for format in QuantFormat.allCases { found.append((format.name, try PackedLayoutTests.sum(.init(format)))) }
    for target in [QuantFormat.q8_0, .q6_K] {
      found.append(("F16>\(target.name)", try PackedLayoutTests.sum(.init(.f16, target))))
    }
    for (name, sum) in found {
      #expect(PackedLayoutTests.sums[name] == sum, "\"\(name)\": 0x\(String(sum, radix: 16)),")
    }
  }

  private struct Case {
    let format: QuantFormat
    let target: QuantFormat?
    init(_ format: QuantFormat, _ target: QuantFormat? = nil) { (self.format, self.target) = (format, target) }
  }

  private static func sum(_ entry: Case) throws -> UInt64 {
    let matrix = try packed(entry.format, as: entry.target)
    return try #require(matrix.bytes).withBytes { Checksum.of($0) }
  }

  @Test func keptBytesMakeTheSameMatrix() throws {
    let team = WorkerTeam(threads: 2)
    for kernels in KernelSet.available() {
      let source = SourceMatrix(.q8_0, rows: 37, columns: 512, seed: 5)
      let matrix = try source.packed(kernels, team)
      var asked: [String] = []
      func kept(_ bytes: SharedBytes?) throws -> PackedMatrix? {
        try PackedMatrix(
          rows: 37, columns: 512, format: .q8_0, stored: .q8_0, limitsSums: true, kernels: kernels
        ) { variant, count in
          asked.append(variant)
          #expect(count == matrix.byteCount)
          return bytes
        }
      }
      let bytes = try #require(matrix.bytes)
      let again = try #require(try kept(bytes))
      let x = randomActivations(tokens: 3, columns: 512, seed: 6)
      #expect(product(again, x, tokens: 3, kernels, team) == product(matrix, x, tokens: 3, kernels, team))
      // None, too few, and crooked ones.
      #expect(try kept(nil) == nil)
      #expect(try kept(SharedBytes(bytes.start, count: bytes.count - 1, owner: matrix)) == nil)
      #expect(try kept(SharedBytes(bytes.start + 32, count: bytes.count, owner: matrix)) == nil)
      #expect(Set(asked) == ["37x512 Q8_0"] && matrix.variant == "37x512 Q8_0")
    }
  }

  /// Everything that changes the bytes besides the rows stands in the variant.
  @Test func variantsDiffer() throws {
    var variants: Set<String> = []
    var count = 0
    let limiting = KernelSet.available().filter { $0.matmul.limited != nil }.prefix(1)
    for kernels in [try KernelSet.named("portable")] + limiting {
      for (stored, target) in [(QuantFormat.f16, QuantFormat.f16), (.f16, .q8_0), (.f32, .q8_0), (.f16, .q6_K)] {
        for (rows, columns) in [(16, 256), (32, 256), (16, 512)] {
          count += 1
          _ = try PackedMatrix(
            rows: rows, columns: columns, format: target, stored: stored, limitsSums: true, kernels: kernels
          ) { variant, _ in
            variants.insert(variant)
            return nil
          }
        }
      }
    }
    // Those of 8 bits are limited or not; the others are the same for all sets.
    let sets = KernelSet.available().contains { $0.matmul.limited != nil && $0.name != "portable" } ? 2 : 1
    #expect(variants.count == 12 + (sets - 1) * 6 && count >= variants.count, "\(variants)")
  }
}
