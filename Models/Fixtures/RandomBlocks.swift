import OccamCore
import OccamGGUF
import OccamQuantFormats

/// Blocks of random codes with a fixed scale: numbers of about the wanted deviation, at the speed of the disk.
struct RandomBlocks {
  private let format: QuantFormat
  private let factors: BlockFactors?
  /// What stands for the block's scale: a half, or an exponent; for F16 and BF16, the exponent all numbers have.
  private let scale: UInt16
  /// Bits of the blocks' minimum, where they have one.
  private let minimum: UInt16

  /// nil for the formats that are not made this way, and for tensors without a deviation.
  init?(_ format: QuantFormat, deviation: Float) {
    guard deviation > 0 else { return nil }
    self.format = format
    factors = format.factors
    switch format {
    // A number is +-(1...2) times a power of two.
    case .f16: (scale, minimum) = (Half.bits(deviation / 1.5) & 0x7C00, 0)
    case .bf16: (scale, minimum) = (BrainFloat.bits(deviation / 1.5) & 0x7F80, 0)
    default:
      guard let unit = UnitBlocks.all[format] else { return nil }
      let wanted = deviation / unit.deviation
      switch unit.coding {
      case .half: (scale, minimum) = (Half.bits(wanted), Half.bits(wanted * unit.minimum))
      // The nearest power of two, 127 being 1.
      case .exponent: (scale, minimum) = (UInt16(max(0, min(254, 127 + Int((wanted * 1.414_213_6).exponent)))), 0)
      }
    }
  }

  /// With the given factors instead.
  fileprivate init(_ format: QuantFormat, scale: UInt16, minimum: UInt16) {
    self.format = format
    factors = format.factors
    self.scale = scale
    self.minimum = minimum
  }

  func write(elements: Int, _ noise: Noise, to sink: GGUFSink) throws(GGUFError) {
    var noise = noise
    let total = elements / format.blockSize * format.blockBytes
    let chunk = AlignedBuffer<UInt8>(count: min(total, 1680 * format.blockBytes))
    var remaining = total
    while remaining > 0 {
      fill(UnsafeMutableRawPointer(chunk.pointer), count: chunk.count, &noise)
      let count = min(remaining, chunk.count)
      try sink.write(UnsafeRawBufferPointer(start: chunk.pointer, count: count))
      remaining -= count
    }
  }

  /// - Parameter count: bytes, whole blocks, of any alignment.
  func fill(_ bytes: UnsafeMutableRawPointer, count: Int, _ noise: inout Noise) {
    for offset in stride(from: 0, to: count & ~7, by: 8) {
      bytes.storeBytes(of: noise.bits(), toByteOffset: offset, as: UInt64.self)
    }
    for offset in count & ~7..<count {
      bytes.storeBytes(of: UInt8(truncatingIfNeeded: noise.bits()), toByteOffset: offset, as: UInt8.self)
    }
    guard let factors else { return setExponents(bytes, count, keeping: format == .f16 ? 0x83FF : 0x807F) }
    for block in stride(from: 0, to: count, by: format.blockBytes) {
      switch factors.coding {
      case .exponent:
        bytes.storeBytes(of: UInt8(truncatingIfNeeded: scale), toByteOffset: block + factors.scale, as: UInt8.self)
      case .half:
        bytes.storeBytes(of: scale, toByteOffset: block + factors.scale, as: UInt16.self)
        if let place = factors.minimum { bytes.storeBytes(of: minimum, toByteOffset: block + place, as: UInt16.self) }
      }
    }
  }

  private func setExponents(_ bytes: UnsafeMutableRawPointer, _ count: Int, keeping mask: UInt16) {
    for offset in stride(from: 0, to: count, by: 2) {
      let bits = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
      bytes.storeBytes(of: bits & mask | scale, toByteOffset: offset, as: UInt16.self)
    }
  }
}

/// What random codes of a format are worth under a scale of 1, measured once by decoding some.
private struct UnitBlocks {
  let coding: BlockFactors.Coding
  /// The minimum that makes the mean 0.
  let minimum: Float
  /// With that minimum.
  let deviation: Float

  static let all: [QuantFormat: UnitBlocks] = Dictionary(
    uniqueKeysWithValues: QuantFormat.allCases.compactMap { format in UnitBlocks(format).map { (format, $0) } })

  private init?(_ format: QuantFormat) {
    guard let factors = format.factors else { return nil }
    let one: UInt16 = factors.coding == .half ? 0x3C00 : 127
    let codes = UnitBlocks.numbers(RandomBlocks(format, scale: one, minimum: 0), format)
    coding = factors.coding
    guard factors.minimum != nil else {
      (minimum, deviation) = (0, UnitBlocks.rootMeanSquare(codes))
      return
    }
    let offsets = UnitBlocks.numbers(RandomBlocks(format, scale: 0, minimum: 0x3C00), format)
    let ratio = -UnitBlocks.mean(codes) / UnitBlocks.mean(offsets)
    (minimum, deviation) = (ratio, UnitBlocks.rootMeanSquare(zip(codes, offsets).map { $0 + ratio * $1 }))
  }

  private static func numbers(_ blocks: RandomBlocks, _ format: QuantFormat) -> [Float] {
    let count = 1 << 16
    let bytes = AlignedBuffer<UInt8>(count: count / format.blockSize * format.blockBytes)
    var noise = Noise(seed: 0, tensor: format.name)
    blocks.fill(UnsafeMutableRawPointer(bytes.pointer), count: bytes.count, &noise)
    var numbers = [Float](repeating: 0, count: count)
    format.decode(bytes.pointer, count: count, into: &numbers)
    return numbers
  }

  private static func mean(_ numbers: [Float]) -> Float {
    Float(numbers.reduce(0.0) { $0 + Double($1) } / Double(numbers.count))
  }

  private static func rootMeanSquare(_ numbers: [Float]) -> Float {
    let squares = numbers.reduce(0.0) { $0 + Double($1) * Double($1) }
    return Float((squares / Double(numbers.count)).squareRoot())
  }
}
