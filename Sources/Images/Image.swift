/// An 8-bit RGB picture: rows top to bottom, three bytes (R, G, B) per pixel, no padding.
package struct Image: Sendable, Equatable {
  package let width: Int
  package let height: Int
  /// `width * height * 3` bytes.
  package internal(set) var pixels: [UInt8]

  /// - Precondition: `pixels.count == width * height * 3`, both sides positive.
  package init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      width > 0 && height > 0 && pixels.count == width * height * 3, "Image: pixel count is not width x height x 3")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// A picture of one colour.
  package init(width: Int, height: Int, filledWith colour: (red: UInt8, green: UInt8, blue: UInt8)) {
    precondition(width > 0 && height > 0, "Image: no pixels")
    self.width = width
    self.height = height
    pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, count in
      for pixel in 0..<width * height {
        buffer[pixel * 3] = colour.red
        buffer[pixel * 3 + 1] = colour.green
        buffer[pixel * 3 + 2] = colour.blue
      }
      count = width * height * 3
    }
  }
}

/// What a decoder accepts before it allocates anything for the pixels.
package struct ImageLimits: Sendable, Equatable {
  /// Width times height.
  package var pixels: Int
  /// Width and height each.
  package var side: Int
  /// Scans of one JPEG file. Encoders write about ten; a hostile file can ask for one walk over all blocks per few bytes.
  package var scans: Int

  package init(pixels: Int = 100_000_000, side: Int = 16_384, scans: Int = 100) {
    self.pixels = pixels
    self.side = side
    self.scans = scans
  }

  /// - Throws: `.tooLarge` where the picture crosses a limit, `.corrupt` where it has no pixels.
  func check(width: Int, height: Int) throws(ImageFault) {
    guard width > 0, height > 0 else { throw .corrupt("the header gives no size (\(width)x\(height))") }
    guard width <= side, height <= side else { throw .tooLarge(width, height, "\(side) pixels per side") }
    let (area, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, area <= pixels else { throw .tooLarge(width, height, "\(pixels) pixels in all") }
  }
}

/// Why bytes are not a picture, named by their subject (a path, or what the caller calls them).
package enum ImageError: Error, Equatable, Sendable, CustomStringConvertible {
  case notAnImage(subject: String, reason: String)
  /// A picture, but of a kind that is not decoded.
  case unsupported(subject: String, what: String)
  /// The data ends before the picture does.
  case truncated(subject: String, what: String)
  case corrupt(subject: String, what: String)
  case tooLarge(subject: String, width: Int, height: Int, limit: String)

  package var description: String {
    switch self {
    case .notAnImage(let subject, let reason): "'\(subject)' is not an image: \(reason)"
    case .unsupported(let subject, let what): "'\(subject)' is an image of an unsupported kind: \(what)"
    case .truncated(let subject, let what): "'\(subject)' is truncated: \(what)"
    case .corrupt(let subject, let what): "'\(subject)' is corrupt: \(what)"
    case .tooLarge(let subject, let width, let height, let limit):
      "'\(subject)' is too large: \(width)x\(height), the limit is \(limit)"
    }
  }
}

/// An `ImageError` whose subject the decoder does not know.
enum ImageFault: Error {
  case notAnImage(String)
  case unsupported(String)
  case truncated(String)
  case corrupt(String)
  case tooLarge(Int, Int, String)

  func about(_ subject: String) -> ImageError {
    switch self {
    case .notAnImage(let reason): .notAnImage(subject: subject, reason: reason)
    case .unsupported(let what): .unsupported(subject: subject, what: what)
    case .truncated(let what): .truncated(subject: subject, what: what)
    case .corrupt(let what): .corrupt(subject: subject, what: what)
    case .tooLarge(let width, let height, let limit):
      .tooLarge(subject: subject, width: width, height: height, limit: limit)
    }
  }
}
