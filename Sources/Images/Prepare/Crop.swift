extension Image {
  /// The part `width` x `height` whose upper left pixel is (`x`, `y`).
  /// - Precondition: the part is inside the picture and not empty.
  package func cropped(x: Int, y: Int, width: Int, height: Int) -> Image {
    precondition(
      x >= 0 && y >= 0 && width > 0 && height > 0 && width <= self.width - x && height <= self.height - y,
      "Image: part outside the picture")
    if width == self.width, height == self.height { return self }
    let part = [UInt8](unsafeUninitializedCapacity: width * height * 3) { out, count in
      pixels.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = out.baseAddress else { return }
        for row in 0..<height {
          let start = from + ((y + row) * self.width + x) * 3
          (to + row * width * 3).update(from: start, count: width * 3)
        }
      }
      count = width * height * 3
    }
    return Image(width: width, height: height, pixels: part)
  }

  /// A canvas of one colour, `width` x `height`, with the picture's upper left pixel at (`x`, `y`). What lies outside
  /// the canvas is cut off, so negative places are allowed.
  /// - Precondition: the canvas has pixels.
  package func padded(width: Int, height: Int, x: Int, y: Int, colour: RGB) -> Image {
    var canvas = Image(width: width, height: height, filledWith: (colour.red, colour.green, colour.blue))
    let columns = max(x, 0)..<max(min(x + self.width, width), max(x, 0))
    let rows = max(y, 0)..<max(min(y + self.height, height), max(y, 0))
    guard !columns.isEmpty else { return canvas }
    canvas.pixels.withUnsafeMutableBufferPointer { out in
      pixels.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = out.baseAddress else { return }
        for row in rows {
          let start = from + ((row - y) * self.width + columns.lowerBound - x) * 3
          (to + (row * width + columns.lowerBound) * 3).update(from: start, count: columns.count * 3)
        }
      }
    }
    return canvas
  }
}
