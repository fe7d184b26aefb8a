/// Hand-made PNG and JPEG files for the hostile cases.
enum FileBuilder {
  static func bigEndian(_ value: Int, bytes: Int) -> [UInt8] {
    (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  /// CRC-32, bit by bit, independent of the decoder's tables.
  static func crc(_ bytes: [UInt8]) -> Int {
    var value: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value & 1 != 0 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
    return Int(~value)
  }

  static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + content
    return bigEndian(content.count, bytes: 4) + body + bigEndian(crc(body), bytes: 4)
  }

  static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  static func header(
    _ width: Int, _ height: Int, depth: UInt8 = 8, colour: UInt8 = 2, interlace: UInt8 = 0
  ) -> [UInt8] {
    chunk("IHDR", bigEndian(width, bytes: 4) + bigEndian(height, bytes: 4) + [depth, colour, 0, 0, interlace])
  }

  /// A zlib stream of stored blocks.
  static func stored(_ raw: [UInt8]) -> [UInt8] {
    var (a, b) = (1, 0)
    for byte in raw { (a, b) = ((a + Int(byte)) % 65521, (b + a + Int(byte)) % 65521) }
    let size = [UInt8(raw.count & 255), UInt8(raw.count >> 8)]
    return [0x78, 0x01, 1] + size + size.map { ~$0 } + raw + bigEndian(b << 16 | a, bytes: 4)
  }

  static func png(_ chunks: [UInt8]...) -> [UInt8] { pngSignature + chunks.flatMap { $0 } + chunk("IEND", []) }

  /// Turns a list of (bits, width) into bytes, lowest bit first, as deflate wants it.
  static func deflateBits(_ parts: [(Int, Int)]) -> [UInt8] {
    var bits: [Int] = []
    for (value, width) in parts { for bit in 0..<width { bits.append(value >> bit & 1) } }
    while bits.count % 8 != 0 { bits.append(0) }
    return stride(from: 0, to: bits.count, by: 8).map { start in
      UInt8((0..<8).reduce(0) { $0 | bits[start + $1] << $1 })
    }
  }

  static func segment(_ marker: UInt8, _ content: [UInt8]) -> [UInt8] {
    [0xFF, marker] + bigEndian(content.count + 2, bytes: 2) + content
  }

  static func frame(
    _ width: Int, _ height: Int, marker: UInt8 = 0xC0, precision: UInt8 = 8, sampling: [UInt8] = [0x11],
    identifiers: [UInt8] = [1, 2, 3, 4]
  ) -> [UInt8] {
    segment(
      marker,
      [precision] + bigEndian(height, bytes: 2) + bigEndian(width, bytes: 2) + [UInt8(sampling.count)]
        + zip(identifiers, sampling).flatMap { [$0, $1, 0] })
  }

  static let quant = segment(0xDB, [0] + [UInt8](repeating: 1, count: 64))

  /// One code of one bit, meaning symbol 0, in DC and AC table 0.
  static let zeroTables =
    segment(0xC4, [0x00, 1] + [UInt8](repeating: 0, count: 15) + [0])
    + segment(0xC4, [0x10, 1] + [UInt8](repeating: 0, count: 15) + [0])

  /// A scan of component 1.
  static func scan(
    _ data: [UInt8], first: UInt8 = 0, last: UInt8 = 63, bits: UInt8 = 0
  ) -> [UInt8] { segment(0xDA, [1, 1, 0x00, first, last, bits]) + data }

  static func jpeg(_ parts: [UInt8]...) -> [UInt8] { [0xFF, 0xD8] + parts.flatMap { $0 } + [0xFF, 0xD9] }
}
