import OccamImages
import Testing

@Suite("Decoding options, cropping, padding")
struct OptionsTests {
  @Test("colours as flags give them")
  func colours() {
    #expect(RGB(parsing: "white") == .white)
    #expect(RGB(parsing: "black") == .black)
    #expect(RGB(parsing: "gray") == RGB(128, 128, 128))
    #expect(RGB(parsing: "#0aC85a") == RGB(10, 200, 90))
    #expect(RGB(parsing: "#f0c") == RGB(255, 0, 204))
    #expect(RGB(parsing: "1,22,255") == RGB(1, 22, 255))
    for bad in ["", "#", "#12", "#12345g", "#1234567", "1,2", "1,2,3,4", "1,2,256", "1,,3", "+1,2,3", "mauve", "#é12"] {
      #expect(RGB(parsing: bad) == nil, "\(bad)")
    }
  }

  @Test("the default limits admit 200 megapixels and a screenshot of a page")
  func defaults() {
    let limits = ImageLimits()
    for (width, height) in [(16_384, 12_288), (16_320, 12_240), (1080, 20_000), (65_535, 4_096)] {
      #expect(width * height <= limits.pixels && max(width, height) <= limits.side)
    }
    #expect(outcome(FileBuilder.png(FileBuilder.header(1080, 20_000))) == .truncated)
    #expect(outcome(FileBuilder.jpeg(FileBuilder.frame(16_384, 12_288))) == .truncated)
    #expect(outcome(FileBuilder.jpeg(FileBuilder.frame(65_535, 4_097))) == .tooLarge)
  }

  @Test("a wanted size is that of the upright picture, and only JPEG heeds it")
  func wanted() throws {
    // 29 x 18 stored, turned by 90 degrees.
    let bytes = try Goldens.bytes("orientation6.jpg")
    func decoded(_ width: Int, _ height: Int) throws -> ImageSize {
      let options = ImageDecodingOptions(wantedSize: ImageSize(width: width, height: height))
      return try decodeImage(bytes, options: options, subject: "turned").size
    }
    #expect(try decoded(4, 7) == ImageSize(width: 9, height: 15))
    #expect(try decoded(5, 7) == ImageSize(width: 18, height: 29))
    #expect(try decoded(4, 8) == ImageSize(width: 18, height: 29))
    #expect(try decoded(1, 1) == ImageSize(width: 3, height: 4))
    let options = ImageDecodingOptions(wantedSize: ImageSize(width: 1, height: 1))
    let png = try decodeImageWithWarnings(Goldens.bytes("picture.png"), options: options, subject: "png")
    #expect(png.image.size == ImageSize(width: 97, height: 71) && png.fullSize == png.image.size)
  }

  @Test("a size is read from the beginning of a file, and as decoding reads it")
  func sizes() throws {
    typealias F = FileBuilder
    let tiff: [UInt8] = [0x4D, 0x4D, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]
    // A marker without a segment, and EXIF data behind the frame header.
    let late = F.jpeg(
      F.quant, F.frame(16, 8), [0xFF, 0x01], F.segment(0xE1, Array("Exif\0\0".utf8) + tiff), F.zeroTables,
      F.scan([0x0F]))
    #expect(try imageSize(of: late, subject: "late") == ImageSize(width: 8, height: 16))
    #expect(outcome(late) == .image(8, 16))
    let photo = try Goldens.bytes("baseline-420-odd.jpg")
    #expect(try imageSize(of: Array(photo.prefix(200)), subject: "begun") == ImageSize(width: 53, height: 37))
    #expect(throws: ImageError.self) { try imageSize(of: Array(photo.prefix(20)), subject: "hardly begun") }
    #expect(throws: ImageError.tooLarge(subject: "big", width: 53, height: 37, limit: "52 pixels per side")) {
      try imageSize(of: photo, limits: ImageLimits(side: 52), subject: "big")
    }
  }

  @Test("cropping and padding move pixels")
  func cropAndPad() {
    // The value of a pixel tells its place.
    let image = Image(width: 5, height: 4, pixels: (0..<20).flatMap { [UInt8($0), UInt8($0 + 50), UInt8($0 + 100)] })
    let part = image.cropped(x: 1, y: 2, width: 3, height: 2)
    #expect(part.pixels.enumerated().filter { $0.offset % 3 == 0 }.map(\.element) == [11, 12, 13, 16, 17, 18])
    #expect(image.cropped(x: 0, y: 0, width: 5, height: 4) == image)
    let canvas = part.padded(width: 6, height: 5, x: 2, y: 1, colour: RGB(1, 2, 3))
    #expect(canvas.cropped(x: 2, y: 1, width: 3, height: 2) == part)
    let border = (0..<30).filter { !(2..<5).contains($0 % 6) || !(1..<3).contains($0 / 6) }
    #expect(border.allSatisfy { canvas.pixels[3 * $0..<3 * $0 + 3].elementsEqual([1, 2, 3]) })
    // Cut off on every side, or wholly outside.
    #expect(image.padded(width: 3, height: 2, x: -1, y: -2, colour: .black) == part)
    #expect(
      image.padded(width: 2, height: 2, x: 9, y: 0, colour: .white)
        == Image(width: 2, height: 2, filledWith: (255, 255, 255)))
    #expect(
      image.padded(width: 2, height: 2, x: 0, y: -4, colour: .white)
        == Image(width: 2, height: 2, filledWith: (255, 255, 255)))
  }
}
