extension Image {
  /// A part of the picture. - Precondition: the part lies inside.
  package func cropped(x: Int, y: Int, width: Int, height: Int) -> Image {
    precondition(
      x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= self.width && y + height <= self.height,
      "cropped: a part outside the picture")
    var pixels: [UInt8] = []
    pixels.reserveCapacity(3 * width * height)
    for row in y..<y + height {
      let start = 3 * (row * self.width + x)
      pixels += self.pixels[start..<start + 3 * width]
    }
    return Image(width: width, height: height, pixels: pixels)
  }

  /// Copies `other` onto this picture, its upper left corner at (x, y); what lies outside is left out.
  package mutating func draw(_ other: Image, x: Int, y: Int) {
    let columns = max(0, -x)..<max(max(0, -x), min(other.width, width - x))
    guard !columns.isEmpty else { return }
    for row in max(0, -y)..<max(max(0, -y), min(other.height, height - y)) {
      let source = 3 * (row * other.width + columns.lowerBound)
      let target = 3 * ((row + y) * width + columns.lowerBound + x)
      pixels.replaceSubrange(
        target..<target + 3 * columns.count, with: other.pixels[source..<source + 3 * columns.count])
    }
  }
}
