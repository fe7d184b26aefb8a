import Glibc
import OccamCore
import OccamImages
import Testing

@Suite("PNG encoder")
struct PNGEncoderTests {
  private func random(_ width: Int, _ height: Int, _ seed: UInt64, levels: UInt64) -> Image {
    var generator = SeededGenerator(seed: seed)
    return Image(
      width: width, height: height,
      pixels: (0..<width * height * 3).map { _ in UInt8(generator.next() % levels * (255 / max(levels - 1, 1))) })
  }

  @Test(
    "what is written reads back exactly",
    arguments: [(1, 1, 256), (1, 300, 2), (300, 1, 256), (64, 48, 2), (301, 200, 256), (500, 400, 3), (800, 300, 1)])
  func roundTrip(_ width: Int, _ height: Int, _ levels: Int) throws {
    let image = random(width, height, UInt64(width), levels: UInt64(levels))
    let file = encodePNG(image)
    #expect(try decodeImage(file, subject: "round trip") == image)
    // Noise may grow by the codes' headers only.
    #expect(file.count < image.pixels.count + image.height + image.pixels.count / 200 + 400)
  }

  @Test("repetition is compressed")
  func compresses() throws {
    let flat = Image(width: 1000, height: 1000, filledWith: (10, 20, 30))
    #expect(encodePNG(flat).count < 20_000)
    let photo = try Goldens.image("picture.png")
    let big = resize(photo, width: 800, height: 600, filter: .bicubic)
    let file = encodePNG(big)
    #expect(file.count < big.pixels.count / 2)
    #expect(try decodeImage(file, subject: "photo") == big)
  }

  @Test("the file is the one Pillow was shown")
  func knownFile() throws {
    // Tests/Goldens/images/check_encoder.py reads this very file with Pillow; see there.
    let file = encodePNG(try Goldens.image("picture.png"))
    if let path = getenv("OCCAM_WRITE_ENCODED") { try Files.write(file, to: String(cString: path)) }
    #expect(try file == Goldens.bytes("encoded.png"))
  }
}
