import OccamCore

/// Turns a VP8 frame into rows of RGB as libwebp does: chroma interpolated between its four nearest samples with
/// weights of 9, 3, 3 and 1 sixteenths, BT.601 of limited range in 14-bit fixed point.
struct WebPRowConverter {
  private let frame: VP8Frame
  private let width: Int
  private let height: Int
  /// Interpolated U and V of one row.
  private let chroma: AlignedBuffer<UInt8>

  init(_ frame: VP8Frame, width: Int, height: Int) {
    self.frame = frame
    self.width = width
    self.height = height
    chroma = AlignedBuffer(count: 2 * (width + 2))
  }

  /// Writes row `y`, 3 bytes a pixel.
  func convert(_ y: Int, _ out: UnsafeMutablePointer<UInt8>) {
    // Rows 2k - 1 and 2k lie between chroma rows k - 1 and k; the first row and the last of an even number repeat
    // theirs.
    let near = y >> 1
    let last = (height + 1) / 2 - 1
    let far = min(max(y & 1 == 0 ? near - 1 : near + 1, 0), last)
    let (u, v) = (chroma.pointer, chroma.pointer + width + 2)
    for (plane, target) in [(frame.u, u), (frame.v, v)] {
      interpolate(plane.origin + near * plane.stride, plane.origin + far * plane.stride, target)
    }
    let luma = frame.luma.origin + y * frame.luma.stride
    for x in 0..<width {
      let level = (Int32(luma[x]) &* 19077) &>> 8
      let (b, r) = (Int32(u[x]), Int32(v[x]))
      out[3 &* x] = byte(level &+ (r &* 26149) &>> 8 &- 14234)
      out[3 &* x &+ 1] = byte(level &- (b &* 6419) &>> 8 &- (r &* 13320) &>> 8 &+ 8708)
      out[3 &* x &+ 2] = byte(level &+ (b &* 33050) &>> 8 &- 17685)
    }
  }

  @inline(__always)
  private func byte(_ value: Int32) -> UInt8 { UInt8(truncatingIfNeeded: min(max(value &>> 6, 0), 255)) }

  /// One row at full width from the nearer and the farther row of chroma. The mean is taken in two roundings, as
  /// libwebp's.
  private func interpolate(
    _ near: UnsafePointer<UInt8>, _ far: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<UInt8>
  ) {
    @inline(__always)
    func edge(_ x: Int) -> UInt8 { UInt8(truncatingIfNeeded: (3 &* Int32(near[x]) &+ Int32(far[x]) &+ 2) &>> 2) }
    out[0] = edge(0)
    let pairs = (width - 1) >> 1
    var x = 1
    while x <= pairs {
      let (nearLeft, nearRight) = (Int32(near[x &- 1]), Int32(near[x]))
      let (farLeft, farRight) = (Int32(far[x &- 1]), Int32(far[x]))
      let sum = nearLeft &+ nearRight &+ farLeft &+ farRight &+ 8
      let falling = (sum &+ 2 &* (nearRight &+ farLeft)) &>> 3
      let rising = (sum &+ 2 &* (nearLeft &+ farRight)) &>> 3
      out[2 &* x &- 1] = UInt8(truncatingIfNeeded: (falling &+ nearLeft) &>> 1)
      out[2 &* x] = UInt8(truncatingIfNeeded: (rising &+ nearRight) &>> 1)
      x &+= 1
    }
    if width & 1 == 0 { out[width - 1] = edge(width / 2 - 1) }
  }
}
