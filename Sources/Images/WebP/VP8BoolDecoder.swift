/// The arithmetic decoder of VP8 (RFC 6386, section 7).
struct VP8BoolDecoder {
  private let data: ByteSource
  private var position = 0
  /// Bits loaded and not decoded: the top 8 of `bits` + 8 are compared with the split.
  private var value: UInt64 = 0
  private var range: UInt32 = 255
  /// Bits loaded beyond those 8; negative when more must be loaded.
  private var bits = -8
  /// A byte behind the end was asked for, which counts as zero.
  private(set) var isExhausted = false

  init(_ data: ByteSource) { self.data = data }

  @inline(never)
  private mutating func load() {
    if position &+ 7 <= data.count {
      var word: UInt64 = 0
      for index in 0..<7 { word = word &<< 8 | UInt64(data.base[position &+ index]) }
      position &+= 7
      value = value &<< 56 | word
      bits &+= 56
    } else {
      var byte: UInt64 = 0
      if position < data.count {
        byte = UInt64(data.base[position])
        position &+= 1
      } else {
        isExhausted = true
      }
      value = value &<< 8 | byte
      bits &+= 8
    }
  }

  /// A bit that is 0 with a probability of `probability` / 256.
  @inline(__always)
  mutating func bit(_ probability: UInt8) -> Bool {
    if bits < 0 { load() }
    let split = 1 &+ (((range &- 1) &* UInt32(probability)) &>> 8)
    let place = UInt64(truncatingIfNeeded: bits)
    let bigSplit = UInt64(split) &<< place
    let isSet = value >= bigSplit
    if isSet {
      value &-= bigSplit
      range &-= split
    } else {
      range = split
    }
    let shift = range.leadingZeroBitCount &- 24
    range = range &<< UInt32(truncatingIfNeeded: shift)
    bits &-= shift
    return isSet
  }

  mutating func flag() -> Bool { bit(128) }

  /// A number of `count` bits, the highest first.
  mutating func number(_ count: Int) -> Int {
    var result = 0
    for _ in 0..<count { result = result << 1 | (flag() ? 1 : 0) }
    return result
  }

  /// A number of `count` bits and a sign, behind a flag that tells whether it is there; else 0.
  mutating func optionalSigned(_ count: Int) -> Int {
    guard flag() else { return 0 }
    let magnitude = number(count)
    return flag() ? -magnitude : magnitude
  }
}
