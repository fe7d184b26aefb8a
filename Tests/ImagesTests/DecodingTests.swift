import Testing

import OccamImages

@Suite("Decoded pictures against Pillow")
struct DecodingTests {
  @Test("the goldens are all there")
  func complete() {
    #expect(Goldens.lines("jpeg").count == 93)
    #expect(Goldens.lines("png").count == 61)
    #expect(Goldens.lines("file").count == 113)
    #expect(Goldens.lines("background").count == 6)
    #expect(Goldens.lines("draft").count == 207)
    #expect(Goldens.lines("damaged").count == 23)
    #expect(Goldens.lines("flipped").count == 6)
    #expect(Goldens.lines("resize").count == 76)
    #expect(Goldens.lines("canvas").count == 24)
  }

  @Test("PNG: the exact samples", arguments: Goldens.lines("png"))
  func png(_ line: [String]) throws {
    let image = try Goldens.image("\(line[1]).png")
    #expect(image.width == Int(line[2]) && image.height == Int(line[3]))
    #expect(fingerprint(image.pixels) == line[4])
  }

  @Test("JPEG: the samples of libjpeg-turbo", arguments: Goldens.lines("jpeg"))
  func jpeg(_ line: [String]) throws {
    let image = try Goldens.image("\(line[1]).jpg")
    let expected = try Goldens.image("\(line[1]).png")
    try #require(image.width == expected.width && image.height == expected.height)
    let worst = zip(image.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }.max()
    #expect(worst == 0)
  }

  @Test("WebP, GIF, BMP, PNG with a transparent colour: the exact samples", arguments: Goldens.lines("file"))
  func file(_ line: [String]) throws {
    let result = try decodeImageWithWarnings(Goldens.bytes(line[1]), subject: line[1])
    #expect(result.warnings.isEmpty)
    #expect(result.image.size == ImageSize(width: Int(line[2]) ?? 0, height: Int(line[3]) ?? 0))
    #expect(fingerprint(result.image.pixels) == line[4])
  }

  @Test("transparency on another background", arguments: Goldens.lines("background"))
  func background(_ line: [String]) throws {
    let colour = try #require(RGB(parsing: line[2]))
    let image = try decodeImage(
      Goldens.bytes(line[1]), options: ImageDecodingOptions(background: colour), subject: line[1])
    #expect(fingerprint(image.pixels) == line[3])
  }

  @Test("JPEG scaled while decoding: the samples of libjpeg-turbo", arguments: Goldens.lines("draft"))
  func draft(_ line: [String]) throws {
    let bytes = try Goldens.bytes("\(line[1]).jpg")
    let full = try imageSize(of: bytes, subject: line[1])
    let divisor = try #require(Int(line[2]))
    // The largest picture for which a side twice as long is left at this scale.
    let wanted = ImageSize(
      width: (full.width + divisor - 1) / divisor / 2, height: (full.height + divisor - 1) / divisor / 2)
    let result = try decodeImageWithWarnings(
      bytes, options: ImageDecodingOptions(strict: true, wantedSize: wanted), subject: line[1])
    #expect(result.fullSize == full)
    #expect(result.image.size == ImageSize(width: Int(line[3]) ?? 0, height: Int(line[4]) ?? 0))
    #expect(fingerprint(result.image.pixels) == line[5])
    // One pixel more, and it is not scaled as far.
    let more = ImageSize(width: wanted.width + 1, height: wanted.height)
    let larger = try decodeImage(bytes, options: ImageDecodingOptions(wantedSize: more), subject: line[1])
    #expect(larger.width > result.image.width)
  }

  @Test("a header tells the size of every picture that decodes")
  func sizes() throws {
    let names =
      Goldens.lines("jpeg").map { $0[1] + ".jpg" } + Goldens.lines("png").map { $0[1] + ".png" }
      + ["file", "damaged", "flipped"].flatMap { Goldens.lines($0).map { $0[1] } }
    for name in names {
      let bytes = try Goldens.bytes(name)
      let result = try decodeImageWithWarnings(bytes, subject: name)
      #expect(try imageSize(of: bytes, subject: name) == result.fullSize, "\(name)")
      #expect(result.fullSize == result.image.size)
    }
  }

  @Test("a copied picture decodes the same from a raw buffer")
  func rawBuffer() throws {
    let bytes = try Goldens.bytes("baseline-420-odd.jpg")
    let image = try bytes.withUnsafeBytes { try decodeImage($0, subject: "raw") }
    #expect(try image == Goldens.image("baseline-420-odd.jpg"))
  }
}
