import OccamCore

/// BMP: Windows and OS/2 bitmaps of 1, 4, 8, 16, 24 and 32 bits, RLE4, RLE8 and bit fields, bottom up or top down.
///
/// Opacity counts only where the header names a mask for it. Memory beside the picture: one byte for each pixel of a
/// run-length coded file.
struct BMPDecoder {
  let data: ByteSource
  let options: ImageDecodingOptions
  let log: DamageLog

  static func matches(_ data: ByteSource) -> Bool {
    guard data.starts(with: Array("BM".utf8)), let size = data.littleEndian32(14) else { return false }
    return [12, 16, 40, 52, 56, 64, 108, 124].contains(size)
  }

  func decodeSize() throws(ImageFault) -> ImageSize {
    let header = try BMPHeader(data, options.limits)
    return ImageSize(width: header.width, height: header.height)
  }

  func decode() throws(ImageFault) -> Image {
    let header = try BMPHeader(data, options.limits)
    let canvas = OrientedCanvas(
      width: header.width, height: header.height, orientation: 1, background: options.background)
    switch header.compression {
    case .none, .fields: try readRows(header, canvas)
    case .rle4, .rle8: try readRuns(header, canvas)
    }
    return canvas.image()
  }

  private func readRows(_ header: BMPHeader, _ canvas: OrientedCanvas) throws(ImageFault) {
    let rowBytes = (header.width * header.depth + 31) / 32 * 4
    let rows = min(max(data.count - header.pixelsAt, 0) / rowBytes, header.height)
    if rows < header.height {
      let fault = ImageFault.truncated("it ends inside its pixels")
      guard rows > 0 else { throw fault }
      try log.report(fault)
    }
    let fields = header.masks.map { BMPField(mask: $0) }
    for number in 0..<rows {
      let row = data.base + header.pixelsAt + number * rowBytes
      canvas.withPixels(x: 0, y: header.topDown ? number : header.height - 1 - number) { target, step in
        for x in 0..<header.width {
          let out = target + x &* step
          switch header.depth {
          case 1, 4, 8:
            let bit = x &* header.depth
            let index = Int(row[bit &>> 3]) &>> (8 &- header.depth &- bit & 7) & (1 &<< header.depth &- 1)
            header.paint(index, out)
          case 24: (out[0], out[1], out[2]) = (row[3 &* x &+ 2], row[3 &* x &+ 1], row[3 &* x])
          default:
            var pixel = UInt32(0)
            for byte in 0..<header.depth / 8 {
              pixel |= UInt32(row[header.depth / 8 &* x &+ byte]) &<< UInt32(truncatingIfNeeded: 8 &* byte)
            }
            let colour = (fields[0].level(pixel), fields[1].level(pixel), fields[2].level(pixel))
            compose(colour, fields[3].mask == 0 ? 255 : fields[3].level(pixel), options.background, out)
          }
        }
      }
    }
  }

  /// RLE4 and RLE8: pairs of a count and an index (or two), and escapes. What is passed over shows colour 0.
  private func readRuns(_ header: BMPHeader, _ canvas: OrientedCanvas) throws(ImageFault) {
    let (width, height) = (header.width, header.height)
    let indices = AlignedBuffer<UInt8>(count: width * height)
    var (x, y, position) = (0, 0, header.pixelsAt)
    let nibbles = header.compression == .rle4
    func put(_ index: Int) {
      // Runs do not wrap into the next row.
      if x < width, y < height { indices.pointer[y * width + x] = UInt8(truncatingIfNeeded: index) }
      x += 1
    }
    func finished() -> Bool {
      while let count = data.byte(position), let value = data.byte(position + 1) {
        position += 2
        if count > 0 {
          for i in 0..<count { put(nibbles ? (i & 1 == 0 ? value >> 4 : value & 15) : value) }
          continue
        }
        switch value {
        case 0: (x, y) = (0, y + 1)
        case 1: return true
        case 2:
          guard let right = data.byte(position), let up = data.byte(position + 1) else { return false }
          position += 2
          (x, y) = (x + right, y + up)
        default:
          for i in 0..<value {
            guard let byte = data.byte(position + (nibbles ? i / 2 : i)) else { return false }
            put(nibbles ? (i & 1 == 0 ? byte >> 4 : byte & 15) : byte)
          }
          let bytes = nibbles ? (value + 1) / 2 : value
          position += bytes + bytes & 1
        }
        if y >= height { return true }
      }
      return false
    }
    if !finished() {
      let fault = ImageFault.truncated("it ends inside its pixels")
      guard y > 0 || x > 0 else { throw fault }
      try log.report(fault)
    }
    for row in 0..<height {
      canvas.withPixels(x: 0, y: header.topDown ? row : height - 1 - row) { target, step in
        for x in 0..<width { header.paint(Int(indices.pointer[row * width + x]), target + x * step) }
      }
    }
  }
}

/// The bits of a pixel that hold one colour.
struct BMPField {
  let mask: UInt32
  private let shift: UInt32
  private let largest: UInt32

  init(mask: UInt32) {
    self.mask = mask
    shift = mask == 0 ? 0 : UInt32(mask.trailingZeroBitCount)
    largest = max(mask >> shift, 1)
  }

  /// 0...255, rounded down as Pillow does.
  @inline(__always)
  func level(_ pixel: UInt32) -> UInt8 {
    let value = (pixel & mask) &>> shift
    return UInt8(truncatingIfNeeded: UInt64(value) &* 255 / UInt64(largest))
  }
}
