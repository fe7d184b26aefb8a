import OccamCore

/// One colour component of a frame: its sampling, its grid of 8x8 blocks and where its samples go.
struct JPEGComponent {
  let identifier: Int
  /// Samples per sampling unit, 1...4 each.
  let horizontal: Int
  let vertical: Int
  let quantIndex: Int
  /// Samples per side that a block of 8 x 8 is decoded to: 8, or less where the picture is scaled.
  let blockSize: Int
  /// Size in decoded samples, the picture's share rounded up.
  let width: Int
  let height: Int
  /// Blocks that hold samples; a scan of this component alone walks these.
  let blocksWide: Int
  let blocksHigh: Int
  /// Blocks of the plane, filled up to whole MCUs.
  let strideBlocks: Int
  let rowsOfBlocks: Int
  /// Decoded samples, rows `stride` apart: the last `planeRows` rows, row y in place y % planeRows.
  var plane = AlignedBuffer<UInt8>(count: 0)
  var planeRows = 1
  /// Progressive files only: 64 coefficients per block in natural order, blocks row by row.
  var coefficients: AlignedBuffer<Int16>?
  /// Quantisation steps in natural order, taken over at the component's first scan.
  var quant: AlignedBuffer<Int32>?
  /// The bit position each coefficient is known down to; -1 where it was never sent.
  var knownDownTo = [Int](repeating: -1, count: 64)

  var stride: Int { strideBlocks * blockSize }

  /// Row `y` of the plane; it must be one of the last `planeRows`.
  func samples(row y: Int) -> UnsafeMutablePointer<UInt8> { plane.pointer + y % planeRows * stride }
}

/// The frame header (SOFn) and what its scans fill.
struct JPEGFrame {
  /// Size in the file.
  let width: Int
  let height: Int
  let progressive: Bool
  /// The picture is decoded at `scale` / 8 of its size: 1, 2, 4 or 8.
  let scale: Int
  let maxHorizontal: Int
  let maxVertical: Int
  let mcusWide: Int
  let mcusHigh: Int
  var components: [JPEGComponent]
  private(set) var isAllocated = false

  /// Size of the decoded picture.
  var scaledWidth: Int { divideUp(width * scale, 8) }
  var scaledHeight: Int { divideUp(height * scale, 8) }

  /// - Parameters:
  ///   - size: of the picture; the height may have come from a DNL segment.
  ///   - scale: see `scale`.
  ///   - segment: the SOF segment after its length.
  init(_ segment: ByteSource, size: ImageSize, progressive: Bool, scale: Int) throws(ImageFault) {
    guard let count = segment.byte(5) else { throw .corrupt("the frame header is too short") }
    guard count == 1 || count == 3 || count == 4 else { throw .unsupported("JPEG with \(count) components") }
    guard segment.count == 6 + 3 * count else { throw .corrupt("the frame header has a bad length") }
    width = size.width
    height = size.height
    self.progressive = progressive
    self.scale = scale

    var sampling: [(identifier: Int, horizontal: Int, vertical: Int, quant: Int)] = []
    for index in 0..<count {
      let offset = 6 + 3 * index
      let factors = Int(segment[offset + 1])
      let (horizontal, vertical) = (factors >> 4, factors & 15)
      guard (1...4).contains(horizontal), (1...4).contains(vertical) else {
        throw .corrupt("component \(index) has sampling \(horizontal)x\(vertical)")
      }
      let identifier = Int(segment[offset])
      guard !sampling.contains(where: { $0.identifier == identifier }) else {
        throw .corrupt("two components are numbered \(identifier)")
      }
      guard segment[offset + 2] < 4 else { throw .corrupt("component \(index) has no such quantisation table") }
      sampling.append((identifier, horizontal, vertical, Int(segment[offset + 2])))
    }
    let maxHorizontal = sampling.reduce(1) { max($0, $1.horizontal) }
    let maxVertical = sampling.reduce(1) { max($0, $1.vertical) }
    self.maxHorizontal = maxHorizontal
    self.maxVertical = maxVertical
    mcusWide = divideUp(width, 8 * maxHorizontal)
    mcusHigh = divideUp(height, 8 * maxVertical)

    components = []
    for component in sampling {
      // Subsampled components are scaled down less, while that saves upsampling (libjpeg's rule).
      var blockSize = scale
      while blockSize < 8, maxHorizontal * scale % (component.horizontal * blockSize * 2) == 0,
        maxVertical * scale % (component.vertical * blockSize * 2) == 0
      {
        blockSize *= 2
      }
      components.append(
        JPEGComponent(
          identifier: component.identifier, horizontal: component.horizontal, vertical: component.vertical,
          quantIndex: component.quant, blockSize: blockSize,
          width: divideUp(width * component.horizontal * blockSize, maxHorizontal * 8),
          height: divideUp(height * component.vertical * blockSize, maxVertical * 8),
          blocksWide: divideUp(divideUp(width * component.horizontal, maxHorizontal), 8),
          blocksHigh: divideUp(divideUp(height * component.vertical, maxVertical), 8),
          strideBlocks: mcusWide * component.horizontal, rowsOfBlocks: mcusHigh * component.vertical))
    }
  }

  /// Bits that the blocks take at least: two in a sequential file (DC and end of block), one in a progressive file.
  var leastBits: Int {
    components.reduce(0) { $0 + $1.blocksWide * $1.blocksHigh } * (progressive ? 1 : 2)
  }

  /// Makes room for samples and coefficients: two rows of MCUs where pixels can be given out while decoding, whole
  /// planes where a sequential file sends its components one after the other. Progressive files keep every coefficient
  /// until the last scan: 2 bytes each, at most 6 a pixel of the full size.
  mutating func allocate(wholePlanes: Bool) {
    isAllocated = true
    for index in components.indices {
      let component = components[index]
      let rows = wholePlanes ? component.rowsOfBlocks : min(2 * component.vertical, component.rowsOfBlocks)
      components[index].planeRows = rows * component.blockSize
      components[index].plane = AlignedBuffer(count: rows * component.blockSize * component.stride)
      // A component that no scan sends is level, as in libjpeg.
      components[index].plane.buffer.update(repeating: 128)
      if progressive {
        components[index].coefficients = AlignedBuffer(count: component.strideBlocks * component.rowsOfBlocks * 64)
      }
    }
  }
}

/// Eighths of the full size to decode a picture at: the least of 1, 2, 4 and 8 that leaves both sides at least twice as
/// long as wanted.
func decodingScale(full: ImageSize, wanted: ImageSize?, swapped: Bool) -> Int {
  guard let wanted else { return 8 }
  let (width, height) = swapped ? (wanted.height, wanted.width) : (wanted.width, wanted.height)
  let scale = [1, 2, 4].first { scale in
    divideUp(full.width * scale, 8) / 2 >= width && divideUp(full.height * scale, 8) / 2 >= height
  }
  return scale ?? 8
}

func orientedSize(_ size: ImageSize, _ orientation: Int) -> ImageSize {
  orientation >= 5 ? ImageSize(width: size.height, height: size.width) : size
}

func divideUp(_ value: Int, _ divisor: Int) -> Int { (value + divisor - 1) / divisor }

/// Natural (row-major) position of coefficient `k` in zigzag order (ITU-T T.81, figure 5).
enum JPEGZigzag {
  private static let table = AlignedBuffer<UInt8>(
    copying: [
      0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
      28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61,
      54,
      47, 55, 62, 63,
    ] as [UInt8])

  static var pointer: UnsafePointer<UInt8> { UnsafePointer(table.pointer) }
}
