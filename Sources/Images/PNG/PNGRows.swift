/// Undoes a row filter in place (PNG section 9). `above` is the previous row of the same pass, zeros for the first.
///
/// The caller guarantees `count` bytes at both pointers.
/// - Returns: false for an unknown filter type.
func unfilter(
  _ row: UnsafeMutablePointer<UInt8>, _ above: UnsafePointer<UInt8>, type: UInt8, count: Int, step: Int
) -> Bool {
  // Nothing is left of the first pixel.
  let first = min(step, count)
  switch type {
  case 0: break
  case 1:
    for index in first..<count { row[index] &+= row[index &- step] }
  case 2:
    for index in 0..<count { row[index] &+= above[index] }
  case 3:
    for index in 0..<first { row[index] &+= above[index] >> 1 }
    for index in first..<count {
      row[index] &+= UInt8(truncatingIfNeeded: (Int32(row[index &- step]) &+ Int32(above[index])) &>> 1)
    }
  case 4:
    for index in 0..<first { row[index] &+= above[index] }
    for index in first..<count {
      let prediction = paeth(Int(row[index &- step]), Int(above[index]), Int(above[index &- step]))
      row[index] &+= UInt8(truncatingIfNeeded: prediction)
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

/// Turns unfiltered rows into RGB, composed on the background where they are transparent.
struct PNGRowExpander {
  let header: PNGHeader
  private let background: RGB
  /// RGB of every index a row can hold, composed. Indices past the end of PLTE are black.
  private let palette: [UInt8]
  /// The one transparent sample value (grey) or three (RGB) of a tRNS chunk, at the file's depth.
  private let key: [Int]

  init(header: PNGHeader, palette: [UInt8], transparency: [UInt8], background: RGB) {
    self.header = header
    self.background = background
    var colours = palette + [UInt8](repeating: 0, count: 768 - palette.count)
    if header.colour == .palette {
      for (index, alpha) in transparency.enumerated() {
        colours.withUnsafeMutableBufferPointer { buffer in
          guard let entry = buffer.baseAddress.map({ $0 + 3 * index }) else { return }
          compose((entry[0], entry[1], entry[2]), alpha, background, entry)
        }
      }
    }
    self.palette = colours
    let samples = header.colour == .grey ? 1 : header.colour == .rgb ? 3 : 0
    key =
      samples > 0 && transparency.count >= 2 * samples
      ? (0..<samples).map { Int(transparency[2 * $0]) << 8 | Int(transparency[2 * $0 + 1]) } : []
  }

  /// Writes `count` pixels `step` bytes apart. The caller guarantees the row's bytes and the room.
  func expand(_ row: UnsafePointer<UInt8>, count: Int, into target: UnsafeMutablePointer<UInt8>, step: Int) {
    // Of 16-bit samples the high byte is kept, as stb_image and Pillow do.
    let sample = header.depth / 8
    let pixel = sample * header.channels
    switch header.colour {
    case .rgb:
      for index in 0..<count {
        let from = row + index &* pixel
        let out = target + index &* step
        (out[0], out[1], out[2]) = (from[0], from[sample], from[2 &* sample])
      }
    case .rgbAlpha:
      for index in 0..<count {
        let from = row + index &* pixel
        compose((from[0], from[sample], from[2 &* sample]), from[3 &* sample], background, target + index &* step)
      }
    case .greyAlpha:
      for index in 0..<count {
        let from = row + index &* pixel
        compose((from[0], from[0], from[0]), from[sample], background, target + index &* step)
      }
    case .grey:
      let scale = header.depth < 8 ? 255 / ((1 << header.depth) - 1) : 1
      for index in 0..<count {
        let value = header.depth < 8 ? UInt8(packed(row, index) &* scale) : row[index &* pixel]
        let out = target + index &* step
        (out[0], out[1], out[2]) = (value, value, value)
      }
    case .palette:
      palette.withUnsafeBufferPointer { palette in
        for index in 0..<count {
          let entry = packed(row, index) * 3
          let out = target + index &* step
          (out[0], out[1], out[2]) = (palette[entry], palette[entry + 1], palette[entry + 2])
        }
      }
    }
    if !key.isEmpty { clear(row, count, target, step) }
  }

  /// Pixels of the key colour show the background. All 16 bits of a sample are compared, as the standard asks.
  private func clear(_ row: UnsafePointer<UInt8>, _ count: Int, _ target: UnsafeMutablePointer<UInt8>, _ step: Int) {
    for index in 0..<count {
      let isKey = key.indices.allSatisfy { channel in
        let place = index * header.channels + channel
        let value =
          header.depth == 16 ? Int(row[2 * place]) << 8 | Int(row[2 * place + 1]) : packed(row, place)
        return value == key[channel]
      }
      guard isKey else { continue }
      let out = target + index * step
      (out[0], out[1], out[2]) = (background.red, background.green, background.blue)
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
