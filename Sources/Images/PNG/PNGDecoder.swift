import OccamCore

/// PNG (W3C Portable Network Graphics, second edition): every colour type and depth, interlaced or not; of an APNG the
/// default image.
///
/// Rows are decompressed one at a time: beside the picture (3 bytes a pixel) stand two rows and a window of 160 KiB.
/// What browsers show is shown, with a warning: wrong CRCs and check values (an ancillary chunk with a wrong CRC is
/// left out, as libpng does), a missing end, missing rows (the background), more data than rows. Gamma and colour-space
/// chunks are ignored, as Pillow and stb_image do.
struct PNGDecoder {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  let data: ByteSource
  let options: ImageDecodingOptions
  let log: DamageLog
  private(set) var storedSize = ImageSize(width: 0, height: 0)
  private(set) var orientation = 1
  private var header: PNGHeader?
  private var palette: [UInt8] = []
  private var transparency: [UInt8] = []
  private var compressed: [ByteSource] = []
  private var readsSizeOnly = false

  init(_ data: ByteSource, options: ImageDecodingOptions, log: DamageLog) {
    self.data = data
    self.options = options
    self.log = log
  }

  mutating func decode() throws(ImageFault) -> Image {
    try readChunks()
    guard let header else { throw .corrupt("it has no IHDR chunk") }
    return try assemble(header)
  }

  /// The upright size. EXIF data may stand behind the pixels, which are passed over.
  mutating func decodeSize() throws(ImageFault) -> ImageSize {
    readsSizeOnly = true
    try readChunks()
    return orientedSize(storedSize, orientation)
  }

  private mutating func readChunks() throws(ImageFault) {
    var inImageData = false
    var imageDataEnded = false
    var position = Self.signature.count
    while let chunk = try readChunk(at: &position) {
      if header == nil, chunk.type != Chunk.header { throw .corrupt("the first chunk is not IHDR") }
      if inImageData, chunk.type != Chunk.imageData { (inImageData, imageDataEnded) = (false, true) }
      guard chunk.isSound || !chunk.isAncillary else { continue }
      switch chunk.type {
      case Chunk.header:
        guard header == nil else { throw .corrupt("it has two IHDR chunks") }
        let parsed = try PNGHeader(chunk.content)
        try options.limits.check(width: parsed.width, height: parsed.height)
        storedSize = ImageSize(width: parsed.width, height: parsed.height)
        header = parsed
      case Chunk.palette:
        guard chunk.content.count % 3 == 0, chunk.content.count <= 768 else {
          throw .corrupt("the palette is \(chunk.content.count) bytes long")
        }
        palette = Array(UnsafeBufferPointer(start: chunk.content.base, count: chunk.content.count))
      case Chunk.transparency:
        guard chunk.content.count <= 256 else {
          throw .corrupt("the tRNS chunk is \(chunk.content.count) bytes long")
        }
        transparency = Array(UnsafeBufferPointer(start: chunk.content.base, count: chunk.content.count))
      case Chunk.imageData:
        guard !imageDataEnded else { throw .corrupt("the IDAT chunks are not consecutive") }
        inImageData = true
        compressed.append(chunk.content)
      case Chunk.exif:
        let found = exifOrientation(tiff: chunk.content)
        if found.isLong { try log.report(.corrupt("its EXIF orientation is a LONG, not a SHORT")) }
        orientation = found.orientation
      case Chunk.end: return
      default:
        guard chunk.isAncillary else { throw .unsupported("it needs the unknown chunk '\(chunk.name)'") }
      }
    }
  }

  private enum Chunk {
    static let header = 0x4948_4452
    static let palette = 0x504C_5445
    static let transparency = 0x7452_4E53
    static let imageData = 0x4944_4154
    static let end = 0x4945_4E44
    static let exif = 0x6558_4966
  }

  private struct ChunkView {
    let type: Int
    let content: ByteSource
    /// Whether its CRC is right.
    var isSound = true

    var name: String {
      String(decoding: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: type >> $0) }, as: UTF8.self)
    }
    /// Bit 5 of the first letter marks what a decoder may skip.
    var isAncillary: Bool { type >> 24 & 0x20 != 0 }
  }

  /// - Returns: nil, reported, where no further chunk can be read but image data has been.
  private func readChunk(at position: inout Int) throws(ImageFault) -> ChunkView? {
    guard let length = data.bigEndian32(position), let type = data.bigEndian32(position + 4) else {
      let fault = ImageFault.truncated("it ends before the IEND chunk")
      guard !compressed.isEmpty else { throw fault }
      try log.report(fault)
      return nil
    }
    let letters = [24, 16, 8, 0].allSatisfy { shift in
      let letter = type >> shift & 0xDF
      return letter >= 0x41 && letter <= 0x5A
    }
    guard letters, length <= 0x7FFF_FFFF else {
      let fault = ImageFault.corrupt("a chunk has a name that is not four letters, or a bad length")
      guard !compressed.isEmpty else { throw fault }
      try log.report(fault)
      return nil
    }
    let start = position + 8
    var chunk = ChunkView(type: type, content: data.slice(start..<start + length))
    position = start + length + 4
    guard let stored = data.bigEndian32(start + length) else {
      let fault = ImageFault.truncated("it ends inside chunk \(chunk.name)")
      guard type == Chunk.imageData || !compressed.isEmpty else { throw fault }
      try log.report(fault)
      return type == Chunk.imageData ? chunk : nil
    }
    if readsSizeOnly, type == Chunk.imageData { return chunk }
    let covered = data.slice(start - 4..<start + length)
    if CRC32.of(UnsafeBufferPointer(start: covered.base, count: covered.count)) != UInt32(stored) {
      try log.report(.corrupt("the CRC of chunk \(chunk.name) does not match"))
      chunk.isSound = false
    }
    return chunk
  }

  private func assemble(_ header: PNGHeader) throws(ImageFault) -> Image {
    guard header.colour != .palette || !palette.isEmpty else { throw .corrupt("it has no palette") }
    let passes = header.passes
    let expected = passes.reduce(0) { $0 + $1.height * (1 + header.rowBytes(width: $1.width)) }
    let available = compressed.reduce(0) { $0 + $1.count }
    guard available > 0 else { throw .truncated("it has no image data") }
    // Deflate cannot shrink more than 1032 to 1. Some of a damaged file may be missing, but a few bytes must not ask
    // for gigabytes.
    guard expected / 1032 / (log.strict ? 1 : 64) <= available else {
      throw .truncated("its data is far too short for its size")
    }
    var stream = try ZlibStream(compressed, expected: expected)
    let canvas = OrientedCanvas(
      width: header.width, height: header.height, orientation: orientation, background: options.background)
    let expander = PNGRowExpander(
      header: header, palette: palette, transparency: transparency, background: options.background)
    let rowRoom = 1 + header.rowBytes(width: header.width)
    var current = AlignedBuffer<UInt8>(count: rowRoom)
    var previous = AlignedBuffer<UInt8>(count: rowRoom)
    var rows = 0
    do throws(ImageFault) {
      for pass in passes {
        let bytes = header.rowBytes(width: pass.width)
        for y in 0..<pass.height {
          guard try stream.read(current.pointer, count: bytes + 1) == bytes + 1 else {
            throw .corrupt("the compressed data ends before the picture does")
          }
          let row = current.pointer + 1
          if y == 0 { previous.buffer.update(repeating: 0) }
          guard unfilter(row, previous.pointer + 1, type: current.pointer[0], count: bytes, step: header.filterStep)
          else {
            throw .corrupt("row \(y) has the unknown filter type \(current.pointer[0])")
          }
          canvas.withPixels(x: pass.x, y: pass.y + y * pass.stepY) { target, step in
            expander.expand(row, count: pass.width, into: target, step: step * pass.stepX)
          }
          rows += 1
          swap(&current, &previous)
        }
      }
    } catch {
      // Without a single row there is nothing to show.
      guard rows > 0 else { throw error }
      // What a cut chunk or a wrong CRC leads to has been said.
      try log.reportConsequence(error)
      return canvas.image()
    }
    if let fault = stream.faultAtEnd() { try log.reportConsequence(fault) }
    return canvas.image()
  }
}
