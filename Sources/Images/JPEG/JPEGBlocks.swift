/// Sequential coding (ITU-T T.81, F.2.2): a block is decoded whole and transformed at once.
struct SequentialBlocks: JPEGBlockDecoder {
  private var predictions = SIMD4<Int32>(repeating: 0)
  /// The block in natural order; all zero between blocks.
  private var block = JPEGBlockStorage()

  mutating func restart() { predictions = .init(repeating: 0) }

  @inline(__always)
  mutating func decode(
    _ reader: inout JPEGBitReader, _ part: JPEGScanPart, _ index: Int, _ row: Int, _ column: Int
  ) {
    guard let dc = part.dc, let ac = part.ac else { return }
    let natural = JPEGZigzag.pointer
    block.withCoefficients { coefficients in
      reader.refill()
      let size = reader.symbol(dc)
      predictions[index] = predictions[index] &+ Int32(truncatingIfNeeded: reader.takeSigned(size))
      coefficients[0] = Int16(truncatingIfNeeded: predictions[index])
      var k = 1
      while k < 64 {
        reader.refill()
        let symbol = reader.symbol(ac)
        let size = symbol & 15
        if size == 0 {
          if symbol != 0xF0 { break }
          k &+= 16
          continue
        }
        k &+= symbol &>> 4
        coefficients[reader.place(k, natural)] = Int16(truncatingIfNeeded: reader.takeSigned(size))
        k &+= 1
      }
      let (target, stride) = (part.samples(row, column), part.stride)
      if k == 1 {
        inverseDCOnly(coefficients[0], part.quant, into: target, stride: stride, size: part.blockSize)
        coefficients[0] = 0
      } else {
        inverseDCT(coefficients, part.quant, into: target, stride: stride, size: part.blockSize)
        coefficients.update(repeating: 0, count: 64)
      }
    }
  }

  func skip(_ part: JPEGScanPart, _ row: Int, _ column: Int) {
    inverseDCOnly(0, part.quant, into: part.samples(row, column), stride: part.stride, size: part.blockSize)
  }
}

extension JPEGBitReader {
  /// Position of coefficient `k` in the block. A run of zeros beyond the block ends at the last one, as in libjpeg.
  @inline(__always)
  fileprivate mutating func place(_ k: Int, _ natural: UnsafePointer<UInt8>) -> Int {
    if k > 63 {
      sawBadCode = true
      return 63
    }
    return Int(natural[k])
  }
}

/// Room for the 64 coefficients of a block without an allocation.
struct JPEGBlockStorage {
  private var low = SIMD32<Int16>(repeating: 0)
  private var high = SIMD32<Int16>(repeating: 0)

  @inline(__always)
  mutating func withCoefficients<Result>(_ body: (UnsafeMutablePointer<Int16>) -> Result) -> Result {
    withUnsafeMutableBytes(of: &self) { body($0.baseAddress!.assumingMemoryBound(to: Int16.self)) }
  }
}

/// Progressive coding (ITU-T T.81, annex G): a scan adds some bits of some coefficients to what is known.
struct ProgressiveBlocks: JPEGBlockDecoder {
  private let first, last, low: Int
  private let refining: Bool
  private var predictions = SIMD4<Int32>(repeating: 0)
  /// Further blocks without a new coefficient.
  private var endOfBandRun = 0

  init(_ scan: JPEGScan) {
    first = scan.first
    last = scan.last
    low = scan.low
    refining = scan.high > 0
  }

  mutating func restart() {
    predictions = .init(repeating: 0)
    endOfBandRun = 0
  }

  @inline(__always)
  mutating func decode(
    _ reader: inout JPEGBitReader, _ part: JPEGScanPart, _ index: Int, _ row: Int, _ column: Int
  ) {
    guard let coefficients = part.coefficients else { return }
    let block = coefficients + (row &* part.strideBlocks &+ column) &* 64
    if first == 0 {
      if refining {
        reader.refill()
        if reader.bit() { block[0] |= 1 &<< Int16(truncatingIfNeeded: low) }
      } else {
        decodeDC(&reader, part, index, block)
      }
      return
    }
    guard let ac = part.ac else { return }
    refining ? refineAC(&reader, ac, block) : decodeAC(&reader, ac, block)
  }

  /// A block without data keeps what earlier scans sent.
  func skip(_ part: JPEGScanPart, _ row: Int, _ column: Int) {}

  private mutating func decodeDC(
    _ reader: inout JPEGBitReader, _ part: JPEGScanPart, _ index: Int, _ block: UnsafeMutablePointer<Int16>
  ) {
    guard let dc = part.dc else { return }
    reader.refill()
    let size = reader.symbol(dc)
    predictions[index] = predictions[index] &+ Int32(truncatingIfNeeded: reader.takeSigned(size))
    block[0] = Int16(truncatingIfNeeded: predictions[index] &<< Int32(truncatingIfNeeded: low))
  }

  private mutating func decodeAC(
    _ reader: inout JPEGBitReader, _ ac: JPEGHuffmanTable.Codes, _ block: UnsafeMutablePointer<Int16>
  ) {
    if endOfBandRun > 0 {
      endOfBandRun &-= 1
      return
    }
    let natural = JPEGZigzag.pointer
    var k = first
    while k <= last {
      reader.refill()
      let symbol = reader.symbol(ac)
      let (run, size) = (symbol &>> 4, symbol & 15)
      if size == 0 {
        if run < 15 {
          endOfBandRun = (1 &<< run) &- 1
          if run > 0 { endOfBandRun &+= reader.take(run) }
          return
        }
        k &+= 16
        continue
      }
      k &+= run
      if k > last { reader.sawBadCode = true }
      block[reader.place(k, natural)] = Int16(truncatingIfNeeded: reader.takeSigned(size) &<< low)
      k &+= 1
    }
  }

  private mutating func refineAC(
    _ reader: inout JPEGBitReader, _ ac: JPEGHuffmanTable.Codes, _ block: UnsafeMutablePointer<Int16>
  ) {
    let natural = JPEGZigzag.pointer
    let one = Int16(truncatingIfNeeded: 1 &<< low)
    var k = first
    if endOfBandRun == 0 {
      while k <= last {
        reader.refill()
        let symbol = reader.symbol(ac)
        var run = symbol &>> 4
        var added: Int16 = 0
        switch symbol & 15 {
        case 0:
          if run < 15 {
            endOfBandRun = 1 &<< run
            if run > 0 { endOfBandRun &+= reader.take(run) }
          }
        default:
          if symbol & 15 != 1 { reader.sawBadCode = true }
          added = reader.bit() ? one : 0 &- one
        }
        if endOfBandRun > 0 { break }
        // Pass `run` coefficients that are still zero; each one known on the way takes its correction bit.
        while k <= last {
          let position = Int(natural[k])
          if block[position] != 0 {
            correct(&reader, block + position, one)
          } else {
            if run == 0 { break }
            run &-= 1
          }
          k &+= 1
        }
        if added != 0 {
          if k > last { reader.sawBadCode = true }
          block[reader.place(k, natural)] = added
        }
        k &+= 1
      }
    }
    if endOfBandRun > 0 {
      while k <= last {
        let position = Int(natural[k])
        if block[position] != 0 { correct(&reader, block + position, one) }
        k &+= 1
      }
      endOfBandRun &-= 1
    }
  }

  @inline(__always)
  private func correct(_ reader: inout JPEGBitReader, _ coefficient: UnsafeMutablePointer<Int16>, _ one: Int16) {
    reader.refill()
    if reader.bit(), coefficient.pointee & one == 0 {
      coefficient.pointee = coefficient.pointee > 0 ? coefficient.pointee &+ one : coefficient.pointee &- one
    }
  }
}
