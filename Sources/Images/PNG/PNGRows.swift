/// Undoes a row filter in place (PNG section 9). `above` is the previous row of the same pass, nil for the first.
///
/// The caller guarantees `count` bytes at both pointers.
/// - Returns: false for an unknown filter type.
func unfilter(
  _ row: UnsafeMutablePointer<UInt8>, _ above: UnsafeMutablePointer<UInt8>?, type: UInt8, count: Int, step: Int
) -> Bool {
  switch type {
  case 0: break
  case 1:
    var index = step
    while index < count {
      row[index] &+= row[index - step]
      index += 1
    }
  case 2:
    guard let above else { break }
    for index in 0..<count { row[index] &+= above[index] }
  case 3:
    for index in 0..<count {
      let left = index >= step ? Int(row[index - step]) : 0
      let up = above.map { Int($0[index]) } ?? 0
      row[index] &+= UInt8(truncatingIfNeeded: (left + up) >> 1)
    }
  case 4:
    for index in 0..<count {
      let left = index >= step ? Int(row[index - step]) : 0
      let up = above.map { Int($0[index]) } ?? 0
      let corner = index >= step ? above.map { Int($0[index - step]) } ?? 0 : 0
      row[index] &+= UInt8(truncatingIfNeeded: paeth(left, up, corner))
    }
  default: return false
  }
  return true
}

/// Whichever of the three neighbours is nearest to left + up - corner; ties go left, up, corner.
@inline(__always)
func paeth(_ left: Int, _ up: Int, _ corner: Int) -> Int {
  let toLeft = abs(up - corner)
  let toUp = abs(left - corner)
  let toCorner = abs(left + up - corner - corner)
  if toLeft <= toUp && toLeft <= toCorner { return left }
  return toUp <= toCorner ? up : corner
}

/// Turns unfiltered rows into RGB.
struct PNGRowExpander {
  let header: PNGHeader
  /// RGB of every index a row can hold. Indices past the end of PLTE are black.
  private let palette: [UInt8]

  init(header: PNGHeader, palette: [UInt8]) {
    self.header = header
    self.palette = palette + [UInt8](repeating: 0, count: 768 - palette.count)
  }

  /// Writes `count` pixels `step` bytes apart. The caller guarantees the row's bytes and the room.
  func expand(_ row: UnsafePointer<UInt8>, count: Int, into target: UnsafeMutablePointer<UInt8>, step: Int) {
    var out = target
    // Of 16-bit samples the high byte is kept, as stb_image and Pillow do.
    let sample = header.depth / 8
    switch header.colour {
    case .rgb, .rgbAlpha:
      let pixel = sample * header.channels
      for index in 0..<count {
        let from = row + index * pixel
        out[0] = from[0]
        out[1] = from[sample]
        out[2] = from[2 * sample]
        out += step
      }
    case .grey where header.depth >= 8, .greyAlpha:
      let pixel = sample * header.channels
      for index in 0..<count {
        let value = row[index * pixel]
        out[0] = value
        out[1] = value
        out[2] = value
        out += step
      }
    case .grey:
      let scale = 255 / ((1 << header.depth) - 1)
      for index in 0..<count {
        let value = UInt8(packed(row, index) * scale)
        out[0] = value
        out[1] = value
        out[2] = value
        out += step
      }
    case .palette:
      palette.withUnsafeBufferPointer { palette in
        for index in 0..<count {
          let entry = packed(row, index) * 3
          out[0] = palette[entry]
          out[1] = palette[entry + 1]
          out[2] = palette[entry + 2]
          out += step
        }
      }
    }
  }

  /// Sample `index` of a row of 1, 2, 4 or 8 bits per sample, the first in the high bits.
  @inline(__always)
  private func packed(_ row: UnsafePointer<UInt8>, _ index: Int) -> Int {
    let depth = header.depth
    let bit = index * depth
    return Int(row[bit >> 3]) >> (8 - depth - bit & 7) & ((1 << depth) - 1)
  }
}
