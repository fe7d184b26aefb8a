import OccamCore
import OccamQuantFormats
import Testing

@Suite struct HalfTests {
  @Test func everyHalfHasItsValue() {
    for bits in UInt16.min...UInt16.max {
      let reference = Float(Float16(bitPattern: bits))
      let value = Half.float(bits)
      #expect(value.bitPattern == reference.bitPattern || (value.isNaN && reference.isNaN), "\(bits)")
    }
  }

  @Test func everyHalfComesBack() {
    for bits in UInt16.min...UInt16.max {
      let value = Half.float(bits)
      #expect(value.isNaN ? Half.bits(value) & 0x7fff == 0x7e00 : Half.bits(value) == bits, "\(bits)")
    }
  }

  /// The middle between two neighbouring halves, and the floats just below and above it.
  @Test func roundsToNearestEven() {
    for bits in UInt16(0)..<0x7bff {
      let middle = (Half.float(bits) + Half.float(bits + 1)) / 2
      for value in [middle.nextDown, middle, middle.nextUp] {
        #expect(Half.bits(value) == Float16(value).bitPattern, "\(value)")
        #expect(Half.bits(-value) == Float16(-value).bitPattern, "\(-value)")
      }
    }
    for value: Float in [65_519.996, 65_520, 1e9, .infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, 1e-30] {
      #expect(Half.bits(value) == Float16(value).bitPattern, "\(value)")
    }
  }

  @Test func brainFloatRoundsToNearestEven() {
    #expect(BrainFloat.bits(Float(bitPattern: 0x3f80_8000)) == 0x3f80)
    #expect(BrainFloat.bits(Float(bitPattern: 0x3f81_8000)) == 0x3f82)
    #expect(BrainFloat.bits(Float(bitPattern: 0x3f80_8001)) == 0x3f81)
    #expect(BrainFloat.bits(.greatestFiniteMagnitude) == 0x7f80)
    #expect(BrainFloat.float(BrainFloat.bits(Float(bitPattern: 0x7f80_0001))).isNaN)
    for bits in UInt16.min...UInt16.max where !BrainFloat.float(bits).isNaN {
      #expect(BrainFloat.bits(BrainFloat.float(bits)) == bits)
    }
  }
}

@Suite struct FormatsTests {
  @Test func sizes() {
    #expect(QuantFormat.q4_K.byteCount(elements: 512) == 288)
    #expect(QuantFormat.q6_K.byteCount(elements: 255) == nil)
    #expect(QuantFormat.q4_0.byteCount(elements: -32) == nil)
    #expect(QuantFormat.f32.byteCount(elements: .max) == nil)
    #expect(QuantFormat.f16.byteCount(elements: .max / 2 + 1) == nil)
    #expect(QuantFormat.q8_0.byteCount(elements: 0) == 0)
    for format in QuantFormat.allCases {
      #expect(QuantFormat(name: format.name.lowercased()) == format)
      #expect(format.byteCount(elements: format.blockSize) == format.blockBytes)
    }
    #expect(QuantFormat(name: "IQ1_S") == nil)
    #expect(Set(QuantFormat.allCases.map(\.name)).count == QuantFormat.allCases.count)
  }

  @Test func sixBitScalesSurvivePacking() {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<200 {
      var (scales, mins) = (SIMD8<UInt8>(), SIMD8<UInt8>())
      for j in 0..<8 {
        scales[j] = UInt8.random(in: 0...63, using: &generator)
        mins[j] = UInt8.random(in: 0...63, using: &generator)
      }
      var packed = [UInt8](repeating: 0xff, count: SixBitScales.bytes)
      let unpacked = packed.withUnsafeMutableBytes { raw -> (scales: SIMD8<UInt8>, mins: SIMD8<UInt8>) in
        SixBitScales.pack(scales: scales, mins: mins, into: raw.baseAddress!)
        return SixBitScales.unpack(raw.baseAddress!)
      }
      #expect(unpacked.scales == scales && unpacked.mins == mins)
    }
  }

  /// Root mean square error of unit noise: bounds 3 to 5 % above what is reached, so that a worse search fails.
  @Test(arguments: [
    (QuantFormat.q8_0, Float(0.0056)), (.q6_K, 0.0187), (.q5_K, 0.0375), (.q4_K, 0.074), (.q4_0, 0.088),
    (.q4_1, 0.081), (.q5_0, 0.0445), (.q5_1, 0.04), (.q2_K, 0.308), (.q3_K, 0.158), (.iq4_nl, 0.0795),
    (.iq4_xs, 0.08), (.mxfp4, 0.12), (.f16, 0.00022), (.bf16, 0.00175),
  ])
  func roundTripError(_ format: QuantFormat, _ bound: Float) throws {
    var generator = SeededGenerator(seed: 9)
    let numbers = (0..<8192).map { _ in generator.normal() }
    let decoded = try roundTrip(format, numbers)
    let squares = zip(numbers, decoded).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let error = (squares / Float(numbers.count)).squareRoot()
    #expect(error < bound && error > bound / 2)
  }

  /// Nothing traps, and a finite block next to a spoilt one stays what it is.
  @Test(arguments: QuantFormat.allCases) func odditiesDoNotTrap(_ format: QuantFormat) throws {
    var generator = SeededGenerator(seed: 3)
    let clean = (0..<256).map { _ in generator.normal() }
    let expected = try roundTrip(format, clean)
    let odd: [Float] = [
      .nan, -.nan, .signalingNaN, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
      .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, .leastNormalMagnitude / 64, -0.0,
    ]
    for value in odd {
      for spoilt in [1, 7, 256] {
        let numbers = (0..<256).map { $0 % (256 / spoilt) == 0 ? value : clean[$0] } + clean
        #expect(Array(try roundTrip(format, numbers)[256...]) == expected)
      }
    }
  }

  private func roundTrip(_ format: QuantFormat, _ numbers: [Float]) throws -> [Float] {
    var bytes = [UInt8](repeating: 0, count: try #require(format.byteCount(elements: numbers.count)))
    var decoded = [Float](repeating: 0, count: numbers.count)
    bytes.withUnsafeMutableBytes { raw in
      format.encode(numbers, count: numbers.count, into: raw.baseAddress!)
      decoded.withUnsafeMutableBufferPointer {
        format.decode(raw.baseAddress!, count: numbers.count, into: $0.baseAddress!)
      }
    }
    return decoded
  }
}

@Suite struct FormatsRowTests {
  @Test(arguments: QuantFormat.allCases) func oneRowOfATable(_ format: QuantFormat) throws {
    var generator = SeededGenerator(seed: 12)
    let (rows, columns) = (5, 512)
    let numbers = (0..<rows * columns).map { _ in generator.normal() }
    var bytes = [UInt8](repeating: 0, count: try #require(format.byteCount(elements: numbers.count)))
    var whole = [Float](repeating: 0, count: numbers.count)
    var row = [Float](repeating: 0, count: columns)
    bytes.withUnsafeMutableBytes { raw in
      let base = raw.baseAddress!
      format.encode(numbers, count: numbers.count, into: base)
      whole.withUnsafeMutableBufferPointer { format.decode(base, count: $0.count, into: $0.baseAddress!) }
      row.withUnsafeMutableBufferPointer { format.decodeRow(3, of: base, columns: columns, into: $0.baseAddress!) }
    }
    #expect(row[...] == whole[3 * columns..<4 * columns])
  }

  /// Every factor of every block is looked at, and nothing else: what is no number makes the decoded block none.
  @Test(arguments: QuantFormat.allCases.filter(\.isQuantized)) func spoiltFactorsAreSeen(_ format: QuantFormat) throws {
    let (blocks, size) = (3, format.blockBytes)
    let count = blocks * format.blockSize
    let clean = [UInt8](repeating: 0x3b, count: blocks * size)
    #expect(clean.withUnsafeBytes { format.isFinite($0.baseAddress!, count: count) })
    var decoded = [Float](repeating: 0, count: count)
    var seen = 0
    for place in 0..<clean.count - 1 {
      var bytes = clean
      (bytes[place], bytes[place + 1]) = (0x01, 0x7e)
      let isFinite = bytes.withUnsafeBytes { raw -> Bool in
        format.decode(raw.baseAddress!, count: count, into: &decoded)
        return format.isFinite(raw.baseAddress!, count: count)
      }
      #expect(isFinite == decoded.allSatisfy(\.isFinite), "byte \(place)")
      seen += isFinite ? 0 : 1
    }
    // A half is spoilt by its upper byte, which either of the two written ones may be.
    guard let factors = format.factors, factors.coding == .half else { return #expect(seen == 0) }
    #expect(seen == blocks * (factors.minimum == nil ? 1 : 2))
  }

  @Test func everyExponentHasItsPower() {
    for e in UInt8.min...254 {
      let power = Float(sign: .plus, exponent: Int(e) - 128, significand: 1)
      #expect(BrainFloat.float(BlockMXFP4.scale(e)) == power, "\(e)")
      var block = [UInt8](repeating: 0x21, count: BlockMXFP4.bytes)
      block[0] = e
      var decoded = [Float](repeating: 0, count: 32)
      QuantFormat.mxfp4.decode(block, count: 32, into: &decoded)
      #expect(decoded == [Float](repeating: power, count: 16) + [Float](repeating: 2 * power, count: 16), "\(e)")
    }
  }

  /// An exponent of 255 is no number, though ggml decodes it as 2^127.
  @Test func theLastExponentIsRefused() {
    for block in 0..<4 {
      var bytes = [UInt8](repeating: 0x7f, count: 4 * BlockMXFP4.bytes)
      bytes[block * BlockMXFP4.bytes] = 255
      #expect(!bytes.withUnsafeBytes { QuantFormat.mxfp4.isFinite($0.baseAddress!, count: 128) })
      bytes[block * BlockMXFP4.bytes] = 254
      #expect(bytes.withUnsafeBytes { QuantFormat.mxfp4.isFinite($0.baseAddress!, count: 128) })
    }
  }

  @Test func plainNumbersThatAreNoneAreSeen() {
    let cases: [(QuantFormat, [UInt8])] = [(.f32, [0, 0, 0x80, 0x7f]), (.f16, [0x01, 0x7c]), (.bf16, [0xc0, 0xff])]
    for (format, spoilt) in cases {
      for index in 0..<6 {
        var bytes = [UInt8](repeating: 0x3b, count: 6 * format.blockBytes)
        #expect(bytes.withUnsafeBytes { format.isFinite($0.baseAddress!, count: 6) })
        bytes.replaceSubrange(index * spoilt.count..<(index + 1) * spoilt.count, with: spoilt)
        #expect(!bytes.withUnsafeBytes { format.isFinite($0.baseAddress!, count: 6) })
      }
    }
  }
}
