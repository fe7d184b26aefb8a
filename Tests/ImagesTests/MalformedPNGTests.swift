import OccamImages
import Testing

@Suite("Hostile PNG files")
struct MalformedPNGTests {
  private typealias F = FileBuilder

  private func png(_ zlib: [UInt8], _ header: [UInt8] = F.header(2, 2)) -> Outcome {
    outcome(F.png(header, F.chunk("IDAT", zlib)))
  }

  private let raw: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]

  @Test("the hand-made file is good before it is damaged")
  func good() { #expect(png(F.stored(raw)) == .image(2, 2)) }

  @Test("a wrong CRC anywhere, a wrong Adler-32")
  func checkValues() throws {
    let file = F.png(F.header(2, 2), F.chunk("IDAT", F.stored(raw)))
    // The last CRC byte of IHDR, of IDAT and of IEND.
    for place in [8 + 24, file.count - 13, file.count - 1] {
      var damaged = file
      damaged[place] ^= 1
      #expect(outcome(damaged) == .corrupt)
    }
    var zlib = F.stored(raw)
    zlib[zlib.count - 1] ^= 1
    #expect(png(zlib) == .corrupt)
  }

  @Test("too much or too little data")
  func wrongAmount() {
    #expect(png(F.stored(raw + [0])) == .corrupt)
    #expect(png(F.stored(Array(raw.dropLast()))) == .corrupt)
    #expect(png(Array(F.stored(raw).dropLast(5))) == .truncated)
    #expect(outcome(F.png(F.header(2, 2))) == .truncated)
    // One literal, then matches of length 258 and distance 1 that would fill a megabyte: stopped at 14 bytes.
    var bomb: [(Int, Int)] = [(1, 1), (1, 2), (0b0000_1100, 8)]
    for _ in 0..<4000 { bomb += [(0b1010_0011, 8), (0, 5)] }
    #expect(png([0x78, 0x01] + F.deflateBits(bomb)) == .corrupt)
  }

  @Test("bad compressed data")
  func badDeflate() {
    let cases: [(String, [(Int, Int)])] = [
      ("block type 3", [(1, 1), (3, 2)]),
      ("distance before the start", [(1, 1), (1, 2), (0b0100_0000, 7), (0, 5)]),
      ("length symbol 286", [(1, 1), (1, 2), (0b0110_0011, 8), (0, 5)]),
      ("distance symbol 30", [(1, 1), (1, 2), (0b0000_1100, 8), (0b100_0000, 7), (0b01111, 5)]),
      ("287 length codes", [(1, 1), (2, 2), (30, 5), (0, 5), (0, 4), (0, 12)]),
      ("31 distance codes", [(1, 1), (2, 2), (0, 5), (30, 5), (0, 4), (0, 12)]),
      ("over-full code lengths", [(1, 1), (2, 2), (0, 5), (0, 5), (0, 4), (1, 3), (1, 3), (1, 3), (0, 3)]),
      ("repeat with nothing before", [(1, 1), (2, 2), (0, 5), (0, 5), (0, 4), (1, 3), (0, 9), (0, 1), (0, 2)]),
      (
        "no end code",
        [(1, 1), (2, 2), (0, 5), (0, 5), (0, 4), (0, 3), (0, 3), (1, 3), (1, 3)] + [(1, 1), (127, 7)] + [
          (1, 1), (109, 7),
        ]
      ),
      ("stored length without complement", [(1, 1), (0, 2), (0, 5), (4, 16), (4, 16)]),
    ]
    for (name, bits) in cases {
      let padded = [0x78, 0x01] + F.deflateBits(bits) + [UInt8](repeating: 0, count: 40)
      #expect(png(padded) == .corrupt, "\(name)")
    }
    #expect(png([0x79, 0x01, 0]) == .corrupt)
    #expect(png([0x78, 0x02, 0]) == .corrupt)
    #expect(png([0x78, 0x20, 0]) == .corrupt)
    #expect(png([0x78]) == .truncated)
  }

  @Test("headers, palettes, chunk order")
  func structure() {
    let data = F.chunk("IDAT", F.stored(raw))
    #expect(outcome(F.png(F.header(2, 2, depth: 3), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2, depth: 16, colour: 3), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2, colour: 5), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2, interlace: 2), data)) == .unsupported)
    #expect(outcome(F.png(F.chunk("IHDR", [1, 2, 3]), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2), F.header(2, 2), data)) == .corrupt)
    #expect(outcome(F.png(data, F.header(2, 2))) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2, colour: 3), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2), F.chunk("PLTE", [1, 2]), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2), F.chunk("PLTE", .init(repeating: 0, count: 771)), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2), F.chunk("XXXX", []), data)) == .unsupported)
    #expect(outcome(F.png(F.header(2, 2), F.chunk("xXXX", []), data)) == .image(2, 2))
    #expect(outcome(F.png(F.header(2, 2), F.chunk("1234", []), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2), data, F.chunk("tEXt", []), data)) == .corrupt)
    #expect(outcome(F.png(F.header(2, 2), F.chunk("IDAT", F.stored([5] + raw.dropFirst())))) == .corrupt)
  }

  @Test("palette indices past the palette are black")
  func shortPalette() throws {
    let file = F.png(
      F.header(2, 1, colour: 3), F.chunk("PLTE", [9, 8, 7]), F.chunk("IDAT", F.stored([0, 0, 200])))
    #expect(try decodeImage(file, subject: "short palette").pixels == [9, 8, 7, 0, 0, 0])
  }

  @Test("broken EXIF data is ignored")
  func brokenEXIF() {
    let data = F.chunk("IDAT", F.stored([0, 1, 2, 3, 4, 5, 6]))
    let tiffs: [[UInt8]] = [
      [], [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42, 0xFF, 0xFF, 0xFF, 0xFF],
      [0x49, 0x49, 42, 0, 8, 0, 0, 0, 0xFF, 0xFF],
      [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 9, 0, 0],
    ]
    for tiff in tiffs { #expect(outcome(F.png(F.header(2, 1), F.chunk("eXIf", tiff), data)) == .image(2, 1)) }
    let turned: [UInt8] = [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]
    #expect(outcome(F.png(F.header(2, 1), F.chunk("eXIf", turned), data)) == .image(1, 2))
  }
}
