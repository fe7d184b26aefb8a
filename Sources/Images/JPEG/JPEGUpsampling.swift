import OccamCore

/// Brings one component's rows to the picture's full resolution, as libjpeg-turbo's default ("fancy") upsampling does:
/// a triangle filter where chroma has half the resolution, repetition for every other ratio.
struct JPEGUpsampler {
  private enum Method { case copy, triangleH2V1, triangleH2V2, triangleH1V2, repeated }

  private let component: JPEGComponent
  private let method: Method
  private let horizontal: Int
  private let vertical: Int
  private let frameHorizontal: Int
  private let frameVertical: Int
  private let scratch: AlignedBuffer<UInt8>

  init(_ component: JPEGComponent, _ frame: JPEGFrame) {
    self.component = component
    // Decoded samples per sampling unit: a chroma block may be scaled down less than a luma block.
    horizontal = component.horizontal * component.blockSize / frame.scale
    vertical = component.vertical * component.blockSize / frame.scale
    frameHorizontal = frame.maxHorizontal
    frameVertical = frame.maxVertical
    let sameHorizontal = horizontal == frame.maxHorizontal
    let sameVertical = vertical == frame.maxVertical
    let halfHorizontal = horizontal * 2 == frame.maxHorizontal
    let halfVertical = vertical * 2 == frame.maxVertical
    // libjpeg repeats where a row has no inner samples for the horizontal filter, and at an eighth of the size.
    let wide = component.width > 2
    method =
      if sameHorizontal && sameVertical { .copy } else if frame.scale == 1 {
        .repeated
      } else if halfHorizontal
        && sameVertical && wide
      { .triangleH2V1 } else if sameHorizontal && halfVertical {
        .triangleH1V2
      } else if halfHorizontal && halfVertical
        && wide
      { .triangleH2V2 } else { .repeated }
    scratch = AlignedBuffer(count: max(2 * component.width, frame.scaledWidth) + 16)
  }

  /// Whether a row needs samples of the row below, which may lie in the next row of MCUs.
  var looksDown: Bool { method == .triangleH1V2 || method == .triangleH2V2 }

  /// At least the picture's width of samples for its row `y`. The pointer is good until the next call.
  func row(_ y: Int, width: Int) -> UnsafePointer<UInt8> {
    let out = scratch.pointer
    switch method {
    case .copy: return UnsafePointer(source(y))
    case .triangleH2V1:
      spreadH2V1(source(y), out)
    case .triangleH2V2:
      let near = y >> 1
      spreadH2V2(source(near), source(y & 1 == 0 ? near - 1 : near + 1), out)
    case .triangleH1V2:
      let near = source(y >> 1)
      let far = source(y & 1 == 0 ? (y >> 1) - 1 : (y >> 1) + 1)
      let bias = y & 1 == 0 ? 1 : 2
      for x in 0..<component.width {
        out[x] = UInt8(truncatingIfNeeded: (Int(near[x]) &* 3 &+ Int(far[x]) &+ bias) &>> 2)
      }
    case .repeated:
      let near = source(y * vertical / frameVertical)
      for x in 0..<width { out[x] = near[x * horizontal / frameHorizontal] }
    }
    return UnsafePointer(out)
  }

  /// Row `y` of the plane; the first and last rows stand for those beyond them.
  private func source(_ y: Int) -> UnsafeMutablePointer<UInt8> {
    component.samples(row: min(max(y, 0), component.height - 1))
  }

  private func spreadH2V1(_ near: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<UInt8>) {
    let last = component.width - 1
    for x in 1..<last {
      let value = Int32(near[x]) &* 3
      out[2 &* x] = UInt8(truncatingIfNeeded: (value &+ Int32(near[x &- 1]) &+ 1) &>> 2)
      out[2 &* x &+ 1] = UInt8(truncatingIfNeeded: (value &+ Int32(near[x &+ 1]) &+ 2) &>> 2)
    }
    out[0] = near[0]
    out[1] = UInt8(truncatingIfNeeded: (Int32(near[0]) &* 3 &+ Int32(near[1]) &+ 2) &>> 2)
    out[2 * last] = UInt8(truncatingIfNeeded: (Int32(near[last]) &* 3 &+ Int32(near[last - 1]) &+ 1) &>> 2)
    out[2 * last + 1] = near[last]
  }

  private func spreadH2V2(
    _ near: UnsafePointer<UInt8>, _ far: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<UInt8>
  ) {
    @inline(__always)
    func column(_ x: Int) -> Int32 { Int32(near[x]) &* 3 &+ Int32(far[x]) }
    let last = component.width - 1
    for x in 1..<last {
      let value = column(x) &* 3
      out[2 &* x] = UInt8(truncatingIfNeeded: (value &+ column(x &- 1) &+ 8) &>> 4)
      out[2 &* x &+ 1] = UInt8(truncatingIfNeeded: (value &+ column(x &+ 1) &+ 7) &>> 4)
    }
    out[0] = UInt8(truncatingIfNeeded: (column(0) &* 4 &+ 8) &>> 4)
    out[1] = UInt8(truncatingIfNeeded: (column(0) &* 3 &+ column(1) &+ 7) &>> 4)
    out[2 * last] = UInt8(truncatingIfNeeded: (column(last) &* 3 &+ column(last - 1) &+ 8) &>> 4)
    out[2 * last + 1] = UInt8(truncatingIfNeeded: (column(last) &* 4 &+ 7) &>> 4)
  }
}
