import OccamCore

/// Bits of a WebP lossless stream, the first in the low end.
struct VP8LBitReader {
  private let data: ByteSource
  private var position = 0
  fileprivate var bits: UInt64 = 0
  private var available = 0
  /// Zero bits made up after the end of the data; using one means that the data is truncated.
  private var invented = 0

  init(_ data: ByteSource) { self.data = data }

  var isExhausted: Bool { available < invented }

  /// Afterwards at least 56 bits are there.
  @inline(__always)
  mutating func refill() {
    if position &+ 8 <= data.count {
      let word = UInt64(littleEndian: UnsafeRawPointer(data.base + position).loadUnaligned(as: UInt64.self))
      bits |= word &<< UInt64(truncatingIfNeeded: available)
      let taken = (63 &- available) &>> 3
      position &+= taken
      available &+= taken &* 8
      return
    }
    bits &= (1 << UInt64(available)) &- 1
    while available <= 56 {
      if position < data.count {
        bits |= UInt64(data.base[position]) << UInt64(available)
        position &+= 1
      } else {
        invented &+= 8
      }
      available &+= 8
    }
  }

  @inline(__always)
  fileprivate mutating func drop(_ count: Int) {
    bits = bits &>> UInt64(truncatingIfNeeded: count)
    available &-= count
  }

  /// A number of `count` (0...32) bits.
  mutating func number(_ count: Int) -> Int {
    refill()
    let value = Int(bits & ((1 << UInt64(count)) &- 1))
    drop(count)
    return value
  }

  mutating func flag() -> Bool { number(1) == 1 }
}

/// All prefix codes of an image, in one block: a lookup for short codes, canonical search for longer ones.
struct VP8LCodes {
  /// Longest code that is looked up at once.
  private static let primaryBits = 8

  private struct Code {
    /// The only symbol of a code of no bits.
    var only: Int?
    var lookupBits = 0
    /// Of the lookup, of the symbols by code, and of the counts of each length.
    var lookup = 0
    var symbols = 0
    var counts = 0
  }

  private var codes: [Code] = []
  /// Lookups: symbol << 4 | length, 0 for longer codes; symbols; counts of the lengths 0...15.
  private var table: [UInt16] = []

  var count: Int { codes.count }

  /// - Parameter lengths: code length of each symbol, 0...15.
  mutating func append(lengths: [UInt8]) throws(ImageFault) {
    var counts = [Int](repeating: 0, count: 16)
    for length in lengths { counts[Int(length)] += 1 }
    counts[0] = 0
    let used = counts.reduce(0, +)
    guard used > 0 else { throw .corrupt("a prefix code has no symbol") }
    if used == 1 {
      codes.append(Code(only: lengths.firstIndex { $0 != 0 }))
      return
    }
    var left = 1
    for length in 1...15 {
      left = left << 1 - counts[length]
      guard left >= 0 else { throw .corrupt("a prefix code has too many short codes") }
    }
    guard left == 0 else { throw .corrupt("a prefix code is not complete") }
    let longest = counts.lastIndex { $0 != 0 } ?? 0
    var code = Code()
    code.lookupBits = min(longest, Self.primaryBits)
    code.lookup = table.count
    code.symbols = code.lookup + 1 << code.lookupBits
    code.counts = code.symbols + used
    table.append(contentsOf: repeatElement(0, count: 1 << code.lookupBits + used))
    table.append(contentsOf: counts.map { UInt16($0) })
    var next = [Int](repeating: 0, count: 17)
    var first = [Int](repeating: 0, count: 17)
    for length in 1...15 {
      next[length + 1] = next[length] + counts[length]
      first[length + 1] = (first[length] + counts[length]) << 1
    }
    for (symbol, length) in lengths.enumerated() where length != 0 {
      let length = Int(length)
      table[code.symbols + next[length]] = UInt16(symbol)
      next[length] += 1
      if length <= code.lookupBits {
        var reversed = 0
        for bit in 0..<length where first[length] >> bit & 1 != 0 { reversed |= 1 << (length - 1 - bit) }
        while reversed < 1 << code.lookupBits {
          table[code.lookup + reversed] = UInt16(symbol << 4 | length)
          reversed += 1 << length
        }
      }
      first[length] += 1
    }
    codes.append(code)
  }

  /// The next symbol in code `index`. At least 15 bits must be there.
  @inline(__always)
  func read(_ reader: inout VP8LBitReader, _ index: Int) -> Int {
    let code = codes[index]
    if let only = code.only { return only }
    let low = Int(truncatingIfNeeded: reader.bits & ((1 &<< UInt64(truncatingIfNeeded: code.lookupBits)) &- 1))
    let entry = Int(table[code.lookup + low])
    if entry != 0 {
      reader.drop(entry & 15)
      return entry >> 4
    }
    return readLong(&reader, code)
  }

  @inline(never)
  private func readLong(_ reader: inout VP8LBitReader, _ code: Code) -> Int {
    var value = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      value |= Int(reader.bits >> UInt64(length - 1) & 1)
      let count = Int(table[code.counts + length])
      if value - first < count {
        reader.drop(length)
        return Int(table[code.symbols + index + value - first])
      }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    // A complete code has every pattern of 15 bits.
    return 0
  }
}

/// Near pixels in the plane, by distance code - 1: rows up << 4 | 8 - columns to the left (WebP lossless, section
/// 4.2.2).
enum VP8LPlaneCodes {
  static let table = AlignedBuffer<UInt8>(
    copying: [
      24, 7, 23, 25, 40, 6, 39, 41, 22, 26, 38, 42, 56, 5, 55, 57, 21, 27, 54, 58, 37, 43, 72, 4, 71, 73, 20, 28, 53,
      59, 70, 74, 36, 44, 88, 69, 75, 52, 60, 3, 87, 89, 19, 29, 86, 90, 35, 45, 68, 76, 85, 91, 51, 61, 104, 2, 103,
      105, 18, 30, 102, 106, 34, 46, 84, 92, 67, 77, 101, 107, 50, 62, 120, 1, 119, 121, 83, 93, 17, 31, 100, 108, 66,
      78, 118, 122, 33, 47, 117, 123, 49, 63, 99, 109, 82, 94, 0, 116, 124, 65, 79, 16, 32, 98, 110, 48, 115, 125, 81,
      95, 64, 114, 126, 97, 111, 80, 113, 127, 96, 112,
    ] as [UInt8])
}
