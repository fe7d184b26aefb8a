/// Characters as sequences of byte ranges.
enum UTF8Ranges {
  /// One array a sequence, one range a byte: together they are the UTF-8 of exactly these code points, but for
  /// surrogates, which have none.
  static func sequences(_ ranges: [ClosedRange<UInt32>]) -> [[ClosedRange<UInt8>]] {
    var result: [[ClosedRange<UInt8>]] = []
    for range in CharacterSet.subtracting(ranges, [0xD800...0xDFFF]) {
      add(range.lowerBound, range.upperBound, &result)
    }
    return result
  }

  /// Cuts where lengths change and where bytes behind the first do not run through all their values.
  private static func add(_ low: UInt32, _ high: UInt32, _ result: inout [[ClosedRange<UInt8>]]) {
    for border: UInt32 in [0x7F, 0x7FF, 0xFFFF] where low <= border && border < high {
      add(low, border, &result)
      add(border + 1, high, &result)
      return
    }
    let (first, last) = (bytes(low), bytes(high))
    for index in 1..<max(first.count, 1) {
      let mask: UInt32 = 1 << (6 * UInt32(index)) - 1
      guard low & ~mask != high & ~mask else { continue }
      if low & mask != 0 {
        add(low, low | mask, &result)
        add((low | mask) + 1, high, &result)
        return
      }
      if high & mask != mask {
        add(low, (high & ~mask) - 1, &result)
        add(high & ~mask, high, &result)
        return
      }
    }
    result.append(zip(first, last).map { $0...$1 })
  }

  private static func bytes(_ code: UInt32) -> [UInt8] {
    Unicode.Scalar(code).map { Array(String(Character($0)).utf8) } ?? []
  }
}
