import OccamImages
import Testing

@Suite("Hostile JPEG files")
struct MalformedJPEGTests {
  private typealias F = FileBuilder

  /// An 8 x 8 grey block: one bit of DC, one bit of end of block.
  private let good = F.jpeg(F.quant, F.frame(8, 8), F.zeroTables, F.scan([0x3F]))

  @Test("the hand-made file is good before it is damaged")
  func handMade() throws {
    let image = try decodeImage(good, subject: "grey")
    #expect(image == Image(width: 8, height: 8, filledWith: (128, 128, 128)))
  }

  @Test("kinds that are not decoded are named so")
  func unsupported() {
    for marker: UInt8 in [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF] {
      #expect(outcome(F.jpeg(F.quant, F.frame(8, 8, marker: marker))) == .unsupported)
    }
    #expect(outcome(F.jpeg(F.frame(8, 8, precision: 12))) == .unsupported)
    #expect(outcome(F.jpeg(F.frame(8, 0))) == .unsupported)
    #expect(outcome(F.jpeg(F.frame(8, 8, sampling: [0x11, 0x11]))) == .unsupported)
  }

  @Test("frame headers")
  func frames() {
    let rest = F.quant + F.zeroTables + F.scan([0x3F])
    #expect(outcome(F.jpeg(F.frame(8, 8, sampling: [0x01]), rest)) == .corrupt)
    #expect(outcome(F.jpeg(F.frame(8, 8, sampling: [0x15]), rest)) == .corrupt)
    #expect(outcome(F.jpeg(F.frame(8, 8, sampling: [0x11, 0x11, 0x11], identifiers: [1, 1, 2]), rest)) == .corrupt)
    #expect(outcome(F.jpeg(F.segment(0xC0, [8, 0, 8]), rest)) == .corrupt)
    #expect(outcome(F.jpeg(F.segment(0xC0, [8, 0, 8, 0, 8, 3, 1, 0x11, 0]), rest)) == .corrupt)
    #expect(outcome(F.jpeg(F.segment(0xC0, [8, 0, 8, 0, 8, 1, 1, 0x11, 4]), rest)) == .corrupt)
    #expect(outcome(F.jpeg(F.frame(8, 8), F.frame(8, 8), rest)) == .corrupt)
    #expect(outcome(F.jpeg()) == .corrupt)
    #expect(outcome(F.jpeg(F.quant, F.frame(8, 8))) == .corrupt)
    #expect(outcome([0xFF, 0xD8, 0xFF, 0xE0, 0, 1, 0xFF, 0xD9]) == .corrupt)
  }

  @Test("tables")
  func tables() {
    let frame = F.frame(8, 8)
    let scan = F.scan([0x3F])
    func huffman(_ content: [UInt8]) -> Outcome {
      outcome(F.jpeg(F.quant, frame, F.zeroTables, F.segment(0xC4, content), scan))
    }
    let none = [UInt8](repeating: 0, count: 15)
    #expect(huffman([0x00, 3] + none + [0, 1, 2]) == .corrupt, "three codes of one bit")
    #expect(huffman([0x00, 2, 1] + none.dropLast() + [0, 1, 2]) == .corrupt, "no room for the third code")
    #expect(huffman([0x00, 1] + none) == .corrupt, "no value")
    #expect(huffman([0x04, 1] + none + [0]) == .corrupt, "table 4")
    #expect(huffman([0x20, 1] + none + [0]) == .corrupt, "class 2")
    #expect(huffman([0x00, 1] + none + [16]) == .corrupt, "a DC difference of 16 bits")
    #expect(huffman([0x00, 1, 2]) == .corrupt, "too short")
    #expect(huffman([0x10] + [UInt8](repeating: 255, count: 16)) == .corrupt, "4080 codes")
    #expect(
      outcome(F.jpeg(F.segment(0xDB, [0x04] + .init(repeating: 1, count: 64)), frame, F.zeroTables, scan)) == .corrupt)
    #expect(
      outcome(F.jpeg(F.segment(0xDB, [0x10] + .init(repeating: 1, count: 64)), frame, F.zeroTables, scan)) == .corrupt)
    #expect(outcome(F.jpeg(frame, F.zeroTables, scan)) == .corrupt, "no quantisation table")
    #expect(outcome(F.jpeg(F.quant, frame, scan)) == .corrupt, "no Huffman table")
    #expect(outcome(F.jpeg(F.quant, F.zeroTables, scan)) == .corrupt, "no frame")
    #expect(outcome(F.jpeg(F.quant, frame, F.segment(0xDD, [1]), F.zeroTables, scan)) == .corrupt)
  }

  @Test("scans")
  func scans() {
    func file(_ scan: [UInt8]) -> Outcome { outcome(F.jpeg(F.quant, F.frame(8, 8), F.zeroTables, scan)) }
    #expect(file(F.scan([0xBF])) == .corrupt, "a code that is in no table")
    #expect(file(F.scan([])) == .corrupt, "a marker where data should be")
    #expect(file(F.scan([0x3F]) + F.scan([0x3F])) == .corrupt, "the same component again")
    #expect(file(F.segment(0xDA, [0, 0, 63, 0])) == .corrupt)
    #expect(file(F.segment(0xDA, [1, 2, 0, 0, 63, 0]) + [0x3F]) == .corrupt, "an unknown component")
    #expect(file(F.segment(0xDA, [2, 1, 0, 1, 0, 0, 63, 0]) + [0x3F]) == .corrupt, "a component twice")
    #expect(file(F.segment(0xDA, [1, 1, 0x44, 0, 63, 0]) + [0x3F]) == .corrupt, "table 4")
    #expect(file(F.segment(0xDA, [1, 1, 0, 0, 63])) == .corrupt, "too short")
    // 3 x 16 blocks in a unit.
    let wide = F.frame(8, 8, sampling: [0x44, 0x44, 0x44])
    let scan = F.segment(0xDA, [3, 1, 0, 2, 0, 3, 0, 0, 63, 0]) + [UInt8](repeating: 0, count: 12)
    #expect(outcome(F.jpeg(F.quant, wide, F.zeroTables, scan)) == .corrupt)
  }

  @Test("restart markers: in order or refused")
  func restarts() {
    func file(_ data: [UInt8]) -> Outcome {
      outcome(F.jpeg(F.quant, F.frame(24, 8), F.segment(0xDD, [0, 1]), F.zeroTables, F.scan(data)))
    }
    #expect(file([0x3F, 0xFF, 0xD0, 0x3F, 0xFF, 0xD1, 0x3F]) == .image(24, 8))
    #expect(file([0x3F, 0xFF, 0xD1, 0x3F, 0xFF, 0xD0, 0x3F]) == .corrupt)
    #expect(file([0x3F, 0xFF, 0xD0, 0x3F]) == .corrupt)
    #expect(file([0x03]) == .corrupt)
  }

  @Test("an AC run past the block's end")
  func longRun() {
    // One AC code of one bit: skip 15, then a number of one bit.
    let tables =
      F.segment(0xC4, [0x00, 1] + [UInt8](repeating: 0, count: 15) + [0])
      + F.segment(0xC4, [0x10, 1] + [UInt8](repeating: 0, count: 15) + [0xF1])
    #expect(outcome(F.jpeg(F.quant, F.frame(8, 8), tables, F.scan([0, 0, 0, 0]))) == .corrupt)
  }

  @Test("progressions: each bit of each coefficient once")
  func progressions() {
    func file(_ scans: [UInt8]..., limits: ImageLimits = ImageLimits()) -> Outcome {
      outcome(
        F.jpeg(F.quant, F.frame(8, 8, marker: 0xC2), F.zeroTables, scans.flatMap { $0 }), limits: limits)
    }
    let dc = F.scan([0x7F], last: 0, bits: 0x01)
    let refine = F.scan([0x7F], last: 0, bits: 0x10)
    let ac = F.scan([0x7F], first: 1)
    #expect(file(dc, refine, ac) == .image(8, 8))
    #expect(file(dc) == .image(8, 8), "libjpeg shows what it has got")
    #expect(file(dc, dc) == .corrupt)
    #expect(file(refine) == .corrupt)
    #expect(file(dc, refine, refine) == .corrupt)
    #expect(file(ac, dc) == .corrupt)
    #expect(file(dc, ac, ac) == .corrupt)
    #expect(file(F.scan([0x7F], first: 0, last: 5)) == .corrupt, "DC and AC in one scan")
    #expect(file(dc, F.scan([0x7F], first: 9, last: 3)) == .corrupt)
    #expect(file(dc, F.scan([0x7F], first: 1, last: 64)) == .corrupt)
    #expect(file(F.scan([0x7F], last: 0, bits: 0x0E)) == .corrupt, "14 low bits")
    #expect(file(F.scan([0x7F], last: 0, bits: 0x31)) == .corrupt, "two bits at once")
    // Every scan is legal, but there are too many.
    var many = dc
    for k: UInt8 in 1..<64 { many += F.scan([0x7F], first: k, last: k) }
    #expect(file(many) == .image(8, 8))
    #expect(file(many, limits: ImageLimits(scans: 64)) == .image(8, 8))
    #expect(file(many, limits: ImageLimits(scans: 63)) == .corrupt)
  }
}
