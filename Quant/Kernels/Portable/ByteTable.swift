import OccamKernelContract

/// What two nibbles of a byte choose: both values plus an offset, in the low and the high half of a word.
struct ByteTable {
  /// [256] words.
  let words: UnsafeMutablePointer<UInt16>

  static var bytes: Int { 512 }

  @inline(__always)
  init(_ memory: UnsafeMutableRawPointer, _ values: SIMD16<Int8>, offset: UInt16) {
    words = memory.assumingMemoryBound(to: UInt16.self)
    for high in 0..<16 {
      let upper = UInt16(truncatingIfNeeded: values[high]) &+ offset
      for low in 0..<16 {
        let lower = UInt16(truncatingIfNeeded: values[low]) &+ offset
        words[16 &* high &+ low] = lower & 0xff | upper &<< 8
      }
    }
  }

  /// What the bytes of four lines of nibbles choose, for 4 rows.
  @inline(__always)
  func chosen(_ lines: UnsafeRawPointer) -> ChosenBytes {
    var chosen = ChosenBytes(
      even: InlineArray(repeating: Bytes()), odd: InlineArray(repeating: Bytes()))
    for line in 0..<4 {
      let codes = (lines + line &* PanelLayout.line).assumingMemoryBound(to: UInt8.self)
      for i in 0..<8 {
        chosen.even[line][i] = words[Int(codes[2 &* i])]
        chosen.odd[line][i] = words[Int(codes[2 &* i &+ 1])]
      }
    }
    return chosen
  }
}

/// Words of bytes 2 i and of bytes 2 i + 1 of four lines: their low halves belong to the even quads, their high halves to
/// the odd ones.
struct ChosenBytes {
  var even: InlineArray<4, Bytes>
  var odd: InlineArray<4, Bytes>

  /// Quad j.
  @inline(__always)
  func bytes(_ j: Int) -> Lanes {
    let shift = UInt16(truncatingIfNeeded: 8 &* (j & 1))
    return Lanes(even: (even[j >> 1] &>> shift) & 255, odd: (odd[j >> 1] &>> shift) & 255)
  }

  /// Bits `shift`..<`shift` + 4 of quad j.
  @inline(__always)
  func nibbles(_ j: Int, _ shift: UInt16) -> Lanes {
    let shift = shift &+ UInt16(truncatingIfNeeded: 8 &* (j & 1))
    return Lanes(even: (even[j >> 1] &>> shift) & 15, odd: (odd[j >> 1] &>> shift) & 15)
  }
}
