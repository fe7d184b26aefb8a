import OccamCore

/// Decodes a WebP lossless image stream (RFC 9649, section 3).
struct VP8LDecoder {
  private var reader: VP8LBitReader
  private var transforms: [VP8LTransform] = []

  init(_ data: ByteSource) { reader = VP8LBitReader(data) }

  struct Header {
    let size: ImageSize
    let hasAlpha: Bool
  }

  /// Reads the signature and the size that stand before the image stream of a VP8L chunk.
  mutating func readHeader() throws(ImageFault) -> Header {
    let signature = reader.number(8)
    let width = reader.number(14) + 1
    let height = reader.number(14) + 1
    let hasAlpha = reader.flag()
    let version = reader.number(3)
    if reader.isExhausted { throw .truncated("its VP8L image has no header") }
    guard signature == 0x2F else { throw .corrupt("its VP8L image has a bad signature") }
    guard version == 0 else { throw .unsupported("VP8L version \(version)") }
    return Header(size: ImageSize(width: width, height: height), hasAlpha: hasAlpha)
  }

  /// Decodes the image stream.
  /// - Returns: pixels as alpha << 24 | red << 16 | green << 8 | blue, 4 bytes each, and how many rows of them were
  ///   there before the data ended or turned out to be damaged, with that damage.
  mutating func decode(
    width: Int, height: Int
  ) throws(ImageFault) -> (pixels: AlignedBuffer<UInt32>, rows: Int, fault: ImageFault?) {
    var storedWidth = width
    while reader.flag() {
      let transform = try readTransform(&storedWidth, height)
      guard !transforms.contains(where: { $0.kind == transform.kind }) else {
        throw .corrupt("it has a transform twice")
      }
      transforms.append(transform)
      if reader.isExhausted { throw Self.cutShort }
    }
    var (pixels, rows, fault) = try readPixels(storedWidth, height, isMain: true)
    for transform in transforms.reversed() { pixels = transform.invert(pixels, rows: rows) }
    return (pixels, rows, fault)
  }

  private static let cutShort = ImageFault.truncated("its lossless data ends early")

  private mutating func readTransform(_ width: inout Int, _ height: Int) throws(ImageFault) -> VP8LTransform {
    let kind = reader.number(2)
    switch kind {
    case 0, 1:
      let bits = reader.number(3) + 2
      let tiles = try readSmall(divideUp(width, 1 << bits), divideUp(height, 1 << bits))
      return VP8LTransform(kind: kind == 0 ? .predictor : .crossColour, width: width, bits: bits, data: tiles)
    case 2: return VP8LTransform(kind: .subtractGreen, width: width, bits: 0, data: AlignedBuffer(count: 0))
    default:
      let colours = reader.number(8) + 1
      let bits = colours > 16 ? 0 : colours > 4 ? 1 : colours > 2 ? 2 : 3
      let sent = try readSmall(colours, 1)
      let palette = AlignedBuffer<UInt32>(count: 1 << (8 >> bits))
      var previous: UInt32 = 0
      for index in 0..<colours {
        previous = addBytes(sent.pointer[index], previous)
        palette.pointer[index] = previous
      }
      let fullWidth = width
      width = divideUp(width, 1 << bits)
      return VP8LTransform(kind: .palette, width: fullWidth, bits: bits, data: palette)
    }
  }

  /// An image inside the image: tiles of a transform, a palette, numbers of code groups. It must be whole.
  private mutating func readSmall(_ width: Int, _ height: Int) throws(ImageFault) -> AlignedBuffer<UInt32> {
    let (pixels, rows, fault) = try readPixels(width, height, isMain: false)
    if let fault { throw fault }
    guard rows == height else { throw Self.cutShort }
    return pixels
  }

  private mutating func readPixels(
    _ width: Int, _ height: Int, isMain: Bool
  ) throws(ImageFault) -> (AlignedBuffer<UInt32>, rows: Int, fault: ImageFault?) {
    var cacheBits = 0
    if reader.flag() {
      cacheBits = reader.number(4)
      guard (1...11).contains(cacheBits) else { throw .corrupt("it has a colour cache of \(cacheBits) bits") }
    }
    var groupBits = 0
    var groups: AlignedBuffer<UInt32>?
    var groupCount = 1
    if isMain, reader.flag() {
      groupBits = reader.number(3) + 2
      let image = try readSmall(divideUp(width, 1 << groupBits), divideUp(height, 1 << groupBits))
      for index in 0..<image.count {
        let number = image.pointer[index] >> 8 & 0xFFFF
        image.pointer[index] = number
        groupCount = max(groupCount, Int(number) + 1)
      }
      groups = image
    }
    var codes = VP8LCodes()
    let greens = 256 + 24 + (cacheBits > 0 ? 1 << cacheBits : 0)
    for _ in 0..<groupCount {
      for alphabet in [greens, 256, 256, 256, 40] { try readCode(alphabet, &codes) }
      if reader.isExhausted { throw Self.cutShort }
    }
    var pass = VP8LPixels(
      width: width, height: height, cacheBits: cacheBits, groupBits: groupBits, groups: groups, codes: codes)
    let fault = pass.read(&reader)
    return (pass.pixels, pass.position / width, fault)
  }

  /// Section 3.7.2.1: the lengths of one prefix code.
  private mutating func readCode(_ alphabet: Int, _ codes: inout VP8LCodes) throws(ImageFault) {
    var lengths = [UInt8](repeating: 0, count: alphabet)
    if reader.flag() {
      let two = reader.flag()
      let first = reader.number(reader.flag() ? 8 : 1)
      let second = two ? reader.number(8) : first
      guard first < alphabet, second < alphabet else { throw .corrupt("a prefix code has a symbol out of range") }
      lengths[first] = 1
      lengths[second] = 1
      return try codes.append(lengths: lengths)
    }
    let order = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    var meta = [UInt8](repeating: 0, count: 19)
    for index in 0..<reader.number(4) + 4 { meta[order[index]] = UInt8(reader.number(3)) }
    var lengthCodes = VP8LCodes()
    try lengthCodes.append(lengths: meta)
    var left = alphabet
    if reader.flag() {
      left = 2 + reader.number(2 + 2 * reader.number(3))
      guard left <= alphabet else { throw .corrupt("a prefix code has too many symbols") }
    }
    var symbol = 0
    var previous: UInt8 = 8
    while symbol < alphabet, left > 0 {
      left -= 1
      reader.refill()
      let length = lengthCodes.read(&reader, 0)
      if length < 16 {
        lengths[symbol] = UInt8(length)
        symbol += 1
        if length != 0 { previous = UInt8(length) }
        continue
      }
      let extra = [2, 3, 7][length - 16]
      let run = reader.number(extra) + (length == 18 ? 11 : 3)
      guard run <= alphabet - symbol else { throw .corrupt("a prefix code has too many lengths") }
      if length == 16 { for index in symbol..<symbol + run { lengths[index] = previous } }
      symbol += run
    }
    if reader.isExhausted { throw Self.cutShort }
    try codes.append(lengths: lengths)
  }
}

/// The pixels of one image: literals, copies of what came before, colours from a cache.
private struct VP8LPixels {
  let width: Int
  let pixels: AlignedBuffer<UInt32>
  /// Pixels decoded.
  private(set) var position = 0
  private let cacheBits: Int
  private let cache: AlignedBuffer<UInt32>
  private let groupBits: Int
  private let groups: AlignedBuffer<UInt32>?
  private let groupsWide: Int
  private let codes: VP8LCodes

  init(width: Int, height: Int, cacheBits: Int, groupBits: Int, groups: AlignedBuffer<UInt32>?, codes: VP8LCodes) {
    self.width = width
    pixels = AlignedBuffer(count: width * height)
    self.cacheBits = cacheBits
    cache = AlignedBuffer(count: 1 << cacheBits)
    self.groupBits = groupBits
    self.groups = groups
    groupsWide = divideUp(width, 1 << groupBits)
    self.codes = codes
  }

  @inline(__always)
  private func remember(_ pixel: UInt32) {
    if cacheBits > 0 {
      cache.pointer[Int(truncatingIfNeeded: (0x1E35_A7BD &* pixel) &>> UInt32(truncatingIfNeeded: 32 &- cacheBits))] =
        pixel
    }
  }

  /// - Returns: what stopped the decoding before the last pixel, nil if nothing did.
  mutating func read(_ reader: inout VP8LBitReader) -> ImageFault? {
    let out = pixels.pointer
    let (count, mask) = (pixels.count, (1 << groupBits) - 1)
    var (x, y) = (0, 0)
    var group = 0
    while position < count {
      if let groups, x & mask == 0 {
        group = 5 * Int(groups.pointer[(y >> groupBits) * groupsWide + x >> groupBits])
      }
      reader.refill()
      let symbol = codes.read(&reader, group)
      if symbol < 256 {
        let red = UInt32(codes.read(&reader, group + 1))
        reader.refill()
        let blue = UInt32(codes.read(&reader, group + 2))
        let alpha = UInt32(codes.read(&reader, group + 3))
        if reader.isExhausted { return .truncated("its lossless data ends early") }
        let pixel = alpha << 24 | red << 16 | UInt32(symbol) << 8 | blue
        out[position] = pixel
        remember(pixel)
        position &+= 1
        x &+= 1
      } else if symbol < 280 {
        let length = prefixed(&reader, symbol - 256)
        reader.refill()
        let distance = planeDistance(prefixed(&reader, codes.read(&reader, group + 4)))
        if reader.isExhausted { return .truncated("its lossless data ends early") }
        guard distance <= position, length <= count - position else {
          return .corrupt("its lossless data copies from or to outside the picture")
        }
        for index in position..<position + length {
          out[index] = out[index - distance]
          remember(out[index])
        }
        position += length
        x += length
        if x >= width {
          y += x / width
          x %= width
        }
        if let groups, x & mask != 0 {
          group = 5 * Int(groups.pointer[(y >> groupBits) * groupsWide + x >> groupBits])
        }
        continue
      } else {
        if reader.isExhausted { return .truncated("its lossless data ends early") }
        let pixel = cache.pointer[symbol - 280]
        out[position] = pixel
        remember(pixel)
        position &+= 1
        x &+= 1
      }
      if x == width {
        x = 0
        y &+= 1
      }
    }
    return nil
  }

  /// A length or a distance code: a prefix and extra bits.
  @inline(__always)
  private func prefixed(_ reader: inout VP8LBitReader, _ symbol: Int) -> Int {
    if symbol < 4 { return symbol + 1 }
    let extra = (symbol - 2) >> 1
    return (2 + symbol & 1) << extra + reader.number(extra) + 1
  }

  private func planeDistance(_ code: Int) -> Int {
    if code > 120 { return code - 120 }
    let place = Int(VP8LPlaneCodes.table.pointer[code - 1])
    return max((place >> 4) * width + 8 - place & 15, 1)
  }
}
