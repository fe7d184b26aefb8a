import Testing

import OccamImages

@Suite("Decoded pictures against Pillow")
struct DecodingTests {
  @Test("the goldens are all there")
  func complete() {
    #expect(Goldens.lines("jpeg").count == 93)
    #expect(Goldens.lines("png").count == 61)
    #expect(Goldens.lines("resize").count == 38)
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

  @Test("a copied picture decodes the same from a raw buffer")
  func rawBuffer() throws {
    let bytes = try Goldens.bytes("baseline-420-odd.jpg")
    let image = try bytes.withUnsafeBytes { try decodeImage($0, subject: "raw") }
    #expect(try image == Goldens.image("baseline-420-odd.jpg"))
  }
}
