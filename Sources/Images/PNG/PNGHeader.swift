/// The IHDR chunk: what one row of pixels looks like.
struct PNGHeader {
  enum Colour: Int { case grey = 0, rgb = 2, palette = 3, greyAlpha = 4, rgbAlpha = 6 }

  let width: Int
  let height: Int
  /// Bits per sample: 1, 2, 4, 8 or 16.
  let depth: Int
  let colour: Colour
  let interlaced: Bool

  init(_ chunk: ByteSource) throws(ImageFault) {
    guard chunk.count == 13, let width = chunk.bigEndian32(0), let height = chunk.bigEndian32(4) else {
      throw .corrupt("the IHDR chunk is \(chunk.count) bytes long, not 13")
    }
    self.width = width
    self.height = height
    depth = Int(chunk[8])
    guard let colour = Colour(rawValue: Int(chunk[9])) else {
      throw .corrupt("it has the unknown colour type \(chunk[9])")
    }
    let depths: [Int] =
      switch colour {
      case .grey: [1, 2, 4, 8, 16]
      case .palette: [1, 2, 4, 8]
      case .rgb, .greyAlpha, .rgbAlpha: [8, 16]
      }
    guard depths.contains(depth) else { throw .corrupt("colour type \(chunk[9]) has no depth of \(depth) bits") }
    self.colour = colour
    guard chunk[10] == 0, chunk[11] == 0 else { throw .unsupported("an unknown compression or filter method") }
    guard chunk[12] <= 1 else { throw .unsupported("the unknown interlace method \(chunk[12])") }
    interlaced = chunk[12] == 1
  }

  var channels: Int {
    switch colour {
    case .grey, .palette: 1
    case .greyAlpha: 2
    case .rgb: 3
    case .rgbAlpha: 4
    }
  }

  /// Bytes of one row of `width` pixels, without its filter byte. The side limit keeps this far from overflow.
  func rowBytes(width: Int) -> Int { (width * channels * depth + 7) / 8 }

  /// How many bytes back a filter looks for the pixel to the left.
  var filterStep: Int { max(1, channels * depth / 8) }

  struct Pass {
    let x, y, stepX, stepY, width, height: Int
  }

  /// One pass, or the seven of Adam7 less those that have no pixel.
  var passes: [Pass] {
    guard interlaced else { return [Pass(x: 0, y: 0, stepX: 1, stepY: 1, width: width, height: height)] }
    let adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    return adam7.compactMap { x, y, stepX, stepY in
      guard width > x, height > y else { return nil }
      return Pass(
        x: x, y: y, stepX: stepX, stepY: stepY, width: (width - x + stepX - 1) / stepX,
        height: (height - y + stepY - 1) / stepY)
    }
  }
}
