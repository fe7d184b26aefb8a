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
    let error = ImageError.tooLarge(subject: "cat.jpg", width: 70_000, height: 9, limit: "65535 pixels per side")
    #expect(error.description == "'cat.jpg' is too large: 70000x9, the limit is 65535 pixels per side")
  }

  @Test("formats that are not decoded are named by content")
  func otherFormats() {
    #expect(outcome([]) == .notAnImage)
    #expect(outcome([0]) == .notAnImage)
    #expect(outcome(Array("GGUF....".utf8)) == .notAnImage)
    #expect(outcome(Array("RIFF....WAVEfmt ".utf8)) == .notAnImage)
    #expect(outcome(Array("BM......".utf8)) == .notAnImage)
    let others: [(name: String, bytes: [UInt8])] = [
      ("HEIF (HEIC)", [0, 0, 0, 24] + Array("ftypheic".utf8)), ("HEIF (HEIC)", [0, 0, 0, 24] + Array("ftypmif1".utf8)),
      ("AVIF", [0, 0, 0, 24] + Array("ftypavif".utf8)), ("TIFF", [0x49, 0x49, 42, 0]), ("TIFF", [0x4D, 0x4D, 0, 42]),
      ("JPEG XL", [0xFF, 0x0A]), ("JPEG XL", [0, 0, 0, 12] + Array("JXL ".utf8)), ("PDF", Array("%PDF-1.7".utf8)),
      ("SVG", Array("\n<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>".utf8)),
      ("SVG", Array("<svg width='1'/>".utf8)), ("ICO", [0, 0, 1, 0, 1, 0]),
      ("JPEG 2000", [0, 0, 0, 12] + Array("jP  ".utf8)), ("the brand 'mp42'", [0, 0, 0, 24] + Array("ftypmp42".utf8)),
    ]
    for (name, bytes) in others {
      #expect(outcome(bytes) == .unsupported, "\(name)")
      do {
        try checkSignature(bytes, subject: "cat.jpg")
        Issue.record("\(name) is let through")
      } catch {
        #expect(error.description.contains("is \(name)") || error.description.contains(name))
      }
    }
    #expect(outcome(Array("<html><body>not found</body></html>".utf8)) == .notAnImage)
    #expect(outcome([0xFF]) == .truncated)
    #expect(outcome([0x89, 0x50]) == .truncated)
  }

  @Test("sizes: zero, one, at the limits and one over")
  func sizes() {
    typealias F = FileBuilder
    #expect(outcome(F.png(F.header(0, 5))) == .corrupt)
    #expect(outcome(F.png(F.header(5, 0))) == .corrupt)
    #expect(outcome(F.png(F.header(20_000, 20_000))) == .tooLarge)
    #expect(outcome(F.png(F.header(65_536, 1))) == .tooLarge)
    #expect(outcome(F.png(F.header(0xFFFF_FFFF, 0xFFFF_FFFF))) == .tooLarge)
    #expect(outcome(F.png(F.header(17_000, 17_000))) == .tooLarge)
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
