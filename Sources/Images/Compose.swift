/// Puts a colour of opacity `alpha` (255 is opaque) on the background, each channel rounded to the nearest level.
@inline(__always)
func compose(
  _ colour: (UInt8, UInt8, UInt8), _ alpha: UInt8, _ background: RGB, _ out: UnsafeMutablePointer<UInt8>
) {
  if alpha == 255 {
    (out[0], out[1], out[2]) = colour
    return
  }
  out[0] = mixed(colour.0, alpha, background.red)
  out[1] = mixed(colour.1, alpha, background.green)
  out[2] = mixed(colour.2, alpha, background.blue)
}

@inline(__always)
private func mixed(_ front: UInt8, _ alpha: UInt8, _ back: UInt8) -> UInt8 {
  let sum = UInt32(front) &* UInt32(alpha) &+ UInt32(back) &* (255 &- UInt32(alpha))
  return UInt8(truncatingIfNeeded: (sum &+ 127) / 255)
}
