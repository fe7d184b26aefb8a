import OccamCore

/// Decompresses a zlib stream (RFC 1950, RFC 1951) of known size.
///
/// Compressed data that goes on past `expected` bytes is refused at that point, so that a small file cannot ask for more
/// memory or time than its picture needs.
/// - Returns: exactly `expected` bytes, their Adler-32 verified.
func inflateZlib(_ data: ByteSource, expected: Int) throws(ImageFault) -> AlignedBuffer<UInt8> {
  guard let method = data.byte(0), let flags = data.byte(1) else {
    throw .truncated("the compressed data has no header")
  }
  guard method & 15 == 8, method >> 4 <= 7, (method << 8 | flags) % 31 == 0 else {
    throw .corrupt("the compressed data has a bad zlib header")
  }
  guard flags & 32 == 0 else { throw .corrupt("the compressed data asks for a preset dictionary") }
  let output = AlignedBuffer<UInt8>(count: expected, zeroed: false)
  var inflater = Inflater(data, start: 2, output: output)
  try inflater.run()
  guard inflater.written == expected else { throw .corrupt("the compressed data ends before the picture does") }
  guard let stored = data.bigEndian32(inflater.bytePosition) else {
    throw .truncated("the compressed data has no check value")
  }
  guard adler32(UnsafeBufferPointer(output.buffer)) == UInt32(stored) else {
    throw .corrupt("the decompressed data does not match its Adler-32 check value")
  }
  return output
}

private struct Inflater {
  let data: ByteSource
  let output: AlignedBuffer<UInt8>
  var position: Int
  /// Bits read ahead, the next one lowest. Above `available` only bits that a later refill would put there again.
  var bits: UInt64 = 0
  var available = 0
  /// Zero bits made up after the end of the data; using one means that the data is truncated.
  var invented = 0
  var written = 0
  let literals = DeflateTable(primaryBits: 10)
  let distances = DeflateTable(primaryBits: 8)

  init(_ data: ByteSource, start: Int, output: AlignedBuffer<UInt8>) {
    self.data = data
    self.output = output
    position = start
  }

  /// The first byte not touched, once a stream has ended.
  var bytePosition: Int { position - max(available - invented, 0) / 8 }

  /// Afterwards at least 56 bits are there.
  @inline(__always)
  mutating func refill() {
    if position + 8 <= data.count {
      let word = UInt64(littleEndian: UnsafeRawPointer(data.base + position).loadUnaligned(as: UInt64.self))
      bits |= word << UInt64(truncatingIfNeeded: available)
      let taken = (63 &- available) >> 3
      position &+= taken
      available &+= taken &* 8
    } else {
      while available <= 56 {
        if position < data.count {
          bits |= UInt64(data.base[position]) << UInt64(truncatingIfNeeded: available)
          position &+= 1
        } else {
          invented &+= 8
        }
        available &+= 8
      }
    }
  }

  @inline(__always)
  mutating func drop(_ count: Int) {
    bits >>= UInt64(truncatingIfNeeded: count)
    available &-= count
  }

  @inline(__always)
  mutating func take(_ count: Int) -> Int {
    let value = Int(truncatingIfNeeded: bits & ((1 << UInt64(truncatingIfNeeded: count)) &- 1))
    drop(count)
    return value
  }

  var overrun: Bool { available < invented }

  mutating func run() throws(ImageFault) {
    var last = false
    while !last {
      refill()
      last = take(1) == 1
      switch take(2) {
      case 0: try stored()
      case 1:
        try literals.build(DeflateCodes.fixedLiteralLengths)
        try distances.build(DeflateCodes.fixedDistanceLengths)
        try compressed()
      case 2:
        try dynamicTables()
        try compressed()
      default: throw .corrupt("the compressed data has a block of an unknown type")
      }
      if overrun { throw .truncated("the compressed data ends early") }
    }
  }

  private mutating func stored() throws(ImageFault) {
    drop(available & 7)
    refill()
    let length = take(16)
    guard take(16) == length ^ 0xFFFF else {
      throw overrun ? .truncated("the compressed data ends early") : .corrupt("a stored block has a bad length")
    }
    // Give back what was read ahead and copy bytes.
    position = bytePosition
    bits = 0
    available = 0
    invented = 0
    guard length <= data.count - position else { throw .truncated("the compressed data ends early") }
    guard length <= output.count - written else { throw tooMuch }
    (output.pointer + written).update(from: data.base + position, count: length)
    written += length
    position += length
  }

  private var tooMuch: ImageFault { .corrupt("the compressed data holds more than the picture needs") }

  private mutating func dynamicTables() throws(ImageFault) {
    refill()
    let literalCount = take(5) + 257
    let distanceCount = take(5) + 1
    let lengthCount = take(4) + 4
    guard literalCount <= 286, distanceCount <= 30 else { throw .corrupt("a compressed block has too many codes") }
    var codeLengths = [UInt8](repeating: 0, count: 19)
    for index in 0..<lengthCount {
      refill()
      codeLengths[DeflateCodes.lengthOrder[index]] = UInt8(take(3))
    }
    try literals.build(codeLengths)
    var lengths: [UInt8] = []
    let total = literalCount + distanceCount
    while lengths.count < total {
      refill()
      let symbol = literals.decode(&self)
      guard symbol >= 0 else { throw .corrupt("a compressed block has a bad code length") }
      var value: UInt8 = 0
      var run = 1
      switch symbol {
      case 0..<16: value = UInt8(symbol)
      case 16:
        guard let previous = lengths.last else { throw .corrupt("a compressed block repeats no code length") }
        value = previous
        run = 3 + take(2)
      case 17: run = 3 + take(3)
      default: run = 11 + take(7)
      }
      guard run <= total - lengths.count else { throw .corrupt("a compressed block has too many code lengths") }
      lengths.append(contentsOf: repeatElement(value, count: run))
    }
    guard lengths[256] != 0 else { throw .corrupt("a compressed block has no end code") }
    try literals.build(Array(lengths[..<literalCount]))
    try distances.build(Array(lengths[literalCount...]))
  }

  private mutating func compressed() throws(ImageFault) {
    let out = output.pointer
    let limit = output.count
    while true {
      refill()
      let symbol = literals.decode(&self)
      if symbol < 256 {
        guard symbol >= 0 else {
          throw overrun ? .truncated("the compressed data ends early") : .corrupt("the compressed data has a bad code")
        }
        guard written < limit else { throw overrun ? .truncated("the compressed data ends early") : tooMuch }
        out[written] = UInt8(truncatingIfNeeded: symbol)
        written &+= 1
        continue
      }
      if symbol == 256 { return }
      let (base, extra) = DeflateCodes.length(symbol)
      guard base > 0 else { throw .corrupt("the compressed data has a bad length code") }
      let length = base + take(extra)
      // At most 15 + 5 bits are gone of 56, and a distance takes up to 28.
      let distanceSymbol = distances.decode(&self)
      guard distanceSymbol >= 0, distanceSymbol < 30 else {
        throw overrun
          ? .truncated("the compressed data ends early") : .corrupt("the compressed data has a bad distance code")
      }
      let (distanceBase, distanceExtra) = DeflateCodes.distance(distanceSymbol)
      let distance = distanceBase + take(distanceExtra)
      if overrun { throw .truncated("the compressed data ends early") }
      guard distance <= written else { throw .corrupt("the compressed data refers to bytes before its start") }
      guard length <= limit - written else { throw tooMuch }
      let target = out + written
      if distance >= length {
        target.update(from: target - distance, count: length)
      } else {
        for index in 0..<length { target[index] = target[index - distance] }
      }
      written &+= length
    }
  }
}

/// A canonical prefix code, read lowest bit first: a table for the short codes, a bit-by-bit search for longer ones.
private final class DeflateTable {
  private let primaryBits: Int
  /// Symbol << 4 | code length, or 0 where the code is longer than `primaryBits` or does not exist.
  private let primary: AlignedBuffer<UInt16>
  private let symbols = AlignedBuffer<UInt16>(count: 288)
  private let counts = AlignedBuffer<Int>(count: 16)

  init(primaryBits: Int) {
    self.primaryBits = primaryBits
    primary = AlignedBuffer(count: 1 << primaryBits)
  }

  /// - Parameter lengths: code length of each symbol, 0...15, at most 288 of them.
  func build(_ lengths: [UInt8]) throws(ImageFault) {
    for length in 0..<16 { counts.pointer[length] = 0 }
    for length in lengths { counts.pointer[Int(length)] += 1 }
    counts.pointer[0] = 0
    var room = 1
    var next = [Int](repeating: 0, count: 17)
    var code = [Int](repeating: 0, count: 17)
    for length in 1...15 {
      room = room << 1 - counts.pointer[length]
      guard room >= 0 else { throw .corrupt("a compressed block has too many short codes") }
      next[length + 1] = next[length] + counts.pointer[length]
      code[length + 1] = (code[length] + counts.pointer[length]) << 1
    }
    // Incomplete codes are left to fail where the missing code is met; a lone distance code is legal.
    primary.buffer.update(repeating: 0)
    for (symbol, length) in lengths.enumerated() where length != 0 {
      let length = Int(length)
      symbols.pointer[next[length]] = UInt16(symbol)
      next[length] += 1
      if length <= primaryBits {
        var reversed = 0
        for bit in 0..<length where code[length] >> bit & 1 != 0 { reversed |= 1 << (length - 1 - bit) }
        while reversed < 1 << primaryBits {
          primary.pointer[reversed] = UInt16(symbol << 4 | length)
          reversed += 1 << length
        }
      }
      code[length] += 1
    }
  }

  /// The next symbol, or -1 where no code matches. At least 15 bits must be there.
  @inline(__always)
  func decode(_ reader: inout Inflater) -> Int {
    let entry = primary.pointer[Int(truncatingIfNeeded: reader.bits & ((1 << UInt64(primaryBits)) &- 1))]
    if entry != 0 {
      reader.drop(Int(entry & 15))
      return Int(entry >> 4)
    }
    return decodeLong(&reader)
  }

  private func decodeLong(_ reader: inout Inflater) -> Int {
    var code = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      code |= Int(reader.bits >> UInt64(length - 1) & 1)
      let count = counts.pointer[length]
      if code - first < count {
        reader.drop(length)
        return Int(symbols.pointer[index + code - first])
      }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    return -1
  }
}
