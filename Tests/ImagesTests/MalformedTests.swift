import OccamCore
import OccamImages
import Testing

@Suite("Damaged files are refused, never trapped on")
struct MalformedTests {
  static let small = [
    "baseline-420-odd.jpg", "progressive-420-odd.jpg", "restart-progressive.jpg", "ycck-420.jpg", "cmyk.jpg",
    "sampling-411-progressive.jpg", "orientation6.jpg", "one-scan-each.jpg", "type-palette-4-adam7.png",
    "type-rgba-16.png", "many-idat.png", "exif-6.png", "fixed-codes.png",
  ]

  @Test("cut anywhere: truncated", arguments: small)
  func cut(_ name: String) throws {
    let bytes = try Goldens.bytes(name)
    for length in 1..<bytes.count {
      #expect(outcome(Array(bytes[..<length])) == .truncated, "\(name) cut after \(length) bytes")
    }
  }

  @Test("flipped bits: a picture or an error", arguments: small)
  func flips(_ name: String) throws {
    let bytes = try Goldens.bytes(name)
    var generator = SeededGenerator(seed: 77)
    var refused = 0
    let limits = ImageLimits(pixels: 1 << 20)
    for round in 0..<1500 {
      var damaged = bytes
      for _ in 0...round % 4 {
        let place = Int(generator.next() % UInt64(bytes.count * 8))
        damaged[place / 8] ^= 1 << UInt8(place % 8)
      }
      if case .image = outcome(damaged, limits: limits) { continue }
      refused += 1
    }
    // PNG notices every flip; JPEG has no check value, but much of a file is structure.
    #expect(name.hasSuffix("png") ? refused > 1450 : refused > 100)
  }

  @Test("bytes of chance behind a signature: an error", arguments: ["jpg", "png"])
  func noise(_ kind: String) {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<500 {
      let start = kind == "jpg" ? [0xFF, 0xD8, 0xFF] : FileBuilder.pngSignature
      let bytes = start + (0..<200).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      if case .image = outcome(bytes) { Issue.record("noise is no picture") }
    }
  }

  @Test("errors name the subject")
  func subject() {
    #expect(throws: ImageError.notAnImage(subject: "cat.jpg", reason: "it is empty")) {
      try decodeImage([UInt8](), subject: "cat.jpg")
    }
    let error = ImageError.tooLarge(subject: "cat.jpg", width: 20_000, height: 9, limit: "16384 pixels per side")
    #expect(error.description == "'cat.jpg' is too large: 20000x9, the limit is 16384 pixels per side")
  }

  @Test("what is neither JPEG nor PNG")
  func otherFormats() {
    #expect(outcome([]) == .notAnImage)
    #expect(outcome([0]) == .notAnImage)
    #expect(outcome(Array("GGUF....".utf8)) == .notAnImage)
    #expect(outcome(Array("GIF89a..".utf8)) == .unsupported)
    #expect(outcome(Array("RIFF....WEBPVP8 ".utf8)) == .unsupported)
    #expect(outcome(Array("BM......".utf8)) == .unsupported)
    #expect(outcome([0xFF]) == .truncated)
    #expect(outcome([0x89, 0x50]) == .truncated)
  }

  @Test("sizes: zero, one, at the limits and one over")
  func sizes() {
    typealias F = FileBuilder
    #expect(outcome(F.png(F.header(0, 5))) == .corrupt)
    #expect(outcome(F.png(F.header(5, 0))) == .corrupt)
    #expect(outcome(F.png(F.header(20_000, 20_000))) == .tooLarge)
    #expect(outcome(F.png(F.header(16_385, 1))) == .tooLarge)
    #expect(outcome(F.png(F.header(0xFFFF_FFFF, 0xFFFF_FFFF))) == .tooLarge)
    #expect(outcome(F.png(F.header(12_000, 12_000))) == .tooLarge)
    #expect(outcome(F.jpeg(F.frame(20_000, 20_000))) == .tooLarge)
    #expect(outcome(F.jpeg(F.frame(0, 8))) == .corrupt)
    // Within the limits, but with next to no data: refused before the pixels are allocated.
    #expect(outcome(F.png(F.header(9_000, 9_000), F.chunk("IDAT", F.stored([1])))) == .truncated)
    #expect(outcome(F.jpeg(F.frame(9_000, 9_000))) == .truncated)
    #expect(outcome(F.jpeg(F.frame(9_000, 9_000, marker: 0xC2))) == .truncated)
    let row = F.png(F.header(6, 1), F.chunk("IDAT", F.stored([UInt8](repeating: 0, count: 19))))
    #expect(outcome(row, limits: ImageLimits(pixels: 6)) == .image(6, 1))
    #expect(outcome(row, limits: ImageLimits(pixels: 5)) == .tooLarge)
    #expect(outcome(row, limits: ImageLimits(side: 6)) == .image(6, 1))
    #expect(outcome(row, limits: ImageLimits(side: 5)) == .tooLarge)
  }
}
