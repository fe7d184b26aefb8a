/// Q3_K: 256 numbers in 110 bytes, sixteen sub-blocks of 16, x = d * (scale - 32) * (q - 4).
///
///     offset  bytes
///     0       32     third bits: bit j of byte i belongs to number 32 j + i
///     32      64     low two bits, as in Q2_K
///     96      12     scales, 6 bits each: `unpackScales`
///     108     2      d, half
@usableFromInline
package enum BlockQ3_K: BlockFormat {
  package static var name: String { "Q3_K" }
  @inlinable @inline(__always) package static var elements: Int { 256 }
  @inlinable @inline(__always) package static var bytes: Int { 110 }
  package static var factors: BlockFactors? { .half(d) }
  @inlinable @inline(__always) package static var highBits: Int { 0 }
  @inlinable @inline(__always) package static var quants: Int { 32 }
  @inlinable @inline(__always) package static var scales: Int { 96 }
  @inlinable @inline(__always) package static var d: Int { 108 }

  /// The scales, -32...31, of sub-blocks 0..<8 and 8..<16, byte by byte (little-endian). Low nibbles: byte j, then its
  /// high nibble, belong to j and j + 8; the high two bits of scale j stand in byte 8 + j % 4 from bit 2 (j / 4) on.
  /// - Parameter block: 110 readable bytes, any alignment.
  @inlinable
  @inline(__always)
  package static func unpackScales(_ block: UnsafeRawPointer) -> (low: UInt64, high: UInt64) {
    let nibbles = block.loadUnaligned(fromByteOffset: scales, as: UInt64.self)
    let tops = block.loadUnaligned(fromByteOffset: scales &+ 8, as: UInt32.self)
    let mask: UInt32 = 0x0303_0303
    let first = UInt64(tops & mask) | UInt64((tops >> 2) & mask) << 32
    let second = UInt64((tops >> 4) & mask) | UInt64((tops >> 6) & mask) << 32
    let low = nibbles & 0x0f0f_0f0f_0f0f_0f0f | first << 4
    let high = (nibbles >> 4) & 0x0f0f_0f0f_0f0f_0f0f | second << 4
    // Bytes 0...63 less 32, none borrowing from its neighbour.
    let top: UInt64 = 0x8080_8080_8080_8080
    let offset: UInt64 = 0x2020_2020_2020_2020
    return (((low | top) &- offset) ^ top, ((high | top) &- offset) ^ top)
  }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
    let high = block.assumingMemoryBound(to: UInt8.self)
    let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
    let scales = unpackScales(block)
    for s in 0..<16 {
      let scale = d * Float(scale(scales, s))
      for i in 0..<16 {
        let top = (high[16 * (s & 1) + i] &>> UInt8(s / 2)) & 1
        x[16 * s + i] = scale * Float(Int32(TwoBits.level(quants, s, i) | top << 2) &- 4)
      }
    }
  }

  private static func scale(_ scales: (low: UInt64, high: UInt64), _ s: Int) -> Int8 {
    Int8(truncatingIfNeeded: (s < 8 ? scales.low : scales.high) &>> UInt64(8 * (s & 7)))
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    block.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    withUnsafeTemporaryAllocation(of: Lanes.self, capacity: 3 * CoordinateSearch.count) { memory in
      guard let numbers = memory.baseAddress else { return }
      let levels = numbers + CoordinateSearch.count
      let scales = (
        CoordinateSearch.search(x, numbers, levels),
        CoordinateSearch.search(x + 128, numbers, levels + CoordinateSearch.count)
      )
      var extreme: Float = 0
      for j in 0..<8 where scales.0[j].magnitude > extreme.magnitude { extreme = scales.0[j] }
      for j in 0..<8 where scales.1[j].magnitude > extreme.magnitude { extreme = scales.1[j] }
      if extreme != 0 {
        let inverse = -32 / extreme
        storeScales(inverse, scales, block)
        block.storeBytes(of: Half.bits(1 / inverse), toByteOffset: Self.d, as: UInt16.self)
      }
      let d = Half.float(block.loadUnaligned(fromByteOffset: Self.d, as: UInt16.self))
      let stored = unpackScales(block)
      let quants = (block + Self.quants).assumingMemoryBound(to: UInt8.self)
      for s in 0..<16 {
        let scale = d * Float(scale(stored, s))
        for i in 0..<16 {
          var level = levels[16 * (s / 8) + i][s & 7]
          // Sub-blocks whose scale came out as 0 keep the search's levels, which are multiplied by 0.
          if scale != 0 { level = Rounding.level(Lanes(repeating: x[16 * s + i] / scale), -4, 3)[0] }
          let q = UInt8(truncatingIfNeeded: Rounding.nearest(level) &+ 4)
          TwoBits.store(q, quants, s, i)
          let place = block + (16 * (s & 1) + i)
          place.storeBytes(of: place.load(as: UInt8.self) | (q >> 2 & 1) &<< UInt8(s / 2), as: UInt8.self)
        }
      }
    }
  }

  private static func storeScales(_ inverse: Float, _ scales: (Lanes, Lanes), _ block: UnsafeMutableRawPointer) {
    let bytes = (block + Self.scales).assumingMemoryBound(to: UInt8.self)
    for s in 0..<16 {
      let level = max(-32, min(31, Rounding.nearest(inverse * (s < 8 ? scales.0[s] : scales.1[s - 8]))))
      let code = UInt8(truncatingIfNeeded: level &+ 32)
      bytes[s & 7] |= (code & 15) &<< UInt8(s / 8 * 4)
      bytes[8 + s % 4] |= (code >> 4) &<< UInt8(s / 4 * 2)
    }
  }
}

/// Finds scale and levels of eight sub-blocks of 16 numbers each, x ~ scale * level: the search behind Q3_K. From the
/// pitch that puts the largest magnitude on -4, one level after another moves to where the best scale of all the others
/// wants it, as long as that explains more of the energy; numbers weigh their own squares.
///
/// The float operations and their order are those of ggml's reference, so that the bytes are equal too.
private enum CoordinateSearch {
  static let count = 16
  private static let rounds = 5

  /// - Parameters:
  ///   - x: 128 numbers.
  ///   - numbers: working memory, `count` lanes.
  ///   - levels: receives `count` lanes of -4...3, lane = sub-block.
  /// - Returns: the scale of each sub-block, either sign; 0 for a zero sub-block.
  static func search(
    _ x: UnsafePointer<Float>, _ numbers: UnsafeMutablePointer<Lanes>, _ levels: UnsafeMutablePointer<Lanes>
  ) -> Lanes {
    var extreme = Lanes()
    var magnitude = Lanes()
    for i in 0..<count {
      var lanes = Lanes()
      for j in 0..<8 { lanes[j] = x[j * count + i] }
      numbers[i] = lanes
      let absolute = lanes.replacing(with: -lanes, where: lanes .< 0)
      extreme.replace(with: lanes, where: absolute .> magnitude)
      magnitude.replace(with: absolute, where: absolute .> magnitude)
    }
    let inverse = -4 / extreme
    var (sumLX, sumLL) = (Lanes(), Lanes())
    for i in 0..<count {
      let number = numbers[i]
      let level = Rounding.level(inverse * number, -4, 3)
      levels[i] = level
      let weight = number * number
      sumLX += weight * number * level
      sumLL += weight * level * level
    }
    for _ in 0..<rounds {
      var hasChanged = false
      for i in 0..<count {
        let (number, level) = (numbers[i], levels[i])
        let weight = number * number
        var restLX = sumLX - weight * number * level
        var restLL = sumLL - weight * level * level
        let usable = restLX .> 0
        let wanted = Rounding.level(number * restLL / restLX, -4, 3)
        restLX += weight * number * wanted
        restLL += weight * wanted * wanted
        let better = restLX * restLX * sumLL .> sumLX * sumLX * restLL
        let moves = usable .& (wanted .!= level) .& (restLL .> 0) .& better
        guard moves != SIMDMask(repeating: false) else { continue }
        hasChanged = true
        levels[i].replace(with: wanted, where: moves)
        sumLX.replace(with: restLX, where: moves)
        sumLL.replace(with: restLL, where: moves)
      }
      if !hasChanged { break }
    }
    let zero = magnitude .< SymmetricSearch.smallest
    // A zero sub-block has levels of its own: ggml leaves 0 there, which stands for -4.
    for i in 0..<count { levels[i].replace(with: -4, where: zero) }
    return (sumLX / sumLL).replacing(with: 0, where: zero .| (sumLL .<= 0))
  }
}
