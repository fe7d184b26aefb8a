import Glibc
import OccamCore
import OccamImages
import OccamTestSupport
import Testing

/// Small pictures made after public bug reports, kept beside the checkout and not in it. OCCAM_INPUTS names their
/// folder; without it ../shared/inputs of the package is taken. A missing folder is a failure unless OCCAM_INPUTS says
/// "none", which CI may not say.
enum SharedInputs {
  static let folder: String? = {
    if let named = getenv("OCCAM_INPUTS").map({ String(cString: $0) }) {
      return named == "none" && !Locations.isCI ? nil : named
    }
    return "\(Locations.root)/../shared/inputs"
  }()

  static func bytes(_ name: String) throws -> [UInt8]? {
    guard let folder else { return nil }
    return try Files.read("\(folder)/\(name)")
  }
}

@Suite("Pictures of public bug reports")
struct SharedInputsTests {
  struct Case: Sendable, CustomStringConvertible {
    let name: String
    let width: Int
    let height: Int
    let warnings: Int
    /// The expected level or colour of a pixel.
    let pixel: @Sendable (_ x: Int, _ y: Int) -> (Int, Int, Int)
    var description: String { name }

    init(_ name: String, _ width: Int, _ height: Int, _ warnings: Int, grey: @escaping @Sendable (Int, Int) -> Int) {
      self.init(name, width, height, warnings) { x, y in
        let level = grey(x, y)
        return (level, level, level)
      }
    }

    init(
      _ name: String, _ width: Int, _ height: Int, _ warnings: Int,
      colour: @escaping @Sendable (Int, Int) -> (Int, Int, Int)
    ) {
      self.name = name
      self.width = width
      self.height = height
      self.warnings = warnings
      pixel = colour
    }
  }

  /// Values of the folder's README.md.
  static let cases = [
    Case("jpeg-no-eoi.jpg", 16, 16, 1) { _, _ in (254, 0, 0) },
    Case("jpeg-no-eoi-trailer.jpg", 16, 16, 1) { _, _ in (254, 0, 0) },
    Case("jpeg-no-dht.jpg", 16, 16, 1) { x, _ in x < 8 ? 60 : 120 },
    Case("jpeg-rst-missing.jpg", 64, 8, 1) { _, _ in 100 },
    Case("jpeg-exif6-long-mm.jpg", 8, 16, 1) { _, y in y < 8 ? 0 : 255 },
    Case("jpeg-exif6-short-mm.jpg", 8, 16, 0) { _, y in y < 8 ? 0 : 255 },
    Case("jpeg-prog-dc-twice.jpg", 16, 8, 1) { _, _ in 90 },
    Case("jpeg-dnl.jpg", 16, 16, 1) { x, _ in x < 8 ? 60 : 120 },
    Case("png-bad-crc-text.png", 4, 2, 1) { x, _ in x < 2 ? (255, 0, 0) : (0, 0, 255) },
    Case("png-bad-crc-idat.png", 4, 2, 1) { x, _ in x < 2 ? (255, 0, 0) : (0, 0, 255) },
    Case("png-no-iend.png", 4, 2, 1) { x, _ in x < 2 ? (255, 0, 0) : (0, 0, 255) },
    Case("png-too-much-pixel-data.png", 4, 2, 1) { x, _ in x < 2 ? (255, 0, 0) : (0, 0, 255) },
    Case("png-no-adler.png", 4, 2, 1) { x, _ in x < 2 ? (255, 0, 0) : (0, 0, 255) },
    Case("png-openedai-8x8-1bit.png", 8, 8, 0) { x, y in (x < 4) == (y < 4) ? 191 : 255 },
    Case("png-108mp-12000x9000.png", 12000, 9000, 0) { _, _ in 255 },
    Case("webp-1x1.webp", 1, 1, 0) { _, _ in 255 },
  ]

  @Test("decoded to the value in their README", arguments: cases)
  func decoded(_ expected: Case) throws {
    guard let bytes = try SharedInputs.bytes(expected.name) else { return }
    let result = try decodeImageWithWarnings(bytes, subject: expected.name)
    #expect(result.warnings.count == expected.warnings, "\(result.warnings)")
    let image = result.image
    try #require(image.size == ImageSize(width: expected.width, height: expected.height))
    #expect(try imageSize(of: bytes, subject: expected.name) == image.size)
    var wrong = 0
    image.pixels.withUnsafeBufferPointer { pixels in
      for y in 0..<image.height {
        for x in 0..<image.width {
          let at = 3 * (y * image.width + x)
          if (Int(pixels[at]), Int(pixels[at + 1]), Int(pixels[at + 2])) != expected.pixel(x, y) { wrong += 1 }
        }
      }
    }
    #expect(wrong == 0)
    if expected.warnings > 0 { #expect([.corrupt, .truncated].contains(outcome(bytes, strict: true))) }
  }

  @Test("black text on nothing is black on white")
  func transparentText() throws {
    guard let bytes = try SharedInputs.bytes("png-transparent-black-text.png") else { return }
    let image = try decodeImage(bytes, subject: "text")
    #expect(image.size == ImageSize(width: 4, height: 1))
    #expect(image.pixels == [255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0])
    let dark = try decodeImage(bytes, options: ImageDecodingOptions(background: .black), subject: "text")
    #expect(dark == Image(width: 4, height: 1, filledWith: (0, 0, 0)))
  }

  @Test("a file cut in half: right as far as it goes, then grey")
  func truncated() throws {
    let name = "jpeg-truncated-half.jpg"
    guard let bytes = try SharedInputs.bytes(name) else { return }
    let result = try decodeImageWithWarnings(bytes, subject: name)
    #expect(result.warnings == ["'\(name)' is truncated: it ends inside a scan"])
    #expect(result.image.size == ImageSize(width: 256, height: 256))
    #expect(result.image.pixels.suffix(3 * 256 * 8).allSatisfy { $0 == 128 })
    #expect(result.image.pixels.prefix(3 * 256 * 8).contains { $0 != 128 })
    #expect(outcome(bytes, strict: true) == .truncated)
  }

  @Test("a HEIC file is named although it is called jpg")
  func heic() throws {
    guard let bytes = try SharedInputs.bytes("heic-named.jpg") else { return }
    #expect(
      throws: ImageError.unsupported(
        subject: "heic-named.jpg", what: "it is HEIF (HEIC); JPEG, PNG, WebP, GIF and BMP are decoded")
    ) { try decodeImage(bytes, subject: "heic-named.jpg") }
  }
}
