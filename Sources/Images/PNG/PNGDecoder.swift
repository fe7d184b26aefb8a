import OccamCore

/// PNG (W3C Portable Network Graphics, second edition): every colour type and depth, interlaced or not.
///
/// Strict where damage shows: the CRC of every chunk and the zlib check value are verified, the file must reach IEND.
/// Gamma and colour-space chunks are ignored, as Pillow and stb_image do.
struct PNGDecoder {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  let data: ByteSource
  let limits: ImageLimits
  private(set) var orientation = 1

  init(_ data: ByteSource, limits: ImageLimits) {
    self.data = data
    self.limits = limits
  }

  mutating func decode() throws(ImageFault) -> Image {
    var header: PNGHeader?
    var palette: [UInt8] = []
    var compressed: [UInt8] = []
    var inImageData = false
    var imageDataEnded = false
    var position = Self.signature.count
    while true {
      let chunk = try readChunk(at: &position)
      if header == nil, chunk.type != Chunk.header { throw .corrupt("the first chunk is not IHDR") }
      if inImageData, chunk.type != Chunk.imageData { (inImageData, imageDataEnded) = (false, true) }
      switch chunk.type {
      case Chunk.header:
        guard header == nil else { throw .corrupt("it has two IHDR chunks") }
        let parsed = try PNGHeader(chunk.content)
        try limits.check(width: parsed.width, height: parsed.height)
        header = parsed
      case Chunk.palette:
        guard chunk.content.count % 3 == 0, chunk.content.count <= 768 else {
          throw .corrupt("the palette is \(chunk.content.count) bytes long")
        }
        palette = Array(UnsafeBufferPointer(start: chunk.content.base, count: chunk.content.count))
      case Chunk.imageData:
        guard !imageDataEnded else { throw .corrupt("the IDAT chunks are not consecutive") }
        inImageData = true
        compressed.append(contentsOf: UnsafeBufferPointer(start: chunk.content.base, count: chunk.content.count))
      case Chunk.exif: orientation = exifOrientation(tiff: chunk.content)
      case Chunk.end:
        guard let header else { throw .corrupt("it has no IHDR chunk") }
        return try assemble(header, palette, compressed)
      default:
        // Bit 5 of the first letter marks what a decoder may skip.
        guard chunk.type >> 24 & 0x20 != 0 else { throw .unsupported("it needs the unknown chunk '\(chunk.name)'") }
      }
    }
  }

  private enum Chunk {
    static let header = 0x4948_4452
    static let palette = 0x504C_5445
    static let imageData = 0x4944_4154
    static let end = 0x4945_4E44
    static let exif = 0x6558_4966
  }

  private struct ChunkView {
    let type: Int
    let content: ByteSource
    var name: String {
      String(decoding: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: type >> $0) }, as: UTF8.self)
    }
  }

  private func readChunk(at position: inout Int) throws(ImageFault) -> ChunkView {
    guard let length = data.bigEndian32(position), let type = data.bigEndian32(position + 4) else {
      throw .truncated("it ends before the IEND chunk")
    }
    guard length <= 0x7FFF_FFFF else { throw .corrupt("a chunk has a bad length") }
    let letters = [24, 16, 8, 0].allSatisfy { shift in
      let letter = type >> shift & 0xDF
      return letter >= 0x41 && letter <= 0x5A
    }
    guard letters else { throw .corrupt("a chunk has a name that is not four letters") }
    let start = position + 8
    let chunk = ChunkView(type: type, content: data.slice(start..<start + length))
    guard let stored = data.bigEndian32(start + length) else { throw .truncated("it ends inside chunk \(chunk.name)") }
    let covered = data.slice(start - 4..<start + length)
    guard CRC32.of(UnsafeBufferPointer(start: covered.base, count: covered.count)) == UInt32(stored) else {
      throw .corrupt("the CRC of chunk \(chunk.name) does not match")
    }
    position = start + length + 4
    return chunk
  }

  private func assemble(_ header: PNGHeader, _ palette: [UInt8], _ compressed: [UInt8]) throws(ImageFault) -> Image {
    guard header.colour != .palette || !palette.isEmpty else { throw .corrupt("it has no palette") }
    let passes = header.passes
    let expected = passes.reduce(0) { $0 + $1.height * (1 + header.rowBytes(width: $1.width)) }
    // Deflate cannot shrink more than 1032 to 1: refuse before allocating.
    guard expected / 1032 <= compressed.count else { throw .truncated("its data is far too short for its size") }
    let raw = try compressed.withUnsafeBufferPointer { buffer throws(ImageFault) -> AlignedBuffer<UInt8> in
      try inflateZlib(ByteSource(UnsafeRawBufferPointer(buffer)), expected: expected)
    }
    var image = Image(width: header.width, height: header.height, filledWith: (0, 0, 0))
    let expander = PNGRowExpander(header: header, palette: palette)
    try image.pixels.withUnsafeMutableBufferPointer { pixels throws(ImageFault) -> Void in
      guard let base = pixels.baseAddress else { return }
      var row = raw.pointer
      for pass in passes {
        let bytes = header.rowBytes(width: pass.width)
        var above: UnsafeMutablePointer<UInt8>?
        for y in 0..<pass.height {
          let current = row + 1
          guard unfilter(current, above, type: row[0], count: bytes, step: header.filterStep) else {
            throw .corrupt("row \(y) has the unknown filter type \(row[0])")
          }
          let target = base + ((pass.y + y * pass.stepY) * header.width + pass.x) * 3
          expander.expand(current, count: pass.width, into: target, step: pass.stepX * 3)
          above = current
          row = current + bytes
        }
      }
    }
    return image
  }
}
