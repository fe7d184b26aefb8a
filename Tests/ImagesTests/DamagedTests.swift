import OccamImages
import Testing

@Suite("Damage that is shown through")
struct DamagedTests {
  @Test("one warning and the right pixels; refused when strict", arguments: Goldens.lines("damaged"))
  func damaged(_ line: [String]) throws {
    let bytes = try Goldens.bytes(line[1])
    let result = try decodeImageWithWarnings(bytes, subject: line[1])
    #expect(result.warnings.count == 1, "\(result.warnings)")
    #expect(result.warnings.allSatisfy { $0.hasPrefix("'\(line[1])' is ") })
    #expect(result.image.size == ImageSize(width: Int(line[2]) ?? 0, height: Int(line[3]) ?? 0))
    #expect(fingerprint(result.image.pixels) == line[4])
    #expect([.corrupt, .truncated].contains(outcome(bytes, strict: true)))
  }

  @Test("nonsense inside a scan: libjpeg's nonsense", arguments: Goldens.lines("flipped"))
  func flipped(_ line: [String]) throws {
    let image = try decodeImage(Goldens.bytes(line[1]), subject: line[1])
    #expect(fingerprint(image.pixels) == line[4])
  }

  @Test("cut anywhere: an error, or a picture of the right size and a warning", arguments: MalformedTests.small)
  func cut(_ name: String) throws {
    let bytes = try Goldens.bytes(name)
    let size = try imageSize(of: bytes, subject: name)
    var shown = 0
    for length in 1..<bytes.count {
      guard let result = try? decodeImageWithWarnings(Array(bytes[..<length]), subject: name) else { continue }
      #expect(result.image.size == size || name.contains("exif") || name.contains("orientation"))
      #expect(result.warnings.count == 1, "\(name) cut after \(length) bytes: \(result.warnings)")
      shown += 1
    }
    #expect(shown > 0)
  }
}
