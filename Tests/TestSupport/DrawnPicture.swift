import OccamCore

/// Pictures that the goldens' scripts draw too (Tests/Goldens/peer/pictures.py): integers only, the same bits on both
/// sides.
package struct DrawnPicture: Sendable {
  package let width: Int
  package let height: Int
  /// RGB, row by row.
  package let pixels: [UInt8]

  /// Distance of the lattice's points in pixels.
  private static let cell = 16

  /// A smooth field of colours with fine noise.
  package init(width: Int, height: Int, seed: Int) {
    self.width = width
    self.height = height
    var pixels = [UInt8](repeating: 0, count: 3 * width * height)
    let cell = Self.cell
    for colour in 0..<3 {
      let base = (seed * 3 + colour) << 40
      func draw(_ x: Int, _ y: Int) -> UInt64 {
        var generator = SeededGenerator(seed: UInt64(base + (y << 20) + x))
        return generator.next()
      }
      // The lattice once: 256 pixels share four points.
      let columns = width / cell + 2
      let levels = (0..<(height / cell + 2) * columns).map { Int(draw($0 % columns, $0 / columns) >> 56) }
      for y in 0..<height {
        for x in 0..<width {
          let (fx, fy) = (x % cell, y % cell)
          let corner = y / cell * columns + x / cell
          let top = levels[corner] * (cell - fx) + levels[corner + 1] * fx
          let bottom = levels[corner + columns] * (cell - fx) + levels[corner + columns + 1] * fx
          let noise = Int(draw(x + 1 << 39, y) >> 59) - 16
          let value = (top * (cell - fy) + bottom * fy) >> 8 + noise
          pixels[3 * (y * width + x) + colour] = UInt8(clamping: value)
        }
      }
    }
    self.pixels = pixels
  }

  /// `WIDTHxHEIGHT-SEED`, as goldens name a drawn picture; nil for the name of a file in Tests/Photos.
  package init?(name: String) {
    let numbers = name.split { $0 == "x" || $0 == "-" }.map { Int($0) }
    guard numbers.count == 3, let width = numbers[0], let height = numbers[1], let seed = numbers[2] else { return nil }
    self.init(width: width, height: height, seed: seed)
  }
}
