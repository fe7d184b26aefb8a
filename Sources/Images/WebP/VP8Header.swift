import OccamCore

/// Steps of the coefficients of one segment: (DC, AC) of luma, of the luma averages (Y2) and of chroma.
struct VP8Quantiser {
  var luma = SIMD2<Int32>()
  var averages = SIMD2<Int32>()
  var chroma = SIMD2<Int32>()
}

/// How strongly the edges of a macroblock are filtered.
struct VP8FilterStrength {
  /// Largest step over an edge that is filtered; 0: nothing is.
  var limit = 0
  var interiorLimit = 0
  /// Differences above this count as high variance.
  var varianceThreshold = 0
}

/// The header of a VP8 key frame (RFC 6386, sections 9 and 19.2): everything before the macroblocks.
struct VP8Header {
  let width: Int
  let height: Int
  private(set) var usesSegments = false
  private(set) var updatesSegmentMap = false
  private(set) var segmentProbabilities: [UInt8] = [255, 255, 255]
  private(set) var simpleFilter = false
  private(set) var filterLevel = 0
  private(set) var quantisers = [VP8Quantiser](repeating: VP8Quantiser(), count: 4)
  /// By segment, for macroblocks predicted whole and by subblocks.
  private(set) var strengths: [(whole: VP8FilterStrength, subblocks: VP8FilterStrength)] = []
  /// [type 4][band 8][context 3][node 11]
  let probabilities = AlignedBuffer<UInt8>(copying: VP8Tables.coefficientProbabilities.buffer)
  /// The probability that a macroblock has coefficients; nil where all may have.
  private(set) var skipProbability: UInt8?
  /// Behind the header: the macroblocks' modes.
  var modes: VP8BoolDecoder
  /// Partitions of coefficient data, row r of macroblocks in number r % count.
  private(set) var partitions: [VP8BoolDecoder] = []

  /// The size in the ten bytes before the first partition.
  static func size(_ data: ByteSource) throws(ImageFault) -> ImageSize {
    guard data.count >= 10 else { throw .truncated("its VP8 frame has no header") }
    guard data[0] & 1 == 0 else { throw .corrupt("its VP8 frame is no key frame") }
    guard data[0] >> 1 & 7 <= 3 else { throw .unsupported("VP8 profile \(data[0] >> 1 & 7)") }
    guard data[0] >> 4 & 1 == 1 else { throw .corrupt("its VP8 frame is not to be shown") }
    guard data.starts(with: [0x9D, 0x01, 0x2A], at: 3), let width = data.littleEndian16(6),
      let height = data.littleEndian16(8)
    else { throw .corrupt("its VP8 frame has no start code") }
    let size = ImageSize(width: width & 0x3FFF, height: height & 0x3FFF)
    guard size.width > 0, size.height > 0 else { throw .corrupt("its VP8 frame has no size") }
    return size
  }

  init(_ data: ByteSource) throws(ImageFault) {
    let size = try Self.size(data)
    width = size.width
    height = size.height
    let firstLength = (Int(data[0]) | Int(data[1]) << 8 | Int(data[2]) << 16) >> 5
    modes = VP8BoolDecoder(data.slice(10..<10 + firstLength))
    // Colour space, and whether samples need clamping: always done.
    _ = modes.number(2)
    var segments = Segments()
    usesSegments = modes.flag()
    if usesSegments { readSegments(&segments) }
    let deltas = readFilter()
    try readPartitions(data, from: 10 + firstLength)
    readQuantisers(segments)
    setStrengths(segments, deltas)
    // Whether the probabilities outlive this frame: there is no other.
    _ = modes.flag()
    for index in 0..<probabilities.count where modes.bit(VP8Tables.coefficientUpdates.pointer[index]) {
      probabilities.pointer[index] = UInt8(modes.number(8))
    }
    if modes.flag() { skipProbability = UInt8(modes.number(8)) }
    if modes.isExhausted { throw .truncated("its VP8 frame ends inside the header") }
  }

  private struct Segments {
    /// Values replace those of the frame; else they are added.
    var absolute = true
    var quantisers = [0, 0, 0, 0]
    var filters = [0, 0, 0, 0]
  }

  private mutating func readSegments(_ segments: inout Segments) {
    updatesSegmentMap = modes.flag()
    if modes.flag() {
      segments.absolute = modes.flag()
      for index in 0..<4 { segments.quantisers[index] = modes.optionalSigned(7) }
      for index in 0..<4 { segments.filters[index] = modes.optionalSigned(6) }
    }
    if updatesSegmentMap {
      for index in 0..<3 { segmentProbabilities[index] = modes.flag() ? UInt8(modes.number(8)) : 255 }
    }
  }

  private struct FilterDeltas {
    var sharpness = 0
    /// What an intra frame adds, and a macroblock of subblocks on top.
    var intra = 0
    var subblocks = 0
  }

  private mutating func readFilter() -> FilterDeltas {
    var deltas = FilterDeltas()
    simpleFilter = modes.flag()
    filterLevel = modes.number(6)
    deltas.sharpness = modes.number(3)
    if modes.flag(), modes.flag() {
      let references = (0..<4).map { _ in modes.optionalSigned(6) }
      let kinds = (0..<4).map { _ in modes.optionalSigned(6) }
      (deltas.intra, deltas.subblocks) = (references[0], kinds[0])
    }
    return deltas
  }

  private mutating func readPartitions(_ data: ByteSource, from start: Int) throws(ImageFault) {
    let count = 1 << modes.number(2)
    var position = start + 3 * (count - 1)
    guard position <= data.count else { throw .truncated("its VP8 frame ends before the coefficients") }
    for index in 0..<count {
      let sizeAt = start + 3 * index
      let size =
        index == count - 1
        ? data.count - position : Int(data[sizeAt]) | Int(data[sizeAt + 1]) << 8 | Int(data[sizeAt + 2]) << 16
      partitions.append(VP8BoolDecoder(data.slice(position..<position + size)))
      position = min(position + size, data.count)
    }
  }

  private mutating func readQuantisers(_ segments: Segments) {
    let base = modes.number(7)
    let lumaDC = modes.optionalSigned(4)
    let averageDC = modes.optionalSigned(4)
    let averageAC = modes.optionalSigned(4)
    let chromaDC = modes.optionalSigned(4)
    let chromaAC = modes.optionalSigned(4)
    func dc(_ index: Int, upTo last: Int = 127) -> Int32 {
      Int32(VP8Tables.dcSteps.pointer[min(max(index, 0), last)])
    }
    func ac(_ index: Int) -> Int32 { Int32(VP8Tables.acSteps.pointer[min(max(index, 0), 127)]) }
    for index in 0..<4 {
      var q = base
      if usesSegments { q = segments.quantisers[index] + (segments.absolute ? 0 : base) }
      quantisers[index] = VP8Quantiser(
        luma: SIMD2(dc(q + lumaDC), ac(q)),
        averages: SIMD2(2 * dc(q + averageDC), max(ac(q + averageAC) * 155 / 100, 8)),
        // 132 is the largest step of chroma averages (section 9.6).
        chroma: SIMD2(dc(q + chromaDC, upTo: 117), ac(q + chromaAC)))
    }
  }

  private mutating func setStrengths(_ segments: Segments, _ deltas: FilterDeltas) {
    strengths = (0..<4).map { index in
      var level = filterLevel
      if usesSegments { level = segments.filters[index] + (segments.absolute ? 0 : filterLevel) }
      level += deltas.intra
      return (
        Self.strength(level, deltas.sharpness), Self.strength(level + deltas.subblocks, deltas.sharpness)
      )
    }
  }

  /// Section 15.2 and 15.3.
  private static func strength(_ level: Int, _ sharpness: Int) -> VP8FilterStrength {
    let level = min(max(level, 0), 63)
    guard level > 0 else { return VP8FilterStrength() }
    var interior = level
    if sharpness > 0 { interior = min(interior >> (sharpness > 4 ? 2 : 1), 9 - sharpness) }
    interior = max(interior, 1)
    return VP8FilterStrength(
      limit: 2 * level + interior, interiorLimit: interior, varianceThreshold: level >= 40 ? 2 : level >= 15 ? 1 : 0)
  }
}
