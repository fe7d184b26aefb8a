typealias Words = SIMD4<UInt32>

/// Reads the same place of four rows.
///
/// Rows are taken four at a time, four words of each: a transposed square holds what one panel line takes from these
/// rows.
struct FourRows {
  /// Bytes from row to row.
  let stride: Int

  /// Calls `body` for rows 0, 4, 8 and 12 of a panel.
  @inline(__always)
  func groups(_ source: UnsafeRawPointer, _ body: (_ first: Int, _ source: UnsafeRawPointer) -> Void) {
    body(0, source)
    body(4, source + 4 &* stride)
    body(8, source + 8 &* stride)
    body(12, source + 12 &* stride)
  }

  /// Word j of all four rows in result j.
  @inline(__always)
  func square(_ place: UnsafeRawPointer) -> (Words, Words, Words, Words) {
    let a = place.loadUnaligned(as: Words.self)
    let b = (place + stride).loadUnaligned(as: Words.self)
    let c = (place + 2 &* stride).loadUnaligned(as: Words.self)
    let d = (place + 3 &* stride).loadUnaligned(as: Words.self)
    return (
      Words(a.x, b.x, c.x, d.x), Words(a.y, b.y, c.y, d.y), Words(a.z, b.z, c.z, d.z), Words(a.w, b.w, c.w, d.w)
    )
  }

  /// 32 bytes of all four rows.
  @inline(__always)
  func octet(_ place: UnsafeRawPointer) -> Octet {
    Octet(low: square(place), high: square(place + 16))
  }

  @inline(__always)
  func halves(_ place: UnsafeRawPointer) -> SIMD4<UInt16> {
    SIMD4(
      place.loadUnaligned(as: UInt16.self), (place + stride).loadUnaligned(as: UInt16.self),
      (place + 2 &* stride).loadUnaligned(as: UInt16.self), (place + 3 &* stride).loadUnaligned(as: UInt16.self))
  }
}

/// Eight words of four rows, transposed.
struct Octet {
  let low: (Words, Words, Words, Words)
  let high: (Words, Words, Words, Words)

  /// Four lines of 4-bit numbers at `lines`: words 2 j and 2 j + 1 make line j. `upper` takes the high nibbles.
  @inline(__always)
  func storeNibbles(upper: Bool, _ lines: UnsafeMutableRawPointer) {
    store(upper ? Octet.upper(low.0, low.1) : Octet.lower(low.0, low.1), lines)
    store(upper ? Octet.upper(low.2, low.3) : Octet.lower(low.2, low.3), lines + PanelLayout.line)
    store(upper ? Octet.upper(high.0, high.1) : Octet.lower(high.0, high.1), lines + 2 &* PanelLayout.line)
    store(upper ? Octet.upper(high.2, high.3) : Octet.lower(high.2, high.3), lines + 3 &* PanelLayout.line)
  }

  @inline(__always)
  static func lower(_ a: Words, _ b: Words) -> Words { a & 0x0f0f_0f0f | (b & 0x0f0f_0f0f) &<< 4 }

  @inline(__always)
  static func upper(_ a: Words, _ b: Words) -> Words { (a &>> 4) & 0x0f0f_0f0f | b & 0xf0f0_f0f0 }
}

@inline(__always)
func store(_ words: Words, _ place: UnsafeMutableRawPointer) { place.storeBytes(of: words, as: Words.self) }

/// Bits `shift` and `shift` + 1 of every byte: those of word j become bits 2 j, 2 j + 1.
@inline(__always)
func bitPairs(_ words: (Words, Words, Words, Words), _ shift: UInt32) -> Words {
  var bits = (words.0 &>> shift) & 0x0303_0303
  bits |= ((words.1 &>> shift) & 0x0303_0303) &<< 2
  bits |= ((words.2 &>> shift) & 0x0303_0303) &<< 4
  bits |= ((words.3 &>> shift) & 0x0303_0303) &<< 6
  return bits
}

extension Octet {
  /// Bit `shift` of every byte: those of word j become bit j.
  @inline(__always)
  func topBits(_ shift: UInt32) -> Words {
    var bits = (low.0 &>> shift) & 0x0101_0101
    bits |= ((low.1 &>> shift) & 0x0101_0101) &<< 1
    bits |= ((low.2 &>> shift) & 0x0101_0101) &<< 2
    bits |= ((low.3 &>> shift) & 0x0101_0101) &<< 3
    bits |= ((high.0 &>> shift) & 0x0101_0101) &<< 4
    bits |= ((high.1 &>> shift) & 0x0101_0101) &<< 5
    bits |= ((high.2 &>> shift) & 0x0101_0101) &<< 6
    bits |= ((high.3 &>> shift) & 0x0101_0101) &<< 7
    return bits
  }
}
