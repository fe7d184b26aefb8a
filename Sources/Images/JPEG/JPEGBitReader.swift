/// Bits of an entropy-coded segment, the first in the high end of `bits`. Stuffed zero bytes are taken out.
///
/// At a marker or the end of the data zero bits are made up, and counted: `overrun` tells whether one was used. What
/// means nothing is read as libjpeg reads it, and `sawBadCode` is set.
struct JPEGBitReader {
  private let data: ByteSource
  /// A code that is in no table was met, or a run of zeros longer than its block.
  var sawBadCode = false
  /// The next byte to load; never beyond the next marker.
  private(set) var position: Int
  private var bits: UInt64 = 0
  private var available = 0
  private var invented = 0
  private var atMarker = false

  init(_ data: ByteSource, start: Int) {
    self.data = data
    position = start
  }

  var overrun: Bool { available < invented }

  /// Afterwards at least 32 bits are there: a code of 16 and a number of 15.
  @inline(__always)
  mutating func refill() {
    if available >= 32 { return }
    if position &+ 8 <= data.count {
      let word = UInt64(bigEndian: UnsafeRawPointer(data.base + position).loadUnaligned(as: UInt64.self))
      let inverted = ~word
      // No byte of the eight is 0xFF.
      if (inverted &- 0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
        bits |= word &>> UInt64(truncatingIfNeeded: available)
        let taken = (63 &- available) &>> 3
        position &+= taken
        available &+= taken &* 8
        return
      }
    }
    refillSlowly()
  }

  @inline(never)
  private mutating func refillSlowly() {
    while available <= 56 {
      var byte: UInt8 = 0
      if !atMarker, position < data.count {
        byte = data.base[position]
        if byte != 0xFF {
          position += 1
        } else {
          // Any number of fill bytes 0xFF may stand before the byte that decides.
          var next = position + 1
          while next < data.count, data.base[next] == 0xFF { next += 1 }
          if next < data.count, data.base[next] == 0 {
            position = next + 1
          } else {
            atMarker = true
          }
        }
      } else {
        atMarker = true
      }
      if atMarker {
        byte = 0
        invented &+= 8
      }
      bits |= UInt64(byte) << UInt64(56 - available)
      available += 8
    }
  }

  @inline(__always)
  mutating func drop(_ count: Int) {
    bits = bits &<< UInt64(truncatingIfNeeded: count)
    available &-= count
  }

  /// The next `count` (1...16) bits as a number. They must be there.
  @inline(__always)
  mutating func take(_ count: Int) -> Int {
    let value = Int(truncatingIfNeeded: bits &>> UInt64(truncatingIfNeeded: 64 &- count))
    drop(count)
    return value
  }

  /// A number of `size` (0...15) bits whose first bit tells the sign (ITU-T T.81, F.2.2.1, EXTEND).
  @inline(__always)
  mutating func takeSigned(_ size: Int) -> Int {
    if size == 0 { return 0 }
    let value = take(size)
    return value &>> (size &- 1) != 0 ? value : value &- (1 &<< size) &+ 1
  }

  @inline(__always)
  mutating func bit() -> Bool { take(1) != 0 }

  /// The next symbol; 0 where no code matches, and 17 bits are gone then as in libjpeg. At least 17 bits must be there.
  @inline(__always)
  mutating func symbol(_ table: JPEGHuffmanTable.Codes) -> Int {
    let shift = UInt64(64 - JPEGHuffmanTable.lookupBits)
    let entry = Int(table.lookup[Int(truncatingIfNeeded: bits &>> shift)])
    if entry != 0 {
      drop(entry &>> 8)
      return entry & 0xFF
    }
    return longSymbol(table)
  }

  @inline(never)
  private mutating func longSymbol(_ table: JPEGHuffmanTable.Codes) -> Int {
    let next = Int(bits >> 48)
    var length = JPEGHuffmanTable.lookupBits + 1
    while next >= table.limit[length] { length += 1 }
    guard length <= 16 else {
      drop(17)
      sawBadCode = true
      return 0
    }
    let index = next >> (16 - length) + table.offset[length]
    drop(length)
    guard index >= 0, index < 256 else {
      sawBadCode = true
      return 0
    }
    return Int(table.symbols[index])
  }

  /// Goes on at a byte boundary, as data does behind a restart marker.
  /// - Returns: whether data is left before the next marker.
  mutating func alignToByte() -> Bool {
    if overrun { return false }
    drop(available & 7)
    refill()
    return available > invented
  }

  /// Forgets what was read ahead and finds the next marker.
  /// - Returns: the offset of the marker's 0xFF, the last of several, or nil at the end of the data.
  mutating func nextMarker() -> Int? {
    var index = position
    while index + 1 < data.count {
      if data.base[index] == 0xFF, data.base[index + 1] != 0, data.base[index + 1] != 0xFF { break }
      index += 1
    }
    let found = index + 1 < data.count
    move(to: found ? index : data.count)
    return found ? index : nil
  }

  mutating func move(to offset: Int) {
    position = offset
    bits = 0
    available = 0
    invented = 0
    atMarker = false
  }

  /// Whether reading stopped at the end of the file and not at a marker.
  var isAtEnd: Bool { position + 1 >= data.count }
}
