extension Image {
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
