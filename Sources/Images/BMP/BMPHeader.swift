/// The file header and the bitmap header of a BMP file, in any of their versions.
struct BMPHeader {
  enum Compression { case none, rle8, rle4, fields }

  let width: Int
  let height: Int
  let topDown: Bool
  /// Bits per pixel.
  let depth: Int
  let compression: Compression
  let pixelsAt: Int
  /// Of red, green, blue and opacity; 0 where there is none.
  let masks: [UInt32]
  /// Blue, green, red and perhaps a fourth byte for each index.
  private let palette: ByteSource
  private let entrySize: Int

  init(_ data: ByteSource, _ limits: ImageLimits) throws(ImageFault) {
    let short = ImageFault.truncated("it ends inside the header")
    guard let pixelsAt = data.littleEndian32(10), let size = data.littleEndian32(14), data.count >= 14 + size else {
      throw short
    }
    func signed(_ offset: Int) -> Int? { data.littleEndian32(offset).map { Int(Int32(truncatingIfNeeded: $0)) } }
    let isCore = size == 12
    let stored = isCore ? data.littleEndian16(20) : signed(22)
    guard let width = isCore ? data.littleEndian16(18) : signed(18), let stored,
      let depth = data.littleEndian16(isCore ? 24 : 28)
    else { throw short }
    self.width = width
    height = abs(stored)
    topDown = stored < 0
    self.depth = depth
    try limits.check(width: width, height: height)
    let method = size >= 40 ? data.littleEndian32(30) ?? 0 : 0
    switch (method, depth) {
    case (0, 1), (0, 4), (0, 8), (0, 16), (0, 24), (0, 32): compression = .none
    case (1, 8): compression = .rle8
    case (2, 4): compression = .rle4
    case (3, 16), (3, 32), (6, 16), (6, 32): compression = .fields
    default: throw .unsupported("BMP of \(depth) bits with compression \(method)")
    }
    var end = 14 + size
    if compression == .fields {
      // Old headers are followed by three masks, or four; newer ones have them inside.
      let count = size >= 56 || method == 6 ? 4 : 3
      var masks = (0..<count).map { UInt32(data.littleEndian32(54 + 4 * $0) ?? 0) }
      if count == 3 { masks.append(0) }
      self.masks = masks
      if size == 40 { end += 4 * count }
    } else {
      masks = depth == 16 ? [0x7C00, 0x3E0, 0x1F, 0] : [0xFF_0000, 0xFF00, 0xFF, 0]
    }
    entrySize = isCore ? 3 : 4
    var colours = 0
    if depth <= 8 {
      let used = size >= 40 ? data.littleEndian32(46) ?? 0 : 0
      colours = used > 0 && used <= 256 ? used : 1 << depth
      // Where the pixels begin the palette ends.
      if pixelsAt > end { colours = min(colours, (pixelsAt - end) / entrySize) }
    }
    palette = data.slice(end..<end + colours * entrySize)
    self.pixelsAt = pixelsAt >= end ? pixelsAt : end + colours * entrySize
    guard self.pixelsAt < data.count else { throw .truncated("it ends before its pixels") }
    // Pixels without data cannot be asked for, except of runs.
    guard compression == .rle4 || compression == .rle8 || width * depth / 8 <= data.count else {
      throw .truncated("its data is far too short for its size")
    }
  }

  /// Writes the colour of an index; indices beyond the palette are black.
  @inline(__always)
  func paint(_ index: Int, _ out: UnsafeMutablePointer<UInt8>) {
    let at = index &* entrySize
    guard at &+ 2 < palette.count else {
      (out[0], out[1], out[2]) = (0, 0, 0)
      return
    }
    (out[0], out[1], out[2]) = (palette.base[at &+ 2], palette.base[at &+ 1], palette.base[at])
  }
}
