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
  let planeRows: Int
  let blockSize: Int
  let coefficients: UnsafeMutablePointer<Int16>?
  let strideBlocks: Int
  let horizontal, vertical: Int
  let blocksWide, blocksHigh: Int

  /// Bytes from one row of samples to the next.
  @inline(__always)
  var stride: Int { strideBlocks &* blockSize }

  /// Where the samples of a block go.
  @inline(__always)
  func samples(_ row: Int, _ column: Int) -> UnsafeMutablePointer<UInt8> {
    let y = row &* blockSize
    let place = y < planeRows ? y : y % planeRows
    return plane + (place &* stride &+ column &* blockSize)
  }
}

extension JPEGDecoder {
  /// Decodes a scan whose entropy-coded data starts at `dataStart`.
  /// - Returns: the offset of the marker after it, nil where the file ends first.
  mutating func readScan(_ segment: ByteSource, dataStart: Int) throws(ImageFault) -> Int? {
    guard var frame else { throw .corrupt("a scan comes before the frame header") }
    scans += 1
    guard scans <= options.limits.scans else { throw .corrupt("it has more than \(options.limits.scans) scans") }
    // One owner only while the scan is decoded, so that its arrays are changed in place.
    self.frame = nil
    let numbers = try scanComponents(segment, frame)
    if !frame.isAllocated {
      let streams = frame.progressive || numbers.count == frame.components.count
      frame.allocate(wholePlanes: !streams)
      canvas = OrientedCanvas(
        width: frame.scaledWidth, height: frame.scaledHeight, orientation: orientation, background: options.background)
    }
    let scan = try scanHeader(segment, numbers, &frame)
    var reader = JPEGBitReader(data, start: dataStart)
    if frame.progressive {
      try walk(scan, frame, &reader, ProgressiveBlocks(scan), nil)
    } else if numbers.count == frame.components.count, let canvas {
      try walk(scan, frame, &reader, SequentialBlocks(), JPEGRowWriter(frame, try colourSpace(frame), canvas))
      isWritten = true
    } else {
      try walk(scan, frame, &reader, SequentialBlocks(), nil)
    }
    // The scan's pointers are into what these own.
    withExtendedLifetime((frame, dcTables, acTables)) {}
    self.frame = frame
    return reader.nextMarker()
  }

  /// The frame's components that a scan sends, in its order.
  private func scanComponents(_ segment: ByteSource, _ frame: JPEGFrame) throws(ImageFault) -> [Int] {
    guard let count = segment.byte(0), (1...4).contains(count), segment.count == 4 + 2 * count else {
      throw .corrupt("a scan header has a bad length")
    }
    var numbers: [Int] = []
    for index in 0..<count {
      let identifier = Int(segment[1 + 2 * index])
      guard let number = frame.components.firstIndex(where: { $0.identifier == identifier }) else {
        throw .corrupt("a scan names the unknown component \(identifier)")
      }
      guard !numbers.contains(number) else { throw .corrupt("a scan names component \(identifier) twice") }
      numbers.append(number)
    }
    return numbers
  }

  private mutating func scanHeader(
    _ segment: ByteSource, _ numbers: [Int], _ frame: inout JPEGFrame
  ) throws(ImageFault) -> JPEGScan {
    let count = numbers.count
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
    var blocks = 0
    for (index, number) in numbers.enumerated() {
      let tables = Int(segment[2 + 2 * index])
      guard tables >> 4 < 4, tables & 15 < 4 else { throw .corrupt("a scan names a bad Huffman table") }
      if !frame.progressive { try addStandardTables(dc: tables >> 4, ac: tables & 15) }
      let (dc, ac) = (dcTables[tables >> 4], acTables[tables & 15])
      guard dc != nil || first > 0 || high > 0, ac != nil || frame.progressive && first == 0 else {
        throw .corrupt("a scan's Huffman table is missing")
      }
      let quant = try note(&frame.components[number], frame.progressive, first, last, high, low)
      let target = frame.components[number]
      blocks += target.horizontal * target.vertical
      parts.append(
        JPEGScanPart(
          dc: dc?.codes, ac: ac?.codes, quant: UnsafePointer(quant.pointer), plane: target.plane.pointer,
          planeRows: target.planeRows, blockSize: target.blockSize, coefficients: target.coefficients?.pointer,
          strideBlocks: target.strideBlocks, horizontal: target.horizontal, vertical: target.vertical,
          blocksWide: target.blocksWide, blocksHigh: target.blocksHigh))
    }
    guard count == 1 || blocks <= 10 else { throw .corrupt("a scan has \(blocks) blocks per unit, 10 are allowed") }
    return JPEGScan(parts: parts, first: first, last: last, high: high, low: low)
  }

  /// Puts the tables of ITU-T T.81, K.3 where a sequential file sent none, as MJPEG frames do.
  private mutating func addStandardTables(dc: Int, ac: Int) throws(ImageFault) {
    let missing = ImageFault.corrupt("its Huffman tables are missing")
    if dcTables[dc] == nil, let table = JPEGStandardTables.dc(dc) {
      try log.report(missing)
      dcTables[dc] = table
    }
    if acTables[ac] == nil, let table = JPEGStandardTables.ac(ac) {
      try log.report(missing)
      acTables[ac] = table
    }
  }

  /// Records what a scan sends of a component. Each coefficient should be sent once and then refined bit by bit; what
  /// comes again replaces what was there.
  /// - Returns: the component's quantisation table.
  private func note(
    _ component: inout JPEGComponent, _ progressive: Bool, _ first: Int, _ last: Int, _ high: Int, _ low: Int
  ) throws(ImageFault) -> AlignedBuffer<Int32> {
    guard let quant = component.quant ?? quantTables[component.quantIndex] else {
      throw .corrupt("a quantisation table is missing")
    }
    component.quant = quant
    guard progressive else {
      if component.knownDownTo[0] >= 0 { try log.report(.corrupt("component \(component.identifier) is sent twice")) }
      component.knownDownTo[0] = 0
      return quant
    }
    if first > 0, component.knownDownTo[0] < 0 {
      try log.report(.corrupt("component \(component.identifier) sends details before its averages"))
    }
    for index in first...last {
      if component.knownDownTo[index] != (high == 0 ? -1 : high) {
        try log.report(.corrupt("its scans do not follow on each other"))
      }
      component.knownDownTo[index] = low
    }
    return quant
  }

  /// Visits every block of a scan in order, restart markers included.
  /// - Parameter writer: takes the rows that are done; nil where more scans must come first.
  private func walk<Blocks: JPEGBlockDecoder>(
    _ scan: JPEGScan, _ frame: JPEGFrame, _ reader: inout JPEGBitReader, _ blocks: consuming Blocks,
    _ writer: JPEGRowWriter?
  ) throws(ImageFault) {
    var blocks = blocks
    let parts = scan.parts
    let single = parts.count == 1
    let (wide, high) = single ? (parts[0].blocksWide, parts[0].blocksHigh) : (frame.mcusWide, frame.mcusHigh)
    let rowsPerStep = single ? frame.scale : frame.scale * frame.maxVertical
    var untilRestart = restartInterval > 0 ? restartInterval : Int.max
    var restarts = 0
    // Data ran out: what is left up to the next restart marker counts as zero.
    var empty = false
    // Why data will run out has been reported.
    var isReported = false
    for row in 0..<high {
      for column in 0..<wide {
        if untilRestart == 0 {
          // The first unit of a missing interval is made of zero bits, as in libjpeg.
          isReported = try !restart(&reader, restarts & 7, wasEmpty: empty)
          empty = empty && isReported
          blocks.restart()
          restarts += 1
          untilRestart = restartInterval
        }
        untilRestart -= 1
        for index in 0..<parts.count {
          let part = parts[index]
          for y in 0..<(single ? 1 : part.vertical) {
            for x in 0..<(single ? 1 : part.horizontal) {
              let blockRow = single ? row : row * part.vertical + y
              let blockColumn = single ? column : column * part.horizontal + x
              if empty {
                blocks.skip(part, blockRow, blockColumn)
              } else {
                blocks.decode(&reader, part, index, blockRow, blockColumn)
              }
            }
          }
        }
        if !empty, reader.overrun {
          if !isReported {
            try log.report(
              reader.isAtEnd ? .truncated("it ends inside a scan") : .corrupt("a scan ends before its last block"))
          }
          empty = true
          reader.sawBadCode = false
        }
      }
      if reader.sawBadCode {
        try log.report(.corrupt("a scan has a code that means nothing"))
        reader.sawBadCode = false
      }
      writer?.write(decoded: (row + 1) * rowsPerStep)
    }
  }

  /// Passes the restart marker `number`. Of wrong markers libjpeg's reading is taken: a marker that is due within the
  /// next two intervals means that data was lost, one of the last two is passed over, any other is taken for the right
  /// one. A marker left out between whole intervals, which libjpeg does not notice, costs nothing.
  /// - Returns: whether data follows; otherwise the next interval is missing.
  private func restart(_ reader: inout JPEGBitReader, _ number: Int, wasEmpty: Bool) throws(ImageFault) -> Bool {
    var probe = reader
    let hasData = !wasEmpty && probe.alignToByte()
    let marker = reader.nextMarker().flatMap { data.byte($0 + 1) }
    if marker == 0xD0 + number {
      if hasData { try log.report(.corrupt("a restart interval is longer than its blocks")) }
      reader.move(to: reader.position + 2)
      return true
    }
    if !wasEmpty {
      try log.report(
        marker == nil && !hasData
          ? .truncated("it ends inside a scan") : .corrupt("restart markers are missing or out of order"))
    }
    if hasData {
      reader = probe
      return true
    }
    return marker.map { resync(&reader, $0, number) } ?? false
  }

  private func resync(_ reader: inout JPEGBitReader, _ marker: Int, _ number: Int) -> Bool {
    var marker = marker
    while true {
      let distance = (marker - 0xD0 - number) & 7
      if !(0xD0...0xD7).contains(marker) && marker >= 0xC0 || [1, 2].contains(distance) { return false }
      let passed = marker < 0xC0 || distance >= 6
      reader.move(to: reader.position + 2)
      if !passed { return true }
      guard let offset = reader.nextMarker(), let next = data.byte(offset + 1) else { return false }
      marker = next
    }
  }
}

/// Decodes one block at a time and keeps what carries over from block to block.
protocol JPEGBlockDecoder {
  /// Forgets what a restart marker resets.
  mutating func restart()
  /// - Parameters:
  ///   - index: which of the scan's parts the block belongs to.
  ///   - row, column: the block's place, inside the component's grid padded to whole MCUs.
  mutating func decode(
    _ reader: inout JPEGBitReader, _ part: JPEGScanPart, _ index: Int, _ row: Int, _ column: Int)
  /// Does without the data of a block.
  func skip(_ part: JPEGScanPart, _ row: Int, _ column: Int)
}
