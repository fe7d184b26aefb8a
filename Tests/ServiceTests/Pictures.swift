import OccamCore
import OccamTestSupport

/// Pictures that the drills make.
enum Pictures {
  private static func little(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// A BMP file's head for 24 bits a pixel, rows from the top.
  static func bmpHead(width: Int, height: Int) -> [UInt8] {
    let size = (width * 3 + 3) / 4 * 4 &* height
    return Array("BM".utf8) + little(54 &+ size, 4) + little(0, 4) + little(54, 4) + little(40, 4) + little(width, 4)
      + little(-height, 4) + little(1, 2) + little(24, 2) + little(0, 4) + little(size, 4) + little(2835, 4)
      + little(2835, 4) + little(0, 8)
  }

  /// A PNG file whose head names another size, with a checksum that is right.
  static func png(_ file: [UInt8], claiming side: Int) -> [UInt8] {
    var file = file
    for (index, byte) in little(side, 4).reversed().enumerated() {
      file[16 + index] = byte
      file[20 + index] = byte
    }
    var checksum: UInt32 = .max
    for byte in file[12..<29] {
      checksum ^= UInt32(byte)
      for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    file.replaceSubrange(29..<33, with: little(Int(~checksum), 4).reversed())
    return file
  }

  /// A small picture like no other of another seed.
  static func drawn(_ seed: Int, side: Int = 48) -> [UInt8] {
    let picture = DrawnPicture(width: side, height: side, seed: seed)
    // Rows of a multiple of four bytes need no filling; blue comes first, which is no matter here.
    return bmpHead(width: side, height: side) + picture.pixels
  }

  /// A chat about one.
  static func chat(_ seed: Int, tokens: Int = 4) -> JSONValue {
    let url = "data:image/bmp;base64,\(Drill.base64(drawn(seed)))"
    return [
      "messages": [
        [
          "role": "user",
          "content": [
            ["type": "image_url", "image_url": ["url": .string(url)]], ["type": "text", "text": "What do you see?"],
          ],
        ]
      ], "temperature": 0, "max_tokens": .integer(tokens), "ignore_eos": true,
    ]
  }
}
