// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamImages Sources/Images
// fuzz-corpus: Tests/Goldens/images/*.png
import OccamImages

/// Any bytes are a picture or a typed error. Check values would stop nearly every mutation at the door, so the same
/// bytes are also tried with their CRCs repaired, and as the raw rows of a file that is otherwise right.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPNG(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  attempt(bytes)
  attempt(repairingCRCs(bytes))
  attempt(wrapping(bytes))
  return 0
}

/// The small pixel limit keeps the inputs per second high.
func attempt(_ bytes: [UInt8]) {
  var options = ImageDecodingOptions(limits: ImageLimits(pixels: 1 << 16))
  guard let result = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz") else { return }
  precondition(result.image.pixels.count == result.image.width * result.image.height * 3)
  precondition((try? imageSize(of: bytes, limits: options.limits, subject: "fuzz")) == result.image.size)
  options.strict = true
  let strict = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz")
  precondition(strict == (result.warnings.isEmpty ? result : nil))
}

let crcTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in value & 1 != 0 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
}

func crc(_ bytes: ArraySlice<UInt8>) -> UInt32 {
  ~bytes.reduce(0xFFFF_FFFF) { crcTable[Int(($0 ^ UInt32($1)) & 255)] ^ ($0 >> 8) }
}

func bigEndian(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

func repairingCRCs(_ bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  var position = 8
  while position + 12 <= bytes.count {
    let length = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
    guard length <= bytes.count - position - 12 else { break }
    let end = position + 8 + length
    bytes.replaceSubrange(end..<end + 4, with: bigEndian(crc(bytes[position + 4..<end])))
    position = end + 4
  }
  return bytes
}

func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
  let body = Array(name.utf8) + content
  return bigEndian(UInt32(content.count)) + body + bigEndian(crc(body[...]))
}

/// A file whose kind and size the first four bytes choose and whose rows the rest fills, in one stored block.
func wrapping(_ bytes: [UInt8]) -> [UInt8] {
  guard bytes.count >= 5 else { return bytes }
  let kinds: [(colour: UInt8, depth: UInt8, channels: Int)] = [
    (0, 1, 1), (0, 2, 1), (0, 4, 1), (0, 8, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3), (3, 1, 1), (3, 2, 1), (3, 4, 1),
    (3, 8, 1), (4, 8, 2), (4, 16, 2), (6, 8, 4), (6, 16, 4),
  ]
  let kind = kinds[Int(bytes[0]) % kinds.count]
  let (width, height) = (Int(bytes[1]) % 40 + 1, Int(bytes[2]) % 40 + 1)
  let interlaced = bytes[3] & 1 == 1
  let adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
  var raw: [UInt8] = []
  var next = 4
  for (x, y, stepX, stepY) in interlaced ? adam7 : [(0, 0, 1, 1)] where width > x && height > y {
    let columns = (width - x + stepX - 1) / stepX
    for _ in 0..<(height - y + stepY - 1) / stepY {
      raw.append(bytes[next % bytes.count] % 5)
      for index in 0..<(columns * kind.channels * Int(kind.depth) + 7) / 8 {
        raw.append(bytes[(next + index) % bytes.count])
      }
      next += 7
    }
  }
  var (a, b) = (UInt32(1), UInt32(0))
  for byte in raw {
    a = (a + UInt32(byte)) % 65521
    b = (b + a) % 65521
  }
  var zlib: [UInt8] = [0x78, 0x01]
  for start in stride(from: 0, to: raw.count, by: 1000) {
    let part = raw[start..<min(start + 1000, raw.count)]
    let size = [UInt8(truncatingIfNeeded: part.count), UInt8(part.count >> 8)]
    zlib += [start + 1000 >= raw.count ? 1 : 0] + size + size.map { ~$0 } + part
  }
  zlib += bigEndian(b << 16 | a)
  let header =
    bigEndian(UInt32(width)) + bigEndian(UInt32(height)) + [kind.depth, kind.colour, 0, 0, interlaced ? 1 : 0]
  let palette = chunk("PLTE", [UInt8](repeating: bytes[3], count: 3 * (Int(bytes[3]) % 256 + 1)))
  return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", header) + palette + chunk("IDAT", zlib)
    + chunk("IEND", [])
}
