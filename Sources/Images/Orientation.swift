/// The orientation (1...8) in a TIFF structure, as EXIF keeps it: tag 0x0112 of the first directory.
///
/// Broken metadata must not cost the picture: anything malformed counts as 1, upright.
/// - Returns: also whether the tag has the type LONG, which some cameras write in place of SHORT and viewers accept.
func exifOrientation(tiff: ByteSource) -> (orientation: Int, isLong: Bool) {
  let upright = (1, false)
  let little: Bool
  if tiff.starts(with: [0x49, 0x49, 42, 0]) {
    little = true
  } else if tiff.starts(with: [0x4D, 0x4D, 0, 42]) {
    little = false
  } else {
    return upright
  }
  func word(_ offset: Int) -> Int? { little ? tiff.littleEndian16(offset) : tiff.bigEndian16(offset) }
  func long(_ offset: Int) -> Int? { little ? tiff.littleEndian32(offset) : tiff.bigEndian32(offset) }
  guard let directory = long(4), let entries = word(directory) else { return upright }
  for entry in 0..<entries {
    let offset = directory + 2 + entry * 12
    guard let tag = word(offset) else { return upright }
    guard tag == 0x0112, let type = word(offset + 2) else { continue }
    // Type 3 is SHORT, 4 is LONG; the value sits at the start of the entry's last four bytes.
    guard let value = type == 3 ? word(offset + 8) : type == 4 ? long(offset + 8) : nil else { continue }
    return (1...8).contains(value) ? (value, type == 4) : upright
  }
  return upright
}

/// The picture that a decoder fills row by row, already turned and mirrored as EXIF asks: there is no second copy.
///
/// Orientations 5...8 exchange width and height.
final class OrientedCanvas {
  /// Size as the file stores it.
  let width: Int
  let height: Int
  private let swapped: Bool
  private var pixels: [UInt8]
  private static let stripRows = 16
  /// Rows that wait to be written as columns.
  private var strip: [UInt8]
  /// Place of stored pixel (x, y): start + x * stepX + y * stepY, counted in pixels.
  private let start, stepX, stepY: Int

  init(width: Int, height: Int, orientation: Int, background: RGB) {
    self.width = width
    self.height = height
    swapped = orientation >= 5
    strip = swapped ? [UInt8](repeating: 0, count: Self.stripRows * width * 3) : []
    let last = width * height - 1
    (start, stepX, stepY) =
      switch orientation {
      case 2: (width - 1, -1, width)
      case 3: (last, -1, -width)
      case 4: (width * (height - 1), 1, -width)
      case 5: (0, height, 1)
      case 6: (height - 1, height, -1)
      case 7: (last, -height, -1)
      case 8: (height * (width - 1), -height, 1)
      default: (0, 1, width)
      }
    pixels =
      Image(width: width, height: height, filledWith: (background.red, background.green, background.blue)).pixels
  }

  /// Hands out the first byte of stored pixel (x, y) and the distance in bytes of its right neighbour.
  /// - Precondition: the pixel is inside.
  func withPixels<Failure: Error>(
    x: Int, y: Int, _ body: (UnsafeMutablePointer<UInt8>, _ step: Int) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(x >= 0 && x < width && y >= 0 && y < height, "OrientedCanvas: pixel outside")
    try pixels.withUnsafeMutableBufferPointer { buffer throws(Failure) in
      guard let base = buffer.baseAddress else { return }
      try body(base + (start + x * stepX + y * stepY) * 3, stepX * 3)
    }
  }

  /// Copies one stored row of RGB; rows come in order.
  func write(row: UnsafePointer<UInt8>, y: Int) {
    if swapped { return collect(row, y) }
    withPixels(x: 0, y: y) { out, step in
      if step == 3 {
        out.update(from: row, count: width * 3)
        return
      }
      for x in 0..<width {
        let target = out + x &* step
        (target[0], target[1], target[2]) = (row[3 &* x], row[3 &* x &+ 1], row[3 &* x &+ 2])
      }
    }
  }

  /// Rows become columns: several at once, or every pixel would cost a cache line.
  private func collect(_ row: UnsafePointer<UInt8>, _ y: Int) {
    strip.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      (base + y % Self.stripRows * width * 3).update(from: row, count: width * 3)
    }
    guard y % Self.stripRows == Self.stripRows - 1 || y == height - 1 else { return }
    let first = y - y % Self.stripRows
    strip.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for x in 0..<width {
        withPixels(x: x, y: first) { out, _ in
          for line in 0...y - first {
            let from = base + (line &* width &+ x) &* 3
            let target = out + line &* stepY &* 3
            (target[0], target[1], target[2]) = (from[0], from[1], from[2])
          }
        }
      }
    }
  }

  func image() -> Image {
    swapped
      ? Image(width: height, height: width, pixels: pixels) : Image(width: width, height: height, pixels: pixels)
  }
}
