import OccamCore

/// One colour component of a frame: its sampling, its grid of 8x8 blocks and its decoded plane.
struct JPEGComponent {
  let identifier: Int
  /// Samples per sampling unit, 1...4 each.
  let horizontal: Int
  let vertical: Int
  let quantIndex: Int
  /// Size in samples, the picture's share rounded up.
  let width: Int
  let height: Int
  /// Blocks that hold samples; a scan of this component alone walks these.
  let blocksWide: Int
  let blocksHigh: Int
  /// Blocks of the plane, filled up to whole MCUs.
  let strideBlocks: Int
  let rowsOfBlocks: Int
  /// 8-bit samples, rows `stride` apart.
  let plane: AlignedBuffer<UInt8>
  /// Progressive files only: 64 coefficients per block in natural order, blocks row by row.
  let coefficients: AlignedBuffer<Int16>?
  /// Quantisation steps in natural order, taken over at the component's first scan.
  var quant: AlignedBuffer<Int32>?
  /// Progressive files only: the bit position each coefficient is known down to; -1 where it was never sent.
  var knownDownTo = [Int](repeating: -1, count: 64)

  var stride: Int { strideBlocks * 8 }
}

/// The frame header (SOFn) and what its scans fill.
struct JPEGFrame {
  let width: Int
  let height: Int
  let progressive: Bool
  let maxHorizontal: Int
  let maxVertical: Int
  let mcusWide: Int
  let mcusHigh: Int
  var components: [JPEGComponent]

  /// - Parameters:
  ///   - segment: the SOF segment after its length.
  ///   - remaining: bytes of the file after the header; too few of them for the size are refused before allocation.
  init(_ segment: ByteSource, progressive: Bool, limits: ImageLimits, remaining: Int) throws(ImageFault) {
    guard let precision = segment.byte(0), let height = segment.bigEndian16(1), let width = segment.bigEndian16(3),
      let count = segment.byte(5)
    else { throw .corrupt("the frame header is too short") }
    guard precision == 8 else { throw .unsupported("JPEG with \(precision) bits per sample") }
    guard height != 0 else { throw .unsupported("JPEG that gives its height after the first scan (DNL) or not at all") }
    try limits.check(width: width, height: height)
    guard count == 1 || count == 3 || count == 4 else { throw .unsupported("JPEG with \(count) components") }
    guard segment.count == 6 + 3 * count else { throw .corrupt("the frame header has a bad length") }
    self.width = width
    self.height = height
    self.progressive = progressive

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

    // A block takes at least two bits in a sequential file (DC and end of block) and one in a progressive file.
    let blocks = sampling.reduce(0) { sum, component in
      sum + divideUp(divideUp(width * component.horizontal, maxHorizontal), 8)
        * divideUp(divideUp(height * component.vertical, maxVertical), 8)
    }
    guard blocks * (progressive ? 1 : 2) / 8 <= remaining else {
      throw .truncated("its data is far too short for its size")
    }

    components = []
    for component in sampling {
      let sampleWidth = divideUp(width * component.horizontal, maxHorizontal)
      let sampleHeight = divideUp(height * component.vertical, maxVertical)
      let strideBlocks = mcusWide * component.horizontal
      let rowsOfBlocks = mcusHigh * component.vertical
      let samples = strideBlocks * rowsOfBlocks * 64
      components.append(
        JPEGComponent(
          identifier: component.identifier, horizontal: component.horizontal, vertical: component.vertical,
          quantIndex: component.quant, width: sampleWidth, height: sampleHeight, blocksWide: divideUp(sampleWidth, 8),
          blocksHigh: divideUp(sampleHeight, 8), strideBlocks: strideBlocks, rowsOfBlocks: rowsOfBlocks,
          plane: AlignedBuffer(count: samples), coefficients: progressive ? AlignedBuffer(count: samples) : nil))
    }
  }
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
