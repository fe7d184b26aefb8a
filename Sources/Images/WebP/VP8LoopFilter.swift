/// Smooths the edges between blocks (RFC 6386, section 15).
struct VP8LoopFilter {
  let simple: Bool

  /// Filters the edges of the macroblock at (`x`, `y`), counted in macroblocks: left edge, inner upright edges, upper
  /// edge, inner level edges.
  func filter(_ frame: VP8Frame, x: Int, y: Int, _ strength: VP8FilterStrength, inner: Bool) {
    guard strength.limit > 0 else { return }
    let luma = frame.luma.origin + (16 * y * frame.luma.stride + 16 * x)
    if simple {
      simpleEdges(luma, along: frame.luma.stride, across: 1, strength.limit, outer: x > 0, inner)
      simpleEdges(luma, along: 1, across: frame.luma.stride, strength.limit, outer: y > 0, inner)
      return
    }
    let chromaAt = 8 * y * frame.u.stride + 8 * x
    let planes = [
      (luma, frame.luma.stride, 16), (frame.u.origin + chromaAt, frame.u.stride, 8),
      (frame.v.origin + chromaAt, frame.v.stride, 8),
    ]
    for (plane, stride, size) in planes {
      normalEdges(plane, along: stride, across: 1, size, strength, outer: x > 0, inner)
    }
    for (plane, stride, size) in planes {
      normalEdges(plane, along: 1, across: stride, size, strength, outer: y > 0, inner)
    }
  }

  private func simpleEdges(
    _ start: UnsafeMutablePointer<UInt8>, along: Int, across: Int, _ limit: Int, outer: Bool, _ inner: Bool
  ) {
    for edge in 0..<(inner ? 4 : 1) where edge > 0 || outer {
      let threshold = Int32(2 * (edge == 0 ? limit + 4 : limit) + 1)
      for i in 0..<16 {
        let p = start + (4 &* edge &* across &+ i &* along)
        if step(p, across) <= threshold { filter2(p, across) }
      }
    }
  }

  private func normalEdges(
    _ start: UnsafeMutablePointer<UInt8>, along: Int, across: Int, _ size: Int, _ strength: VP8FilterStrength,
    outer: Bool, _ inner: Bool
  ) {
    let interior = Int32(strength.interiorLimit)
    let variance = Int32(strength.varianceThreshold)
    for edge in 0..<(inner ? size / 4 : 1) where edge > 0 || outer {
      let threshold = Int32(2 * (edge == 0 ? strength.limit + 4 : strength.limit) + 1)
      for i in 0..<size {
        let p = start + (4 &* edge &* across &+ i &* along)
        guard step(p, across) <= threshold, isSmooth(p, across, interior) else { continue }
        if difference(p, -2 &* across, -across) > variance || difference(p, across, 0) > variance {
          filter2(p, across)
        } else if edge == 0 {
          filter6(p, across)
        } else {
          filter4(p, across)
        }
      }
    }
  }
}

// In the following `p` is the first sample behind an edge, and `s` the distance of samples across it.

@inline(__always)
private func difference(_ p: UnsafePointer<UInt8>, _ a: Int, _ b: Int) -> Int32 { abs(Int32(p[a]) &- Int32(p[b])) }

@inline(__always)
private func difference(_ p: UnsafeMutablePointer<UInt8>, _ a: Int, _ b: Int) -> Int32 {
  difference(UnsafePointer(p), a, b)
}

@inline(__always)
private func step(_ p: UnsafeMutablePointer<UInt8>, _ s: Int) -> Int32 {
  4 &* difference(p, -s, 0) &+ difference(p, -2 &* s, s)
}

@inline(__always)
private func isSmooth(_ p: UnsafeMutablePointer<UInt8>, _ s: Int, _ limit: Int32) -> Bool {
  difference(p, -4 &* s, -3 &* s) <= limit && difference(p, -3 &* s, -2 &* s) <= limit
    && difference(p, -2 &* s, -s) <= limit && difference(p, 3 &* s, 2 &* s) <= limit
    && difference(p, 2 &* s, s) <= limit && difference(p, s, 0) <= limit
}

@inline(__always)
private func signed(_ value: Int32) -> Int32 { min(max(value, -128), 127) }

/// `(value) >> 3` within five bits, as a signed byte gives it.
@inline(__always)
private func eighth(_ value: Int32) -> Int32 { min(max(value &>> 3, -16), 15) }

@inline(__always)
private func move(_ p: UnsafeMutablePointer<UInt8>, _ at: Int, _ change: Int32) {
  p[at] = UInt8(truncatingIfNeeded: min(max(Int32(p[at]) &+ change, 0), 255))
}

@inline(__always)
private func filter2(_ p: UnsafeMutablePointer<UInt8>, _ s: Int) {
  let outer = signed(Int32(p[-2 &* s]) &- Int32(p[s]))
  let a = 3 &* (Int32(p[0]) &- Int32(p[-s])) &+ outer
  let (behind, before) = (eighth(a &+ 4), eighth(a &+ 3))
  move(p, -s, before)
  move(p, 0, 0 &- behind)
}

@inline(__always)
private func filter4(_ p: UnsafeMutablePointer<UInt8>, _ s: Int) {
  let a = 3 &* (Int32(p[0]) &- Int32(p[-s]))
  let (behind, before) = (eighth(a &+ 4), eighth(a &+ 3))
  let far = (behind &+ 1) &>> 1
  move(p, -2 &* s, far)
  move(p, -s, before)
  move(p, 0, 0 &- behind)
  move(p, s, 0 &- far)
}

@inline(__always)
private func filter6(_ p: UnsafeMutablePointer<UInt8>, _ s: Int) {
  let outer = signed(Int32(p[-2 &* s]) &- Int32(p[s]))
  let a = signed(3 &* (Int32(p[0]) &- Int32(p[-s])) &+ outer)
  let (near, middle, far) = ((27 &* a &+ 63) &>> 7, (18 &* a &+ 63) &>> 7, (9 &* a &+ 63) &>> 7)
  move(p, -3 &* s, far)
  move(p, -2 &* s, middle)
  move(p, -s, near)
  move(p, 0, 0 &- near)
  move(p, s, 0 &- middle)
  move(p, 2 &* s, 0 &- far)
}
