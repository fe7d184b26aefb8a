import OccamCore

/// WebP (RFC 9649): lossy with or without alpha, lossless, and the first frame of an animation. Pixels are libwebp's.
///
/// Memory beside the picture: 1.5 bytes a pixel lossy (2.5 with alpha), 4 lossless.
struct WebPDecoder {
  let data: ByteSource
  let options: ImageDecodingOptions
  let log: DamageLog
  private(set) var orientation = 1
  private var canvasSize: ImageSize?
  private var isAnimated = false
  private var frame: Frame?

  /// What one picture of the file is made of.
  private struct Frame {
    var x = 0
    var y = 0
    var size: ImageSize
    var alpha: ByteSource?
    var lossy: ByteSource?
    var lossless: ByteSource?
  }

  init(_ data: ByteSource, options: ImageDecodingOptions, log: DamageLog) {
    self.data = data
    self.options = options
    self.log = log
  }

  static func matches(_ data: ByteSource) -> Bool {
    data.starts(with: Array("RIFF".utf8)) && data.starts(with: Array("WEBP".utf8), at: 8)
  }

  mutating func decode() throws(ImageFault) -> Image {
    let (frame, size) = try readChunks()
    let canvas = OrientedCanvas(
      width: size.width, height: size.height, orientation: orientation, background: options.background)
    if frame.lossless != nil {
      try drawLossless(frame, canvas)
    } else {
      try drawLossy(frame, canvas)
    }
    return canvas.image()
  }

  /// The upright size, from the headers only.
  mutating func decodeSize() throws(ImageFault) -> ImageSize { orientedSize(try readChunks().size, orientation) }

  private mutating func readChunks() throws(ImageFault) -> (frame: Frame, size: ImageSize) {
    guard let length = data.littleEndian32(4) else { throw .truncated("it ends inside the RIFF header") }
    if length > data.count - 8 { try log.report(.truncated("it is shorter than its RIFF header says")) }
    try readChunks(data.slice(12..<min(data.count, max(length, 4) + 8)), inFrame: false)
    guard let frame else { throw .truncated("it has no picture") }
    let size = canvasSize ?? frame.size
    try options.limits.check(width: size.width, height: size.height)
    guard frame.x + frame.size.width <= size.width, frame.y + frame.size.height <= size.height,
      isAnimated || frame.size == size
    else { throw .corrupt("its frame does not fit its canvas") }
    return (frame, size)
  }

  private mutating func readChunks(_ body: ByteSource, inFrame: Bool) throws(ImageFault) {
    var position = 0
    while let length = body.littleEndian32(position + 4) {
      let content = body.slice(position + 8..<position + 8 + length)
      let name = body.bigEndian32(position) ?? 0
      position += 8 + length + length & 1
      switch name {
      case Chunk.extended where !inFrame && canvasSize == nil && frame == nil:
        guard let flags = content.byte(0), let width = content.littleEndian24(4), let height = content.littleEndian24(7)
        else { throw .truncated("its VP8X chunk is too short") }
        isAnimated = flags & 2 != 0
        canvasSize = ImageSize(width: width + 1, height: height + 1)
        try options.limits.check(width: width + 1, height: height + 1)
      case Chunk.animationFrame where !inFrame && isAnimated && frame == nil: try readFrame(content)
      case Chunk.alpha where inFrame || !isAnimated:
        if frame?.lossy == nil, frame?.lossless == nil {
          frame = frame ?? Frame(size: ImageSize(width: 0, height: 0))
          frame?.alpha = content
        }
      case Chunk.lossy where inFrame || !isAnimated:
        if frame?.lossy == nil, frame?.lossless == nil {
          frame = frame ?? Frame(size: ImageSize(width: 0, height: 0))
          frame?.lossy = content
          frame?.size = try VP8Header.size(content)
        }
      case Chunk.lossless where inFrame || !isAnimated:
        if frame?.lossy == nil, frame?.lossless == nil {
          frame = frame ?? Frame(size: ImageSize(width: 0, height: 0))
          frame?.lossless = content
          var decoder = VP8LDecoder(content)
          frame?.size = try decoder.readHeader().size
        }
      case Chunk.exif where !inFrame:
        // Some writers keep JPEG's prefix.
        let skip = content.starts(with: Array("Exif\0\0".utf8)) ? 6 : 0
        let found = exifOrientation(tiff: content.slice(skip..<content.count))
        if found.isLong { try log.report(.corrupt("its EXIF orientation is a LONG, not a SHORT")) }
        orientation = found.orientation
      default: break
      }
    }
    if !inFrame, let frame, frame.lossy == nil, frame.lossless == nil { throw .truncated("it has no picture") }
  }

  private mutating func readFrame(_ content: ByteSource) throws(ImageFault) {
    guard let x = content.littleEndian24(0), let y = content.littleEndian24(3), let width = content.littleEndian24(6),
      let height = content.littleEndian24(9), content.count >= 16
    else { throw .truncated("its ANMF chunk is too short") }
    let size = ImageSize(width: width + 1, height: height + 1)
    frame = Frame(x: 2 * x, y: 2 * y, size: size)
    try readChunks(content.slice(16..<content.count), inFrame: true)
    guard frame?.size == size else { throw .corrupt("its frame has another size than it says") }
  }

  private enum Chunk {
    static let extended = 0x5650_3858
    static let animationFrame = 0x414E_4D46
    static let alpha = 0x414C_5048
    static let lossy = 0x5650_3820
    static let lossless = 0x5650_384C
    static let exif = 0x4558_4946
  }

  private func drawLossless(_ frame: Frame, _ canvas: OrientedCanvas) throws(ImageFault) {
    guard let data = frame.lossless else { return }
    var decoder = VP8LDecoder(data)
    let hasAlpha = try decoder.readHeader().hasAlpha
    let (pixels, rows, fault) = try decoder.decode(width: frame.size.width, height: frame.size.height)
    if let fault { try report(fault, rows) }
    for y in 0..<rows {
      canvas.withPixels(x: frame.x, y: frame.y + y) { target, step in
        for x in 0..<frame.size.width {
          let pixel = pixels.pointer[y &* frame.size.width &+ x]
          let colour = (
            UInt8(truncatingIfNeeded: pixel &>> 16), UInt8(truncatingIfNeeded: pixel &>> 8),
            UInt8(truncatingIfNeeded: pixel)
          )
          let alpha = hasAlpha ? UInt8(truncatingIfNeeded: pixel &>> 24) : 255
          compose(colour, alpha, options.background, target + x &* step)
        }
      }
    }
  }

  private func drawLossy(_ frame: Frame, _ canvas: OrientedCanvas) throws(ImageFault) {
    guard let data = frame.lossy else { return }
    let (width, height) = (frame.size.width, frame.size.height)
    var alpha: AlignedBuffer<UInt8>?
    if let chunk = frame.alpha {
      do throws(ImageFault) { alpha = try decodeWebPAlpha(chunk, width: width, height: height) } catch {
        try log.report(error)
      }
    }
    var decoder = try VP8Decoder(data)
    let (planes, rows) = decoder.decode()
    if rows < height { try report(.truncated("its VP8 data ends early"), rows) }
    let converter = WebPRowConverter(planes, width: width, height: height)
    let line = AlignedBuffer<UInt8>(count: 3 * width)
    for y in 0..<rows {
      converter.convert(y, line.pointer)
      canvas.withPixels(x: frame.x, y: frame.y + y) { target, step in
        for x in 0..<width {
          let from = line.pointer + 3 &* x
          let opacity = alpha.map { $0.pointer[y &* width &+ x] } ?? 255
          compose((from[0], from[1], from[2]), opacity, options.background, target + x &* step)
        }
      }
    }
  }

  /// Damage behind at least one row is shown; one complaint is enough where the file is too short.
  private func report(_ fault: ImageFault, _ rows: Int) throws(ImageFault) {
    guard rows > 0 else { throw fault }
    try log.reportConsequence(fault)
  }
}
