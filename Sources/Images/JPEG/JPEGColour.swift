import OccamCore

enum JPEGColourSpace { case grey, yCbCr, rgb, cmyk, ycck }

/// Turns decoded samples into rows of the picture as soon as all that a row needs is there.
final class JPEGRowWriter {
  private let canvas: OrientedCanvas
  private let space: JPEGColourSpace
  private let upsamplers: [JPEGUpsampler]
  private let line: AlignedBuffer<UInt8>
  /// Rows that must be decoded beyond a row before it can be written.
  private let lookahead: Int
  private var next = 0

  init(_ frame: JPEGFrame, _ space: JPEGColourSpace, _ canvas: OrientedCanvas) {
    self.canvas = canvas
    self.space = space
    upsamplers = frame.components.map { JPEGUpsampler($0, frame) }
    lookahead = upsamplers.contains(where: \.looksDown) ? 1 : 0
    line = AlignedBuffer(count: canvas.width * 3)
  }

  /// Writes what the first `rows` decoded rows of the picture make possible.
  func write(decoded rows: Int) {
    let end = rows >= canvas.height ? canvas.height : rows - lookahead
    while next < end {
      let y = next
      convert(upsamplers.map { $0.row(y, width: canvas.width) }, line.pointer, canvas.width)
      canvas.write(row: line.pointer, y: y)
      next += 1
    }
  }

  private func convert(_ rows: [UnsafePointer<UInt8>], _ out: UnsafeMutablePointer<UInt8>, _ width: Int) {
    switch space {
    case .grey:
      for x in 0..<width {
        let value = rows[0][x]
        (out[3 &* x], out[3 &* x &+ 1], out[3 &* x &+ 2]) = (value, value, value)
      }
    case .rgb:
      let (red, green, blue) = (rows[0], rows[1], rows[2])
      for x in 0..<width { (out[3 &* x], out[3 &* x &+ 1], out[3 &* x &+ 2]) = (red[x], green[x], blue[x]) }
    case .yCbCr:
      convertYCbCr(rows[0], rows[1], rows[2], out, width)
    case .cmyk:
      for channel in 0..<3 {
        let ink = rows[channel]
        for x in 0..<width { out[3 * x + channel] = ink[x] }
      }
      applyBlack(rows[3], out, width)
    case .ycck:
      // YCCK carries 255 - RGB as its inks: convert, then turn round.
      convertYCbCr(rows[0], rows[1], rows[2], out, width)
      for index in 0..<3 * width { out[index] = 255 - out[index] }
      applyBlack(rows[3], out, width)
    }
  }
}

/// Y, Cb, Cr to RGB (ITU-R BT.601, full range) with libjpeg's 16-bit fixed-point constants and rounding.
private func convertYCbCr(
  _ luma: UnsafePointer<UInt8>, _ cb: UnsafePointer<UInt8>, _ cr: UnsafePointer<UInt8>,
  _ out: UnsafeMutablePointer<UInt8>, _ width: Int
) {
  @inline(__always)
  func byte(_ value: Int32) -> UInt8 { UInt8(truncatingIfNeeded: min(max(value, 0), 255)) }
  let half: Int32 = 1 << 15
  for x in 0..<width {
    let y = Int32(luma[x])
    let b = Int32(cb[x]) &- 128
    let r = Int32(cr[x]) &- 128
    out[3 &* x] = byte(y &+ (91881 &* r &+ half) &>> 16)  // 1.40200
    out[3 &* x &+ 1] = byte(y &+ (-22554 &* b &- 46802 &* r &+ half) &>> 16)  // 0.34414, 0.71414
    out[3 &* x &+ 2] = byte(y &+ (116130 &* b &+ half) &>> 16)  // 1.77200
  }
}

/// Inks to RGB. JPEG files with four components store inks inverted (255 is none), as Adobe began it and Pillow takes
/// for granted; the formula and its rounding are Pillow's: black paper share minus ink times that share over 255.
///
/// `out` holds the three stored (inverted) inks and receives the colours.
private func applyBlack(_ black: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<UInt8>, _ width: Int) {
  for x in 0..<width {
    let share = Int32(black[x])
    for channel in 0..<3 {
      let ink = 255 &- Int32(out[3 &* x &+ channel])
      let product = ink &* share &+ 128
      let covered = (product &>> 8 &+ product) &>> 8
      out[3 &* x &+ channel] = UInt8(truncatingIfNeeded: max(share &- covered, 0))
    }
  }
}
