import OccamCore

/// A change of the pixels that made them compress better, to be undone (RFC 9649, section 3.5).
struct VP8LTransform {
  enum Kind { case predictor, crossColour, subtractGreen, palette }

  let kind: Kind
  /// Width of the picture that undoing it yields.
  let width: Int
  /// Of the tile side; of the packing for a palette: 1 << bits pixels in one.
  let bits: Int
  /// The tiles' modes or factors; the palette, filled up with transparent black.
  let data: AlignedBuffer<UInt32>

  /// Undoes it on the first `rows` rows.
  /// - Returns: `pixels`, changed in place, or wider ones.
  func invert(_ pixels: AlignedBuffer<UInt32>, rows: Int) -> AlignedBuffer<UInt32> {
    switch kind {
    case .predictor: addPredictions(pixels.pointer, rows)
    case .crossColour: addColours(pixels.pointer, rows)
    case .subtractGreen:
      for index in 0..<rows * width {
        let pixel = pixels.pointer[index]
        let green = pixel &>> 8 & 0xFF
        let redBlue = (pixel & 0x00FF_00FF) &+ (green &<< 16 | green)
        pixels.pointer[index] = pixel & 0xFF00_FF00 | redBlue & 0x00FF_00FF
      }
    case .palette: return unpack(pixels, rows)
    }
    return pixels
  }

  private func unpack(_ pixels: AlignedBuffer<UInt32>, _ rows: Int) -> AlignedBuffer<UInt32> {
    let packedWidth = divideUp(width, 1 << bits)
    // In place where nothing is packed.
    let result =
      bits == 0 ? pixels : AlignedBuffer<UInt32>(count: pixels.count / packedWidth * width)
    let depth = 8 >> bits
    let mask = UInt32(1 << depth - 1)
    for y in 0..<rows {
      for x in 0..<width {
        let green = pixels.pointer[y &* packedWidth &+ x &>> bits] &>> 8 & 0xFF
        let shift = UInt32(truncatingIfNeeded: (x & (1 &<< bits &- 1)) &* depth)
        result.pointer[y &* width &+ x] = data.pointer[Int(green &>> shift & mask)]
      }
    }
    return result
  }

  private func addColours(_ pixels: UnsafeMutablePointer<UInt32>, _ rows: Int) {
    @inline(__always)
    func product(_ factor: UInt32, _ level: UInt32) -> UInt32 {
      let (a, b) = (Int8(truncatingIfNeeded: factor), Int8(truncatingIfNeeded: level))
      return UInt32(truncatingIfNeeded: (Int32(a) &* Int32(b)) &>> 5)
    }
    let tilesWide = divideUp(width, 1 << bits)
    for y in 0..<rows {
      for x in 0..<width {
        let factors = data.pointer[(y &>> bits) &* tilesWide &+ x &>> bits]
        let pixel = pixels[y &* width &+ x]
        let green = pixel &>> 8
        let red = (pixel &>> 16 &+ product(factors, green)) & 0xFF
        let blue = pixel &+ product(factors &>> 8, green) &+ product(factors &>> 16, red)
        pixels[y &* width &+ x] = pixel & 0xFF00_FF00 | red &<< 16 | blue & 0xFF
      }
    }
  }

  private func addPredictions(_ pixels: UnsafeMutablePointer<UInt32>, _ rows: Int) {
    guard rows > 0 else { return }
    pixels[0] = addBytes(pixels[0], 0xFF00_0000)
    for x in 1..<max(width, 1) { pixels[x] = addBytes(pixels[x], pixels[x - 1]) }
    let tilesWide = divideUp(width, 1 << bits)
    for y in 1..<max(rows, 1) {
      let row = pixels + y &* width
      row[0] = addBytes(row[0], row[-width])
      for x in 1..<max(width, 1) {
        let mode = data.pointer[(y &>> bits) &* tilesWide &+ x &>> bits] &>> 8 & 15
        // Right of the last pixel of the row above comes the first of this one.
        let (left, top, topLeft, topRight) = (row[x &- 1], row[x &- width], row[x &- width &- 1], row[x &- width &+ 1])
        row[x] = addBytes(row[x], predict(mode, left, top, topLeft, topRight))
      }
    }
  }
}

/// Sums of the four bytes, each modulo 256.
@inline(__always)
func addBytes(_ a: UInt32, _ b: UInt32) -> UInt32 {
  ((a & 0xFF00_FF00) &+ (b & 0xFF00_FF00)) & 0xFF00_FF00 | ((a & 0x00FF_00FF) &+ (b & 0x00FF_00FF)) & 0x00FF_00FF
}

@inline(__always)
private func mean(_ a: UInt32, _ b: UInt32) -> UInt32 { ((a ^ b) & 0xFEFE_FEFE) &>> 1 &+ a & b }

@inline(__always)
private func predict(_ mode: UInt32, _ left: UInt32, _ top: UInt32, _ topLeft: UInt32, _ topRight: UInt32) -> UInt32 {
  switch mode {
  case 1: left
  case 2: top
  case 3: topRight
  case 4: topLeft
  case 5: mean(mean(left, topRight), top)
  case 6: mean(left, topLeft)
  case 7: mean(left, top)
  case 8: mean(topLeft, top)
  case 9: mean(top, topRight)
  case 10: mean(mean(left, topLeft), mean(top, topRight))
  case 11: nearer(left, top, topLeft)
  case 12: bytes(channels(left) &+ channels(top) &- channels(topLeft))
  case 13: extended(channels(mean(left, top)), channels(topLeft))
  default: 0xFF00_0000
  }
}

/// The left or the upper pixel, whichever is nearer to left + top - corner.
@inline(__always)
private func nearer(_ left: UInt32, _ top: UInt32, _ corner: UInt32) -> UInt32 {
  let (l, t, c) = (channels(left), channels(top), channels(corner))
  let (toLeft, toTop) = (t &- c, l &- c)
  func size(_ v: SIMD4<Int32>) -> Int32 { v.replacing(with: 0 &- v, where: v .< 0).wrappedSum() }
  return size(toLeft) < size(toTop) ? left : top
}

@inline(__always)
private func channels(_ pixel: UInt32) -> SIMD4<Int32> {
  SIMD4<Int32>(
    Int32(pixel & 0xFF), Int32(pixel &>> 8 & 0xFF), Int32(pixel &>> 16 & 0xFF), Int32(pixel &>> 24))
}

/// Half again the way from `b` to `a`, rounded towards `a`.
@inline(__always)
private func extended(_ a: SIMD4<Int32>, _ b: SIMD4<Int32>) -> UInt32 { bytes(a &+ (a &- b) / 2) }

/// Channels cut to bytes.
@inline(__always)
private func bytes(_ values: SIMD4<Int32>) -> UInt32 {
  let cut = values.clamped(lowerBound: .zero, upperBound: .init(repeating: 255))
  return UInt32(cut[0]) | UInt32(cut[1]) &<< 8 | UInt32(cut[2]) &<< 16 | UInt32(cut[3]) &<< 24
}
