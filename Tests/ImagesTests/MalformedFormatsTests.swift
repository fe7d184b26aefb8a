import OccamCore
import OccamImages
import Testing

@Suite("Hostile WebP, GIF and BMP files")
struct MalformedFormatsTests {
  static let small = [
    "lossy-50-odd.webp", "lossless-odd.webp", "alpha-odd.webp", "alpha-raw-filter3.webp", "lossless-4-colours.webp",
    "animated-lossy.webp", "lossless-method0.webp", "16-odd.gif", "transparent.gif", "local-palette.gif",
    "animated.gif", "4.bmp", "rle8.bmp", "rle4.bmp", "rle8-jumps.bmp", "32-alpha.bmp", "16-565.bmp", "8-dot.bmp",
  ]

  @Test("cut anywhere: refused when strict, else an error or a picture of the right size", arguments: small)
  func cut(_ name: String) throws {
    let bytes = try Goldens.bytes(name)
    let whole = try decodeImage(bytes, subject: name)
    for length in stride(from: 1, to: bytes.count, by: bytes.count / 400 + 1) {
      let part = Array(bytes[..<length])
      let strict = try? decodeImage(part, options: ImageDecodingOptions(strict: true), subject: name)
      guard let shown = try? decodeImageWithWarnings(part, subject: name) else {
        #expect(strict == nil)
        continue
      }
      #expect(shown.image.size == whole.size)
      #expect(shown.warnings.isEmpty == (strict != nil), "\(name) cut after \(length) bytes")
      // Behind the first frame of an animation and the last pixel nothing is missed.
      if let strict { #expect(strict == whole, "\(name) cut after \(length) bytes") }
    }
  }

  @Test("flipped bits: a picture or an error", arguments: small)
  func flips(_ name: String) throws {
    let bytes = try Goldens.bytes(name)
    var generator = SeededGenerator(seed: 91)
    let limits = ImageLimits(pixels: 1 << 20)
    var refused = 0
    for round in 0..<400 {
      var damaged = bytes
      for _ in 0...round % 4 {
        let place = Int(generator.next() % UInt64(bytes.count * 8))
        damaged[place / 8] ^= 1 << UInt8(place % 8)
      }
      if case .image = outcome(damaged, limits: limits) { continue }
      refused += 1
    }
    #expect(refused > 0)
  }

  @Test("bytes of chance behind a signature: an error, or a picture within the limits")
  func noise() {
    var generator = SeededGenerator(seed: 6)
    let starts: [[UInt8]] = [
      Array("RIFF".utf8) + [0xFF, 0, 0, 0] + Array("WEBPVP8 ".utf8) + [0xF0, 0, 0, 0],
      Array("RIFF".utf8) + [0xFF, 0, 0, 0] + Array("WEBPVP8L".utf8) + [0xF0, 0, 0, 0, 0x2F],
      Array("GIF89a".utf8), Array("BM".utf8) + .init(repeating: 0, count: 12) + [40, 0, 0, 0],
    ]
    for start in starts {
      for _ in 0..<300 {
        let bytes = start + (0..<240).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        if case .image(let width, let height) = outcome(bytes, limits: ImageLimits(pixels: 1 << 16), strict: false) {
          #expect(width * height <= 1 << 16)
        }
      }
    }
  }

  private func littleEndian(_ value: Int, bytes: Int) -> [UInt8] {
    (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private func webP(_ chunks: [UInt8]) -> [UInt8] {
    Array("RIFF".utf8) + littleEndian(chunks.count + 4, bytes: 4) + Array("WEBP".utf8) + chunks
  }

  private func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    Array(name.utf8) + littleEndian(content.count, bytes: 4) + content + (content.count % 2 == 1 ? [0] : [])
  }

  /// A lossless stream of one colour: five codes of one symbol.
  private func flat(_ width: Int, _ height: Int) -> [UInt8] {
    let bits: [(Int, Int)] =
      [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 4), (0, 1), (0, 1), (0, 1)]
      + [(1, 1), (0, 1), (1, 1), (77, 8)] + Array(repeating: [(1, 1), (0, 1), (0, 1), (1, 1)], count: 4).joined()
    return FileBuilder.deflateBits(bits)
  }

  @Test("WebP: sizes, kinds and structure")
  func webPStructure() throws {
    let image = try decodeImage(webP(chunk("VP8L", flat(20, 10))), subject: "flat")
    #expect(image == Image(width: 20, height: 10, filledWith: (1, 77, 1)))
    let file = webP(chunk("VP8L", flat(20, 10)))
    #expect(outcome(file, limits: ImageLimits(pixels: 200)) == .image(20, 10))
    #expect(outcome(file, limits: ImageLimits(pixels: 199)) == .tooLarge)
    #expect(outcome(file, limits: ImageLimits(side: 19)) == .tooLarge)
    #expect(outcome(webP([])) == .truncated)
    #expect(outcome(webP(chunk("VP8 ", []))) == .truncated)
    #expect(outcome(webP(chunk("VP8L", [0x2E, 0, 0, 0, 0, 0]))) == .corrupt)
    #expect(outcome(webP(chunk("VP8L", [0x2F, 0, 0, 0, 0x20, 0]))) == .unsupported)
    #expect(outcome(webP(chunk("ALPH", [0]))) == .truncated)
    // The start code, a frame that is no key frame, one not to be shown, an unknown profile, no size.
    let key: [UInt8] = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 8, 0, 8, 0]
    func vp8(_ at: Int, _ value: UInt8) -> Outcome {
      var header = key + [UInt8](repeating: 0, count: 20)
      header[at] = value
      return outcome(webP(chunk("VP8 ", header)))
    }
    #expect(vp8(3, 0) == .corrupt)
    #expect(vp8(0, 0x11) == .corrupt)
    #expect(vp8(0, 0) == .corrupt)
    #expect(vp8(0, 0x18) == .unsupported)
    #expect(vp8(6, 0) == .corrupt)
    // A canvas that is too large, one smaller than its picture, and a frame outside.
    func canvas(_ width: Int, _ height: Int, flags: UInt8, _ rest: [UInt8]) -> Outcome {
      let header = [flags, 0, 0, 0] + littleEndian(width - 1, bytes: 3) + littleEndian(height - 1, bytes: 3)
      return outcome(webP(chunk("VP8X", header) + rest))
    }
    #expect(canvas(1 << 24, 1 << 24, flags: 0, chunk("VP8L", flat(20, 10))) == .tooLarge)
    #expect(canvas(20, 10, flags: 0, chunk("VP8L", flat(20, 10))) == .image(20, 10))
    #expect(canvas(21, 10, flags: 0, chunk("VP8L", flat(20, 10))) == .corrupt)
    func frame(_ x: Int) -> [UInt8] {
      let head: [UInt8] = [x, 0, 19, 9, 100].flatMap { littleEndian($0, bytes: 3) } + [0 as UInt8]
      return chunk("ANMF", head + chunk("VP8L", flat(20, 10)))
    }
    #expect(canvas(30, 10, flags: 2, frame(5)) == .image(30, 10))
    #expect(canvas(30, 10, flags: 2, frame(6)) == .corrupt)
    #expect(canvas(30, 10, flags: 2, []) == .truncated)
  }

  @Test("WebP lossless: transforms and codes")
  func losslessStructure() {
    let header: [(Int, Int)] = [(0x2F, 8), (0, 14), (0, 14), (0, 4)]
    func stream(_ bits: [(Int, Int)]) -> Outcome {
      outcome(webP(chunk("VP8L", FileBuilder.deflateBits(header + bits) + [UInt8](repeating: 0, count: 40))))
    }
    #expect(stream([(1, 1), (2, 2), (1, 1), (2, 2)]) == .corrupt, "subtract green twice")
    #expect(stream([(0, 1), (1, 1), (0, 4)]) == .corrupt, "a cache of no bits")
    #expect(stream([(0, 1), (1, 1), (12, 4)]) == .corrupt, "a cache of 12 bits")
    #expect(stream([(0, 1), (0, 1), (0, 1), (0, 1), (0, 4), (0, 12)]) == .corrupt, "no code length has a code")
    #expect(
      stream([(0, 1), (0, 1), (0, 1), (0, 1), (0, 4), (1, 3), (1, 3), (1, 3), (0, 3)]) == .corrupt, "over-full lengths")
  }

  @Test("GIF: sizes, palettes, codes")
  func gifStructure() throws {
    func gif(
      _ canvas: (Int, Int), _ frame: (Int, Int, Int, Int), flags: UInt8 = 0x80, before: [UInt8] = [],
      _ data: [UInt8] = [2, 2, 0x44, 0x01, 0]
    ) -> [UInt8] {
      var file = Array("GIF89a".utf8) + littleEndian(canvas.0, bytes: 2) + littleEndian(canvas.1, bytes: 2)
      file += [flags, 0, 0]
      if flags & 0x80 != 0 { file += [10, 20, 30, 40, 50, 60] }
      file += before
      file.append(0x2C)
      for number in [frame.0, frame.1, frame.2, frame.3] { file += littleEndian(number, bytes: 2) }
      file.append(0)
      file += data
      file.append(0x3B)
      return file
    }
    // Clear, 0, end.
    let image = try decodeImage(gif((1, 1), (0, 0, 1, 1)), subject: "dot")
    #expect(image == Image(width: 1, height: 1, filledWith: (10, 20, 30)))
    #expect(outcome(gif((1, 1), (0, 0, 1, 1))) == .image(1, 1))
    #expect(outcome(gif((0, 0), (0, 0, 1, 1))) == .image(1, 1))
    #expect(outcome(gif((2, 3), (4, 5, 1, 1))) == .image(5, 6), "a frame outside widens the canvas")
    #expect(outcome(gif((2, 3), (4, 5, 1, 1)), limits: ImageLimits(pixels: 29)) == .tooLarge)
    #expect(outcome(gif((1, 1), (0, 0, 0, 1))) == .corrupt)
    #expect(outcome(gif((1, 1), (0, 0, 1, 1), flags: 0)) == .corrupt, "no palette")
    #expect(outcome(gif((1, 1), (0, 0, 1, 1), [0, 2, 0x44, 1, 0])) == .corrupt, "codes of no bits")
    #expect(outcome(gif((1, 1), (0, 0, 1, 1), [12, 2, 0x44, 1, 0])) == .corrupt, "codes of 13 bits")
    #expect(outcome(gif((1, 1), (0, 0, 1, 1), [2, 1, 0x3C, 0])) == .corrupt, "a code that is not known yet")
    #expect(outcome(gif((1, 1), (0, 0, 1, 1), [2, 1, 0x2C, 0])) == .corrupt, "the end first")
    #expect(outcome(gif((1, 1), (0, 0, 1, 1), before: [0x77])) == .corrupt, "an unknown block")
    #expect(outcome(gif((1, 2), (0, 0, 1, 2))) == .corrupt, "one pixel of two")
    #expect(outcome(gif((1, 2), (0, 0, 1, 2)), strict: false) == .image(1, 2))
    let clear: [UInt8] = [0x21, 0xF9, 4, 1, 0, 0, 0, 0]
    let shown = try decodeImage(gif((1, 1), (0, 0, 1, 1), before: clear), subject: "clear")
    #expect(shown == Image(width: 1, height: 1, filledWith: (255, 255, 255)))
    #expect(outcome(Array("GIF89a".utf8) + [1, 0, 1, 0, 0, 0, 0, 0x3B]) == .corrupt)
  }

  @Test("BMP: sizes, depths, palettes")
  func bmpStructure() {
    func bmp(_ width: Int, _ height: Int, depth: Int = 24, method: Int = 0, _ pixels: [UInt8]) -> [UInt8] {
      let start = 54 + (depth <= 8 ? 4 << depth : 0)
      var file = Array("BM".utf8)
      for number in [start + pixels.count, 0, start, 40, width, height] { file += littleEndian(number, bytes: 4) }
      file += [1, 0]
      file += littleEndian(depth, bytes: 2)
      for number in [method, 0, 0, 0, 0, 0] { file += littleEndian(number, bytes: 4) }
      file += [UInt8](repeating: 7, count: start - 54)
      return file + pixels
    }
    #expect(outcome(bmp(1, 1, [1, 2, 3, 0])) == .image(1, 1))
    #expect(outcome(bmp(1, -1, [1, 2, 3, 0])) == .image(1, 1))
    #expect(outcome(bmp(2, 1, [1, 2, 3, 0])) == .truncated, "a row takes 8 bytes")
    #expect(outcome(bmp(1, 2, [1, 2, 3, 0])) == .truncated)
    #expect(outcome(bmp(1, 2, [1, 2, 3, 0]), strict: false) == .image(1, 2))
    #expect(outcome(bmp(0, 1, [1, 2, 3, 0])) == .corrupt)
    #expect(outcome(bmp(-1, 1, [1, 2, 3, 0])) == .corrupt)
    #expect(outcome(bmp(1, Int(Int32.min), [1, 2, 3, 0])) == .tooLarge)
    #expect(outcome(bmp(5, 1, [UInt8](repeating: 0, count: 16)), limits: ImageLimits(side: 4)) == .tooLarge)
    #expect(outcome(bmp(1, 1, depth: 2, [1, 2, 3, 0])) == .unsupported)
    #expect(outcome(bmp(1, 1, depth: 24, method: 4, [1, 2, 3, 0])) == .unsupported, "JPEG inside")
    #expect(outcome(bmp(9, 9, depth: 8, method: 1, [9, 1, 0, 0, 0, 1])) == .image(9, 9))
    #expect(outcome(bmp(9, 9, depth: 8, method: 1, [200, 1, 0, 1])) == .image(9, 9), "a run beyond the row")
    #expect(outcome(bmp(9, 9, depth: 8, method: 1, [9, 1, 0, 2, 255, 255])) == .image(9, 9), "a jump beyond all rows")
    #expect(outcome(bmp(9, 9, depth: 8, method: 1, [0, 200, 1])) == .truncated)
    #expect(outcome(bmp(60_000, 5_000, depth: 1, [0])) == .tooLarge)
    #expect(outcome(bmp(60_000, 4_000, depth: 1, [0])) == .truncated)
  }
}
