import OccamCore

/// Decompresses a zlib stream (RFC 1950, RFC 1951) piece by piece through a window of its own, so that memory does not
/// depend on the size of what comes out.
///
/// The data may lie in several places (IDAT chunks), which count as one.
struct ZlibStream {
  private enum Block { case none, stored(Int), compressed }

  private var pieces: ArraySlice<ByteSource>
  fileprivate var data: ByteSource
  private var position = 0
  /// Bits read ahead, the next one lowest. Above `available` only bits that a later refill would put there again.
  fileprivate var bits: UInt64 = 0
  private var available = 0
  /// Zero bits made up after the end of the data; using one means that the data is truncated.
  private var invented = 0

  /// The last 32 KiB given out and what is decompressed beyond.
  private let window: AlignedBuffer<UInt8>
  private var written = 0
  private var given = 0
  private var block = Block.none
  private var isLast = false
  private var ended = false
  private var checksum = Adler32()
  /// Damage met behind bytes that have still to be given out.
  private var fault: ImageFault?
  private let literals = DeflateTable(primaryBits: 10)
  private let distances = DeflateTable(primaryBits: 8)

  /// - Parameter expected: about how many bytes will come out; decides about the size of the window only.
  init(_ pieces: [ByteSource], expected: Int) throws(ImageFault) {
    self.pieces = pieces[...]
    data = self.pieces.popFirst() ?? ByteSource(UnsafeRawBufferPointer(start: nil, count: 0))
    window = AlignedBuffer(count: min(expected, 1 << 17) + (1 << 15) + Self.longestMatch, zeroed: false)
    refill()
    let method = take(8)
    let flags = take(8)
    guard !overrun else { throw .truncated("the compressed data has no header") }
    guard method & 15 == 8, method >> 4 <= 7, (method << 8 | flags) % 31 == 0 else {
      throw .corrupt("the compressed data has a bad zlib header")
    }
    guard flags & 32 == 0 else { throw .corrupt("the compressed data asks for a preset dictionary") }
  }

  private static let longestMatch = 258
  private static let cutShort = ImageFault.truncated("the compressed data ends early")

  /// Decompresses the next `count` bytes.
  /// - Returns: how many there were.
  /// - Throws: where the data is damaged, once all that came before was given out.
  mutating func read(_ target: UnsafeMutablePointer<UInt8>, count: Int) throws(ImageFault) -> Int {
    var done = 0
    while done < count {
      if given == written {
        try fill()
        if given == written { break }
      }
      let part = min(count - done, written - given)
      (target + done).update(from: window.pointer + given, count: part)
      given += part
      done += part
    }
    checksum.add(UnsafeBufferPointer(start: target, count: done))
    return done
  }

  /// Whether the stream ends here and its Adler-32 is right.
  /// - Returns: what is wrong, nil if nothing is.
  mutating func faultAtEnd() -> ImageFault? {
    if given == written {
      do throws(ImageFault) { try fill() } catch { return error }
    }
    if given < written { return .corrupt("the compressed data holds more than the picture needs") }
    drop(available & 7)
    var stored = 0
    for _ in 0..<4 {
      refill()
      stored = stored << 8 | take(8)
    }
    if overrun { return .truncated("the compressed data has no check value") }
    return UInt32(stored) == checksum.value
      ? nil : .corrupt("the decompressed data does not match its Adler-32 check value")
  }

  /// Afterwards at least 56 bits are there.
  @inline(__always)
  fileprivate mutating func refill() {
    if position + 8 <= data.count {
      let word = UInt64(littleEndian: UnsafeRawPointer(data.base + position).loadUnaligned(as: UInt64.self))
      bits |= word << UInt64(truncatingIfNeeded: available)
      let taken = (63 &- available) >> 3
      position &+= taken
      available &+= taken &* 8
    } else {
      refillSlowly()
    }
  }

  @inline(never)
  private mutating func refillSlowly() {
    // The fast way leaves bits above `available`, which belong to bytes that are read again here.
    bits &= (1 << UInt64(available)) &- 1
    while available <= 56 {
      while position == data.count, let next = pieces.popFirst() {
        data = next
        position = 0
      }
      if position < data.count {
        bits |= UInt64(data.base[position]) << UInt64(truncatingIfNeeded: available)
        position &+= 1
      } else {
        invented &+= 8
      }
      available &+= 8
    }
  }

  @inline(__always)
  fileprivate mutating func drop(_ count: Int) {
    bits >>= UInt64(truncatingIfNeeded: count)
    available &-= count
  }

  @inline(__always)
  private mutating func take(_ count: Int) -> Int {
    let value = Int(truncatingIfNeeded: bits & ((1 << UInt64(truncatingIfNeeded: count)) &- 1))
    drop(count)
    return value
  }

  private var overrun: Bool { available < invented }

  /// Decompresses until the window is full or the stream ends. Damage is thrown once all before it was given out.
  private mutating func fill() throws(ImageFault) {
    if let fault { throw fault }
    let kept = min(written, 1 << 15)
    window.pointer.update(from: window.pointer + written - kept, count: kept)
    written = kept
    given = kept
    do throws(ImageFault) { try decompressBlocks(upTo: window.count - Self.longestMatch) } catch {
      guard written > given else { throw error }
      fault = error
    }
  }

  private mutating func decompressBlocks(upTo room: Int) throws(ImageFault) {
    while !ended, written < room {
      switch block {
      case .none:
        if isLast {
          ended = true
        } else {
          try startBlock()
        }
      case .stored(let left): copyStored(left, room)
      case .compressed: try decompress(room)
      }
      if overrun { throw Self.cutShort }
    }
  }

  private mutating func startBlock() throws(ImageFault) {
    refill()
    isLast = take(1) == 1
    switch take(2) {
    case 0:
      drop(available & 7)
      refill()
      let length = take(16)
      guard take(16) == length ^ 0xFFFF else {
        throw overrun ? Self.cutShort : .corrupt("a stored block has a bad length")
      }
      block = .stored(length)
    case 1:
      try literals.build(DeflateCodes.fixedLiteralLengths)
      try distances.build(DeflateCodes.fixedDistanceLengths)
      block = .compressed
    case 2:
      try dynamicTables()
      block = .compressed
    default: throw overrun ? Self.cutShort : .corrupt("the compressed data has a block of an unknown type")
    }
  }

  private mutating func copyStored(_ left: Int, _ room: Int) {
    var left = left
    // Bytes that were read ahead first, then as they lie.
    while left > 0, written < room, !overrun {
      if available == 0, position < data.count {
        let part = min(left, room - written, data.count - position)
        (window.pointer + written).update(from: data.base + position, count: part)
        position += part
        written += part
        left -= part
        continue
      }
      if available == 0 { refillSlowly() }
      let byte = UInt8(take(8))
      if overrun { break }
      window.pointer[written] = byte
      written += 1
      left -= 1
      // Bits of bytes that the fast refill has seen but not taken.
      if available == 0 { bits = 0 }
    }
    block = left == 0 ? .none : .stored(left)
  }

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
    if overrun { throw Self.cutShort }
    guard lengths[256] != 0 else { throw .corrupt("a compressed block has no end code") }
    try literals.build(Array(lengths[..<literalCount]))
    try distances.build(Array(lengths[literalCount...]))
  }

  private mutating func decompress(_ room: Int) throws(ImageFault) {
    let out = window.pointer
    while written < room {
      refill()
      let symbol = literals.decode(&self)
      if symbol < 256 {
        guard symbol >= 0 else { throw overrun ? Self.cutShort : .corrupt("the compressed data has a bad code") }
        if overrun { throw Self.cutShort }
        out[written] = UInt8(truncatingIfNeeded: symbol)
        written &+= 1
        continue
      }
      if symbol == 256 {
        block = .none
        return
      }
      let (base, extra) = DeflateCodes.length(symbol)
      guard base > 0 else { throw overrun ? Self.cutShort : .corrupt("the compressed data has a bad length code") }
      let length = base + take(extra)
      // At most 15 + 5 bits are gone of 56, and a distance takes up to 28.
      let distanceSymbol = distances.decode(&self)
      guard distanceSymbol >= 0, distanceSymbol < 30 else {
        throw overrun ? Self.cutShort : .corrupt("the compressed data has a bad distance code")
      }
      let (distanceBase, distanceExtra) = DeflateCodes.distance(distanceSymbol)
      let distance = distanceBase + take(distanceExtra)
      if overrun { throw Self.cutShort }
      guard distance <= written else { throw .corrupt("the compressed data refers to bytes before its start") }
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
  func decode(_ reader: inout ZlibStream) -> Int {
    let entry = primary.pointer[Int(truncatingIfNeeded: reader.bits & ((1 << UInt64(primaryBits)) &- 1))]
    if entry != 0 {
      reader.drop(Int(entry & 15))
      return Int(entry >> 4)
    }
    return decodeLong(&reader)
  }

  private func decodeLong(_ reader: inout ZlibStream) -> Int {
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
