import OccamCore

/// What one scan (SOS segment) sends.
struct JPEGScan {
  let parts: [JPEGScanPart]
  /// Zigzag indices of the first and last coefficient, and the bit positions before and after (progressive).
  let first, last, high, low: Int
}

/// A component's share of a scan: plain pointers for the inner loops, owned by the frame and the tables.
struct JPEGScanPart {
  let dc: JPEGHuffmanTable.Codes?
  let ac: JPEGHuffmanTable.Codes?
  let quant: UnsafePointer<Int32>
  let plane: UnsafeMutablePointer<UInt8>
  let coefficients: UnsafeMutablePointer<Int16>?
  let strideBlocks: Int
  let horizontal, vertical: Int
  let blocksWide, blocksHigh: Int
}

extension JPEGDecoder {
  /// Decodes a scan whose entropy-coded data starts at `dataStart`.
  /// - Returns: the offset of the marker after it.
  mutating func readScan(_ segment: ByteSource, dataStart: Int) throws(ImageFault) -> Int {
    guard var frame else { throw .corrupt("a scan comes before the frame header") }
    scans += 1
    guard scans <= limits.scans else { throw .corrupt("it has more than \(limits.scans) scans") }
    // One owner only while the scan is decoded, so that its arrays are changed in place.
    self.frame = nil
    let scan = try scanHeader(segment, &frame)
    var reader = JPEGBitReader(data, start: dataStart)
    if frame.progressive {
      try walk(scan, frame, &reader, ProgressiveBlocks(scan))
    } else {
      try walk(scan, frame, &reader, SequentialBlocks())
    }
    // The scan's pointers are into what these own.
    withExtendedLifetime((frame, dcTables, acTables)) {}
    self.frame = frame
    guard let end = reader.endSegment() else { throw .truncated("it ends inside a scan") }
    return end
  }

  private func scanHeader(_ segment: ByteSource, _ frame: inout JPEGFrame) throws(ImageFault) -> JPEGScan {
    guard let count = segment.byte(0), (1...4).contains(count), segment.count == 4 + 2 * count else {
      throw .corrupt("a scan header has a bad length")
    }
    let first = Int(segment[1 + 2 * count])
    let last = Int(segment[2 + 2 * count])
    let high = Int(segment[3 + 2 * count]) >> 4
    let low = Int(segment[3 + 2 * count]) & 15
    if frame.progressive {
      guard first <= last, last < 64, first > 0 || last == 0, first == 0 || count == 1, low <= 13,
        high == 0 || high == low + 1
      else { throw .corrupt("a scan asks for an impossible progression (\(first)-\(last), bits \(high)-\(low))") }
    }
    var parts: [JPEGScanPart] = []
    var seen: [Int] = []
    var blocks = 0
    for index in 0..<count {
      let identifier = Int(segment[1 + 2 * index])
      let tables = Int(segment[2 + 2 * index])
      guard let component = frame.components.firstIndex(where: { $0.identifier == identifier }) else {
        throw .corrupt("a scan names the unknown component \(identifier)")
      }
      guard !seen.contains(identifier) else { throw .corrupt("a scan names component \(identifier) twice") }
      seen.append(identifier)
      guard tables >> 4 < 4, tables & 15 < 4 else { throw .corrupt("a scan names a bad Huffman table") }
      let (dc, ac) = (dcTables[tables >> 4], acTables[tables & 15])
      guard dc != nil || first > 0 || high > 0, ac != nil || frame.progressive && first == 0 else {
        throw .corrupt("a scan's Huffman table is missing")
      }
      let quant = try note(&frame.components[component], frame.progressive, first, last, high, low)
      let target = frame.components[component]
      blocks += target.horizontal * target.vertical
      parts.append(
        JPEGScanPart(
          dc: dc?.codes, ac: ac?.codes, quant: UnsafePointer(quant.pointer), plane: target.plane.pointer,
          coefficients: target.coefficients?.pointer, strideBlocks: target.strideBlocks, horizontal: target.horizontal,
          vertical: target.vertical, blocksWide: target.blocksWide, blocksHigh: target.blocksHigh))
    }
    guard count == 1 || blocks <= 10 else { throw .corrupt("a scan has \(blocks) blocks per unit, 10 are allowed") }
    return JPEGScan(parts: parts, first: first, last: last, high: high, low: low)
  }

  /// Records what a scan sends of a component. Each coefficient may be sent once and then refined bit by bit, which also
  /// bounds the work a file can ask for.
  /// - Returns: the component's quantisation table.
  private func note(
    _ component: inout JPEGComponent, _ progressive: Bool, _ first: Int, _ last: Int, _ high: Int, _ low: Int
  ) throws(ImageFault) -> AlignedBuffer<Int32> {
    guard let quant = component.quant ?? quantTables[component.quantIndex] else {
      throw .corrupt("a quantisation table is missing")
    }
    component.quant = quant
    guard progressive else {
      guard component.knownDownTo[0] < 0 else { throw .corrupt("component \(component.identifier) is sent twice") }
      component.knownDownTo[0] = 0
      return quant
    }
    guard first == 0 || component.knownDownTo[0] >= 0 else {
      throw .corrupt("component \(component.identifier) sends details before its averages")
    }
    for index in first...last {
      guard component.knownDownTo[index] == (high == 0 ? -1 : high) else {
        throw .corrupt("the scans of component \(component.identifier) do not follow on each other")
      }
      component.knownDownTo[index] = low
    }
    return quant
  }

  /// Visits every block of a scan in order, restart markers included.
  private func walk<Blocks: JPEGBlockDecoder>(
    _ scan: JPEGScan, _ frame: JPEGFrame, _ reader: inout JPEGBitReader, _ blocks: consuming Blocks
  ) throws(ImageFault) {
    var blocks = blocks
    let parts = scan.parts
    let single = parts.count == 1
    let (wide, high) = single ? (parts[0].blocksWide, parts[0].blocksHigh) : (frame.mcusWide, frame.mcusHigh)
    var untilRestart = restartInterval > 0 ? restartInterval : Int.max
    var restarts = 0
    for row in 0..<high {
      for column in 0..<wide {
        if untilRestart == 0 {
          try restart(&reader, restarts & 7)
          blocks.restart()
          restarts += 1
          untilRestart = restartInterval
        }
        untilRestart -= 1
        if single {
          guard blocks.decode(&reader, parts[0], 0, row, column) else { throw badCode(reader) }
          continue
        }
        for index in 0..<parts.count {
          let part = parts[index]
          for y in 0..<part.vertical {
            for x in 0..<part.horizontal {
              let (blockRow, blockColumn) = (row * part.vertical + y, column * part.horizontal + x)
              guard blocks.decode(&reader, part, index, blockRow, blockColumn) else { throw badCode(reader) }
            }
          }
        }
      }
      if reader.overrun { throw badCode(reader) }
    }
  }

  private func badCode(_ reader: JPEGBitReader) -> ImageFault {
    guard reader.overrun else { return .corrupt("a scan has a code that means nothing") }
    return reader.position + 1 >= data.count
      ? .truncated("it ends inside a scan") : .corrupt("a scan ends before its last block")
  }

  private func restart(_ reader: inout JPEGBitReader, _ number: Int) throws(ImageFault) {
    if reader.overrun { throw badCode(reader) }
    guard let offset = reader.endSegment() else { throw .truncated("it ends inside a scan") }
    guard data.byte(offset + 1) == 0xD0 + number else { throw .corrupt("a restart marker is missing") }
    reader.move(to: offset + 2)
  }
}

/// Decodes one block at a time and keeps what carries over from block to block.
protocol JPEGBlockDecoder {
  /// Forgets what a restart marker resets.
  mutating func restart()
  /// - Parameters:
  ///   - index: which of the scan's parts the block belongs to.
  ///   - row, column: the block's place, inside the component's grid padded to whole MCUs.
  /// - Returns: false where the bits mean nothing.
  mutating func decode(
    _ reader: inout JPEGBitReader, _ part: JPEGScanPart, _ index: Int, _ row: Int, _ column: Int
  ) -> Bool
}
