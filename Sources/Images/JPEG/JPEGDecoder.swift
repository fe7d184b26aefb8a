import OccamCore

/// JPEG (ITU-T T.81): baseline, extended sequential and progressive Huffman coding with 8 bits per sample.
///
/// The arithmetic is that of libjpeg-turbo's defaults (accurate integer IDCT and its reduced forms, triangle chroma
/// upsampling, 16-bit fixed-point colour conversion), so that its pixels come out. Damage that libjpeg shows through is
/// shown the same way and reported: what is missing is grey. Only its smoothing of block edges, in progressive files
/// that lack their last scans, is left out.
///
/// Memory beside the picture (3 bytes a pixel as decoded): two rows of MCUs where one scan sends all components; the
/// planes, up to 3 more bytes a pixel, where each has a scan of its own; the coefficients of a progressive file.
struct JPEGDecoder {
  let data: ByteSource
  let options: ImageDecodingOptions
  let log: DamageLog
  var orientation = 1
  /// Height and width in the file, once the frame header was read.
  private(set) var storedSize = ImageSize(width: 0, height: 0)

  var frame: JPEGFrame?
  /// Quantisation tables 0...3 in natural order.
  var quantTables = [AlignedBuffer<Int32>?](repeating: nil, count: 4)
  var dcTables = [JPEGHuffmanTable?](repeating: nil, count: 4)
  var acTables = [JPEGHuffmanTable?](repeating: nil, count: 4)
  /// MCUs between restart markers, 0 for none.
  var restartInterval = 0
  var scans = 0
  var canvas: OrientedCanvas?
  /// All components came in one scan, and the canvas has them.
  var isWritten = false
  private var hasJFIF = false
  /// The transform flag of an Adobe APP14 segment.
  private var adobeTransform: Int?

  init(_ data: ByteSource, options: ImageDecodingOptions, log: DamageLog) {
    self.data = data
    self.options = options
    self.log = log
  }

  mutating func decode() throws(ImageFault) -> Image {
    var position = 2
    try readMarkers(&position, untilScan: false)
    guard let canvas, let frame else { throw .corrupt("it ends without a picture") }
    if !isWritten { try finish(frame, canvas) }
    return canvas.image()
  }

  /// Reads up to the first scan only; a frame header in the beginning of a file is enough.
  /// - Returns: the upright size.
  mutating func decodeSize() throws(ImageFault) -> ImageSize {
    var position = 2
    do throws(ImageFault) { try readMarkers(&position, untilScan: true) } catch {
      guard frame != nil else { throw error }
    }
    return orientedSize(storedSize, orientation)
  }

  private mutating func readMarkers(_ position: inout Int, untilScan: Bool) throws(ImageFault) {
    while true {
      let marker: Int
      if scans == 0 {
        marker = try nextMarker(&position)
        if marker == 0xD9 { throw .corrupt("it ends without a picture") }
      } else {
        // From here on there is a picture to show.
        guard let next = try markerOrEnd(&position), next != 0xD9 else { return }
        marker = next
      }
      if (0xD0...0xD7).contains(marker) || marker == 0x01 { continue }
      if marker == 0xD8 {
        let fault = ImageFault.corrupt("a second start-of-image marker")
        guard isWritten else { throw fault }
        return try log.report(fault)
      }
      guard let length = data.bigEndian16(position), length >= 2 else { throw segmentFault(position) }
      guard length <= data.count - position else { throw .truncated("it ends inside a header segment") }
      let segment = data.slice(position + 2..<position + length)
      position += length
      if untilScan, marker == 0xDA, frame != nil { return }
      if try !readSegment(marker, segment, &position) { return }
    }
  }

  /// - Returns: false where nothing more is to be read.
  private mutating func readSegment(
    _ marker: Int, _ segment: ByteSource, _ position: inout Int
  ) throws(ImageFault) -> Bool {
    if isWritten {
      if marker == 0xDA { try log.report(.corrupt("it goes on after its last scan")) }
      return marker != 0xDA
    }
    switch marker {
    case 0xC0, 0xC1, 0xC2:
      guard frame == nil else { throw .corrupt("it has two frames") }
      try readFrame(segment, progressive: marker == 0xC2, dataStart: position)
    case 0xC4: try readHuffmanTables(segment)
    case 0xC3, 0xC5...0xC7, 0xC8...0xCB, 0xCC...0xCF:
      throw .unsupported(
        "JPEG with lossless, hierarchical or arithmetic coding (marker 0x\(String(marker, radix: 16)))")
    case 0xDA:
      guard let end = try readScan(segment, dataStart: position) else {
        try log.report(Self.noEnd)
        return false
      }
      position = end
    case 0xDB: try readQuantTables(segment)
    case 0xDD:
      guard segment.count == 2, let interval = segment.bigEndian16(0) else {
        throw .corrupt("the restart interval has a bad length")
      }
      restartInterval = interval
    case 0xE0: if segment.starts(with: Array("JFIF\0".utf8)) { hasJFIF = true }
    case 0xE1: if scans == 0 { try readEXIF(segment) }
    case 0xEE: if segment.starts(with: Array("Adobe".utf8)), let flag = segment.byte(11) { adobeTransform = flag }
    default: break
    }
    return true
  }

  private static let noEnd = ImageFault.truncated("it ends before the end-of-image marker")

  private mutating func readEXIF(_ segment: ByteSource) throws(ImageFault) {
    guard orientation == 1, segment.starts(with: Array("Exif\0".utf8)) else { return }
    let found = exifOrientation(tiff: segment.slice(6..<segment.count))
    if found.isLong { try log.report(.corrupt("its EXIF orientation is a LONG, not a SHORT")) }
    orientation = found.orientation
  }

  private mutating func readFrame(_ segment: ByteSource, progressive: Bool, dataStart: Int) throws(ImageFault) {
    guard let precision = segment.byte(0), var height = segment.bigEndian16(1), let width = segment.bigEndian16(3)
    else {
      throw .corrupt("the frame header is too short")
    }
    guard precision == 8 else { throw .unsupported("JPEG with \(precision) bits per sample") }
    if height == 0 {
      guard let lines = linesAfterScan(from: dataStart) else {
        throw .unsupported("JPEG that gives its height neither in its frame header nor after the first scan (DNL)")
      }
      try log.report(.corrupt("its height stands behind the first scan (DNL)"))
      height = lines
    }
    try options.limits.check(width: width, height: height)
    storedSize = ImageSize(width: width, height: height)
    let frame = try JPEGFrame(
      segment, size: storedSize, progressive: progressive,
      scale: decodingScale(full: storedSize, wanted: options.wantedSize, swapped: orientation >= 5))
    // Some of the data of a damaged file may be missing, but a few bytes must not ask for gigabytes.
    let tolerated = log.strict ? 1 : 64
    guard frame.leastBits / 8 / tolerated <= data.count - dataStart else {
      throw .truncated("its data is far too short for its size")
    }
    self.frame = frame
  }

  /// The height that a DNL segment (ITU-T T.81, B.2.5) gives after the first scan.
  private func linesAfterScan(from start: Int) -> Int? {
    var index = start
    while index + 5 < data.count {
      if data[index] == 0xFF, data[index + 1] == 0xDC, data.bigEndian16(index + 2) == 4 {
        return data.bigEndian16(index + 4)
      }
      index += 1
    }
    return nil
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
    throw Self.noEnd
  }

  /// The next marker whose segment is whole; nil, reported, where the file ends first.
  private func markerOrEnd(_ position: inout Int) throws(ImageFault) -> Int? {
    var next = position
    if let marker = try? nextMarker(&next) {
      let alone = marker == 0x01 || (0xD0...0xD9).contains(marker)
      if alone || data.bigEndian16(next).map({ $0 >= 2 && $0 <= data.count - next }) ?? false {
        position = next
        return marker
      }
    }
    try log.report(Self.noEnd)
    return nil
  }

  /// Writes what waited for the last scan: whole planes, or a progressive file's coefficients, one row of MCUs at a
  /// time.
  private func finish(_ frame: JPEGFrame, _ canvas: OrientedCanvas) throws(ImageFault) {
    for component in frame.components where component.knownDownTo[0] < 0 {
      try log.reportConsequence(.corrupt("component \(component.identifier) is never sent"))
    }
    let writer = JPEGRowWriter(frame, try colourSpace(frame), canvas)
    for mcuRow in 0..<frame.mcusHigh {
      for component in frame.components {
        guard let coefficients = component.coefficients, let quant = component.quant else { continue }
        let first = mcuRow * component.vertical
        for row in first..<min(first + component.vertical, component.blocksHigh) {
          let line = component.samples(row: row * component.blockSize)
          for column in 0..<component.blocksWide {
            inverseDCT(
              coefficients.pointer + (row * component.strideBlocks + column) * 64, quant.pointer,
              into: line + column * component.blockSize, stride: component.stride, size: component.blockSize)
          }
        }
      }
      writer.write(decoded: (mcuRow + 1) * frame.scale * frame.maxVertical)
    }
  }

  /// Which colours the components are, by libjpeg's rules: JFIF, then Adobe's flag, then the components' numbers.
  func colourSpace(_ frame: JPEGFrame) throws(ImageFault) -> JPEGColourSpace {
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
