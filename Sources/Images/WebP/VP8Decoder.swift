import OccamCore

/// The decoded planes of a VP8 frame, 4:2:0, filled up to whole macroblocks.
struct VP8Frame {
  let luma, u, v: VP8Plane

  init(macroblocksWide: Int, macroblocksHigh: Int) {
    luma = VP8Plane(width: 16 * macroblocksWide, rows: 16 * macroblocksHigh)
    u = VP8Plane(width: 8 * macroblocksWide, rows: 8 * macroblocksHigh)
    v = VP8Plane(width: 8 * macroblocksWide, rows: 8 * macroblocksHigh)
  }
}

/// Decodes a VP8 key frame (RFC 6386).
struct VP8Decoder {
  private(set) var header: VP8Header
  private let wide: Int
  private let high: Int
  /// Subblock modes above and to the left of the next macroblock.
  private var modesAbove: [UInt8]
  private var modesLeft = [UInt8](repeating: 0, count: 4)
  private var contextAbove: [VP8Residuals.Context]
  private var residuals = VP8Residuals()

  init(_ data: ByteSource) throws(ImageFault) {
    header = try VP8Header(data)
    wide = divideUp(header.width, 16)
    high = divideUp(header.height, 16)
    modesAbove = [UInt8](repeating: 0, count: 4 * wide)
    contextAbove = .init(repeating: .init(), count: wide)
  }

  private struct Macroblock {
    var segment = 0
    var skipsResiduals = false
    /// Nil where the 16 subblocks have modes of their own.
    var luma: VP8BlockMode?
    var subblocks = [VP8SubblockMode](repeating: .average, count: 16)
    var chroma = VP8BlockMode.average
  }

  /// - Returns: the planes, and how many rows of the picture were there before the data ended.
  mutating func decode() -> (frame: VP8Frame, rows: Int) {
    let frame = VP8Frame(macroblocksWide: wide, macroblocksHigh: high)
    var strengths: [(VP8FilterStrength, inner: Bool)] = []
    var complete = 0
    let probabilities = UnsafePointer(header.probabilities.pointer)
    var partitions = header.partitions
    var block = Macroblock()
    for row in 0..<high {
      modesLeft = [0, 0, 0, 0]
      var contextLeft = VP8Residuals.Context()
      let partition = row % partitions.count
      for column in 0..<wide {
        readModes(&block, column)
        residuals.clear()
        if block.skipsResiduals {
          contextAbove[column].clear(averages: block.luma != nil)
          contextLeft.clear(averages: block.luma != nil)
        } else {
          residuals.read(
            &partitions[partition], probabilities, header.quantisers[block.segment], subblocks: block.luma == nil,
            above: &contextAbove[column], left: &contextLeft)
        }
        reconstruct(block, frame, column, row)
        let strength = header.strengths[block.segment]
        strengths.append(
          (block.luma == nil ? strength.subblocks : strength.whole, block.luma == nil || !residuals.isEmpty))
      }
      if partitions[partition].isExhausted || header.modes.isExhausted { break }
      complete = row + 1
    }
    if header.filterLevel > 0 {
      let filter = VP8LoopFilter(simple: header.simpleFilter)
      for (index, (strength, inner)) in strengths.enumerated() {
        filter.filter(frame, x: index % wide, y: index / wide, strength, inner: inner)
      }
    }
    return (frame, min(16 * complete, header.height))
  }

  /// Sections 9.3, 11.1 and 11.2.
  private mutating func readModes(_ block: inout Macroblock, _ column: Int) {
    block.segment = 0
    if header.updatesSegmentMap {
      let p = header.segmentProbabilities
      block.segment =
        header.modes.bit(p[0]) ? (header.modes.bit(p[2]) ? 3 : 2) : (header.modes.bit(p[1]) ? 1 : 0)
    }
    block.skipsResiduals = header.skipProbability.map { header.modes.bit($0) } ?? false
    if header.modes.bit(145) {
      let mode: VP8BlockMode =
        header.modes.bit(156)
        ? (header.modes.bit(128) ? .trueMotion : .horizontal) : (header.modes.bit(163) ? .vertical : .average)
      block.luma = mode
      for i in 0..<4 {
        modesAbove[4 * column + i] = mode.rawValue
        modesLeft[i] = mode.rawValue
      }
    } else {
      block.luma = nil
      for y in 0..<4 {
        for x in 0..<4 {
          let at = (Int(modesAbove[4 * column + x]) * 10 + Int(modesLeft[y])) * 9
          let mode = readSubblockMode(VP8Tables.subblockModes.pointer + at)
          block.subblocks[4 * y + x] = mode
          modesAbove[4 * column + x] = mode.rawValue
          modesLeft[y] = mode.rawValue
        }
      }
    }
    block.chroma =
      !header.modes.bit(142)
      ? .average : !header.modes.bit(114) ? .vertical : header.modes.bit(183) ? .trueMotion : .horizontal
  }

  private mutating func readSubblockMode(_ p: UnsafePointer<UInt8>) -> VP8SubblockMode {
    if !header.modes.bit(p[0]) { return .average }
    if !header.modes.bit(p[1]) { return .trueMotion }
    if !header.modes.bit(p[2]) { return .vertical }
    if !header.modes.bit(p[3]) {
      if !header.modes.bit(p[4]) { return .horizontal }
      return header.modes.bit(p[5]) ? .verticalRight : .downRight
    }
    if !header.modes.bit(p[6]) { return .downLeft }
    if !header.modes.bit(p[7]) { return .verticalLeft }
    return header.modes.bit(p[8]) ? .horizontalUp : .horizontalDown
  }

  /// Section 12: prediction plus differences.
  private func reconstruct(_ block: Macroblock, _ frame: VP8Frame, _ column: Int, _ row: Int) {
    let (hasAbove, hasLeft) = (row > 0, column > 0)
    let coefficients = residuals.coefficients.pointer
    let stride = frame.luma.stride
    let luma = frame.luma.origin + (16 * row * stride + 16 * column)
    if let mode = block.luma {
      predictBlock(luma, stride: stride, size: 16, mode: mode, hasAbove: hasAbove, hasLeft: hasLeft)
      if !residuals.isEmpty {
        for index in 0..<16 {
          addInverseDCT4(
            coefficients + 16 * index, luma + ((index >> 2) * 4 * stride + (index & 3) * 4), stride: stride)
        }
      }
    } else {
      // All subblocks of the last column look at the row above the macroblock, where the others' neighbours are not
      // known yet; beyond the last macroblock its last sample stands for what is not there.
      var right = SIMD4<UInt8>(repeating: 127)
      if row > 0 {
        let above = luma - stride + 16
        right =
          column == wide - 1
          ? SIMD4(repeating: above[-1]) : SIMD4(above[0], above[1], above[2], above[3])
      }
      withUnsafeBytes(of: right) { raw in
        guard let right = raw.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        for index in 0..<16 {
          let out = luma + ((index >> 2) * 4 * stride + (index & 3) * 4)
          let aboveRight = index & 3 == 3 ? right : UnsafePointer(out - stride + 4)
          predictSubblock(out, stride: stride, mode: block.subblocks[index], aboveRight: aboveRight)
          if !residuals.isEmpty { addInverseDCT4(coefficients + 16 * index, out, stride: stride) }
        }
      }
    }
    for (number, plane) in [frame.u, frame.v].enumerated() {
      let out = plane.origin + (8 * row * plane.stride + 8 * column)
      predictBlock(out, stride: plane.stride, size: 8, mode: block.chroma, hasAbove: hasAbove, hasLeft: hasLeft)
      guard !residuals.isEmpty else { continue }
      for index in 0..<4 {
        addInverseDCT4(
          coefficients + 16 * (16 + 4 * number + index), out + ((index >> 1) * 4 * plane.stride + (index & 1) * 4),
          stride: plane.stride)
      }
    }
  }
}
