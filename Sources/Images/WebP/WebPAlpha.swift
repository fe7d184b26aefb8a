import OccamCore

/// Decodes an ALPH chunk (RFC 9649, section 2.7.1.2): the opacity of a VP8 frame, one byte a pixel.
func decodeWebPAlpha(_ chunk: ByteSource, width: Int, height: Int) throws(ImageFault) -> AlignedBuffer<UInt8> {
  guard let head = chunk.byte(0) else { throw .truncated("its ALPH chunk is empty") }
  let data = chunk.slice(1..<chunk.count)
  let alpha = AlignedBuffer<UInt8>(count: width * height)
  switch head & 3 {
  case 0:
    guard data.count >= alpha.count else { throw .truncated("its ALPH chunk is too short") }
    alpha.pointer.update(from: data.base, count: alpha.count)
  case 1:
    // A lossless image whose green channel counts.
    var decoder = VP8LDecoder(data)
    let (pixels, _, fault) = try decoder.decode(width: width, height: height)
    if let fault { throw fault }
    for index in 0..<alpha.count { alpha.pointer[index] = UInt8(truncatingIfNeeded: pixels.pointer[index] >> 8) }
  default: throw .corrupt("its ALPH chunk has the unknown compression \(head & 3)")
  }
  unfilter(alpha.pointer, width, height, method: head >> 2 & 3)
  return alpha
}

/// Adds the predictions back: 1 from the left, 2 from above, 3 left + above - corner. The first row is predicted from
/// the left and the first column from above.
private func unfilter(_ alpha: UnsafeMutablePointer<UInt8>, _ width: Int, _ height: Int, method: Int) {
  guard method > 0 else { return }
  for x in 1..<max(width, 1) { alpha[x] &+= alpha[x - 1] }
  for y in 1..<max(height, 1) {
    let row = alpha + y * width
    let above = row - width
    switch method {
    case 1:
      row[0] &+= above[0]
      for x in 1..<max(width, 1) { row[x] &+= row[x - 1] }
    case 2: for x in 0..<width { row[x] &+= above[x] }
    default:
      row[0] &+= above[0]
      for x in 1..<max(width, 1) {
        let sum = Int32(row[x - 1]) + Int32(above[x]) - Int32(above[x - 1])
        row[x] &+= UInt8(min(max(sum, 0), 255))
      }
    }
  }
}
