import OccamCore
import OccamTokenizer
import Testing

@Suite struct StreamingDecoderTests {
  @Test func charactersComeWhole() {
    var decoder = StreamingDecoder()
    #expect(decoder.append([0xF0, 0x9F]) == "")
    #expect(decoder.append([0xA6]) == "")
    #expect(decoder.append([0x99, 0x21]) == "🦙!")
    #expect(decoder.append([0x61, 0xC3]) == "a")
    #expect(decoder.append([0xA4]) == "ä")
    #expect(decoder.finish() == "")
  }

  /// What can no longer become a character is shown at once.
  @Test func nothingIsHeldNeedlessly() {
    var decoder = StreamingDecoder()
    #expect(decoder.append([0x80]) == "\u{FFFD}")
    #expect(decoder.append([0xFF]) == "\u{FFFD}")
    #expect(decoder.append([0xC0]) == "\u{FFFD}")
    #expect(decoder.append([0xE2]) == "")
    #expect(decoder.append([0x28]) == "\u{FFFD}(")
    for impossible: [UInt8] in [[0xE0, 0x80], [0xED, 0xA0], [0xF0, 0x80], [0xF4, 0x90]] {
      #expect(!decoder.append(impossible).isEmpty)
      #expect(decoder.finish() == "")
    }
  }

  @Test func endShowsLeftovers() {
    var decoder = StreamingDecoder()
    #expect(decoder.append([0x61, 0xE2, 0x82]) == "a")
    #expect(decoder.finish() == "\u{FFFD}")
    #expect(decoder.append([0xAC]) == "\u{FFFD}")
  }

  /// However bytes are cut, the pieces joined are what decoding everything at once gives.
  @Test func anyCutGivesTheSameText() {
    var generator = SeededGenerator(seed: 3)
    let units: [[UInt8]] = [
      Array("aé中🦙".utf8), [0xF0], [0x9F], [0x80], [0xE2, 0x82], [0xED, 0xA0, 0x80], [0xF4, 0x90], [0xC3], [0xFF],
      [0x20],
    ]
    for _ in 0..<2_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 0...8, using: &generator) {
        bytes += units[Int.random(in: 0..<units.count, using: &generator)]
      }
      var decoder = StreamingDecoder()
      var text = ""
      var start = 0
      while start < bytes.count {
        let end = min(start + Int.random(in: 0...3, using: &generator), bytes.count)
        text += decoder.append(bytes[start..<end])
        start = end
      }
      text += decoder.finish()
      let equal = text.unicodeScalars.elementsEqual(String(decoding: bytes, as: UTF8.self).unicodeScalars)
      #expect(equal, "\(bytes)")
    }
  }
}
