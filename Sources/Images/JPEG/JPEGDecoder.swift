import OccamCore

/// JPEG (ITU-T T.81): baseline, extended sequential and progressive Huffman coding with 8 bits per sample.
///
/// The arithmetic is that of libjpeg-turbo's defaults (accurate integer IDCT, triangle chroma upsampling, 16-bit
/// fixed-point colour conversion), so that its pixels come out. Where libjpeg warns about damaged data and goes on, this
/// decoder refuses: a half-grey photo would be described with confidence.
struct JPEGDecoder {
  let data: ByteSource
  let limits: ImageLimits
  private(set) var orientation = 1

  var frame: JPEGFrame?
  /// Quantisation tables 0...3 in natural order.
  var quantTables = [AlignedBuffer<Int32>?](repeating: nil, count: 4)
  var dcTables = [JPEGHuffmanTable?](repeating: nil, count: 4)
  var acTables = [JPEGHuffmanTable?](repeating: nil, count: 4)
  /// MCUs between restart markers, 0 for none.
  var restartInterval = 0
  var scans = 0
  private var hasJFIF = false
  /// The transform flag of an Adobe APP14 segment.
  private var adobeTransform: Int?

  init(_ data: ByteSource, limits: ImageLimits) {
    self.data = data
    self.limits = limits
  }

  mutating func decode() throws(ImageFault) -> Image {
    var position = 2
    while true {
      let marker = try nextMarker(&position)
      switch marker {
      case 0xD9:
        guard var frame else { throw .corrupt("it ends without a frame") }
        try finish(&frame)
        return assembleRGB(frame, try colourSpace(frame))
      case 0xD0...0xD7, 0x01: continue
      case 0xD8: throw .corrupt("a second start-of-image marker")
      default: break
      }
      guard let length = data.bigEndian16(position), length >= 2 else { throw segmentFault(position) }
      guard length <= data.count - position else { throw .truncated("it ends inside a header segment") }
      let segment = data.slice(position + 2..<position + length)
      position += length
      switch marker {
      case 0xC0, 0xC1, 0xC2:
        guard frame == nil else { throw .corrupt("it has two frames") }
        frame = try JPEGFrame(segment, progressive: marker == 0xC2, limits: limits, remaining: data.count - position)
      case 0xC4: try readHuffmanTables(segment)
      case 0xC3, 0xC5...0xC7, 0xC8...0xCB, 0xCC...0xCF:
        throw .unsupported(
          "JPEG with lossless, hierarchical or arithmetic coding (marker 0x\(String(marker, radix: 16)))")
      case 0xDA: position = try readScan(segment, dataStart: position)
      case 0xDB: try readQuantTables(segment)
      case 0xDD:
        guard segment.count == 2, let interval = segment.bigEndian16(0) else {
          throw .corrupt("the restart interval has a bad length")
        }
        restartInterval = interval
      case 0xE0: if segment.starts(with: Array("JFIF\0".utf8)) { hasJFIF = true }
      case 0xE1:
        if orientation == 1, segment.starts(with: Array("Exif\0".utf8)) {
          orientation = exifOrientation(tiff: segment.slice(6..<segment.count))
        }
      case 0xEE: if segment.starts(with: Array("Adobe".utf8)), let flag = segment.byte(11) { adobeTransform = flag }
      default: break
      }
    }
  }

  private func segmentFault(_ position: Int) -> ImageFault {
    data.bigEndian16(position) == nil
      ? .truncated("it ends inside a header segment") : .corrupt("a segment has a bad length")
  }

  /// Reads over fill bytes, and over rubbish before a marker as libjpeg does.
  private func nextMarker(_ position: inout Int) throws(ImageFault) -> Int {
    while let byte = data.byte(position) {
      position += 1
      guard byte == 0xFF else { continue }
      while data.byte(position) == 0xFF { position += 1 }
      guard let marker = data.byte(position) else { break }
      position += 1
      if marker != 0 { return marker }
    }
    throw .truncated("it ends before the end-of-image marker")
  }

  private mutating func readQuantTables(_ segment: ByteSource) throws(ImageFault) {
    var offset = 0
    while let head = segment.byte(offset) {
      let wide = head >> 4 != 0
      guard head & 15 < 4, head >> 4 <= 1 else { throw .corrupt("a quantisation table has a bad number") }
      guard segment.count - offset > (wide ? 128 : 64) else { throw .corrupt("a quantisation table is too short") }
      let table = AlignedBuffer<Int32>(count: 64)
      for index in 0..<64 {
        let step = wide ? segment.bigEndian16(offset + 1 + 2 * index) : segment.byte(offset + 1 + index)
        table.pointer[Int(JPEGZigzag.pointer[index])] = Int32(step ?? 0)
      }
      quantTables[head & 15] = table
      offset += wide ? 129 : 65
    }
  }

  private mutating func readHuffmanTables(_ segment: ByteSource) throws(ImageFault) {
    var offset = 0
    while let head = segment.byte(offset) {
      guard head >> 4 <= 1, head & 15 < 4 else { throw .corrupt("a Huffman table has a bad number") }
      guard segment.count - offset >= 17 else { throw .corrupt("a Huffman table is too short") }
      let counts = (1...16).map { Int(segment[offset + $0]) }
      let total = counts.reduce(0, +)
      guard total <= 256, total <= segment.count - offset - 17 else {
        throw .corrupt("a Huffman table has a bad length")
      }
      let values = segment.slice(offset + 17..<offset + 17 + total)
      let isAC = head >> 4 == 1
      let table = try JPEGHuffmanTable(counts: counts, values: values, maxSymbol: isAC ? 255 : 15)
      if isAC { acTables[head & 15] = table } else { dcTables[head & 15] = table }
      offset += 17 + total
    }
  }

  /// Checks that every component was sent, and turns a progressive file's coefficients into samples.
  private func finish(_ frame: inout JPEGFrame) throws(ImageFault) {
    for component in frame.components {
      guard let quant = component.quant, component.knownDownTo[0] >= 0 else {
        throw .corrupt("component \(component.identifier) is never sent")
      }
      guard let coefficients = component.coefficients else { continue }
      for row in 0..<component.blocksHigh {
        for column in 0..<component.blocksWide {
          let block = coefficients.pointer + (row * component.strideBlocks + column) * 64
          let target = component.plane.pointer + row * 8 * component.stride + column * 8
          inverseDCT(block, quant.pointer, into: target, stride: component.stride)
        }
      }
    }
  }

  /// Which colours the components are, by libjpeg's rules: JFIF, then Adobe's flag, then the components' numbers.
  private func colourSpace(_ frame: JPEGFrame) throws(ImageFault) -> JPEGColourSpace {
    switch frame.components.count {
    case 1: return .grey
    case 3:
      if hasJFIF { return .yCbCr }
      if let adobeTransform { return adobeTransform == 0 ? .rgb : .yCbCr }
      return frame.components.map(\.identifier) == Array("RGB".utf8).map(Int.init) ? .rgb : .yCbCr
    default:
      guard let adobeTransform else { return .cmyk }
      return adobeTransform == 0 ? .cmyk : .ycck
    }
  }
}

enum JPEGColourSpace { case grey, yCbCr, rgb, cmyk, ycck }
