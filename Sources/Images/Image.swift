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

  package var size: ImageSize { ImageSize(width: width, height: height) }

  /// A picture of one colour.
  package init(width: Int, height: Int, filledWith colour: (red: UInt8, green: UInt8, blue: UInt8)) {
    precondition(width > 0 && height > 0, "Image: no pixels")
    self.width = width
    self.height = height
    if colour.red == colour.green, colour.green == colour.blue {
      pixels = [UInt8](repeating: colour.red, count: width * height * 3)
      return
    }
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
  /// Scans of one JPEG file. Encoders write about ten; a hostile file can ask for one walk over all blocks per few
  /// bytes.
  package var scans: Int

  /// The defaults admit a phone's 200 megapixels and a screenshot as long as a page; a picture of that size takes 0.8
  /// GB.
  package init(pixels: Int = 1 << 28, side: Int = 65_535, scans: Int = 100) {
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
