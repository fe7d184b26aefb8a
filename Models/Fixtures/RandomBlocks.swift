import OccamCore
import OccamGGUF
import OccamQuantFormats

/// Blocks of random codes with a fixed scale: numbers of about the wanted deviation, at the speed of the disk.
struct RandomBlocks {
  private let format: QuantFormat
  /// Bits of the block's scale as F16; for F16 and BF16 themselves, the exponent all numbers have.
  private let scale: UInt16
  /// Bits of the scale of the blocks' minima, where they have any.
  private var minimum: UInt16 = 0

  /// nil for the formats that are not made this way, and for tensors without a deviation.
  init?(_ format: QuantFormat, deviation: Float) {
    guard deviation > 0 else { return nil }
    switch format {
    // Codes uniform on -8...7, on -128...127, and on -32...31 under a scale of 4...11.
    case .q4_0: scale = Half.bits(deviation / 4.6)
    case .q8_0: scale = Half.bits(deviation / 74)
    case .q6_K: scale = Half.bits(deviation / (18.5 * 7.9))
    // A number is +-(1...2) times a power of two.
    case .f16: scale = Half.bits(deviation / 1.5) & 0x7C00
    case .bf16: scale = BrainFloat.bits(deviation / 1.5) & 0x7F80
    // Codes uniform on 0...15 and 0...31, scales and minima on 0...63; minima so that the mean is 0.
    case .q4_K:
      scale = Half.bits(deviation / 258)
      minimum = Half.bits(deviation / 258 * 7.5)
    case .q5_K:
      scale = Half.bits(deviation / 527)
      minimum = Half.bits(deviation / 527 * 15.5)
    case .f32: return nil
    }
    self.format = format
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
    setScales(bytes, count)
  }

  private func setScales(_ bytes: UnsafeMutableRawPointer, _ count: Int) {
    switch format {
    case .f16: setExponents(bytes, count, keeping: 0x83FF)
    case .bf16: setExponents(bytes, count, keeping: 0x807F)
    case .q6_K:
      for block in stride(from: 0, to: count, by: format.blockBytes) {
        for i in block + 192..<block + 208 {
          let code = bytes.load(fromByteOffset: i, as: UInt8.self)
          bytes.storeBytes(of: 4 + code & 7, toByteOffset: i, as: UInt8.self)
        }
        bytes.storeBytes(of: scale, toByteOffset: block + 208, as: UInt16.self)
      }
    case .q4_K, .q5_K:
      for block in stride(from: 0, to: count, by: format.blockBytes) {
        bytes.storeBytes(of: scale, toByteOffset: block, as: UInt16.self)
        bytes.storeBytes(of: minimum, toByteOffset: block + 2, as: UInt16.self)
      }
    default:
      for block in stride(from: 0, to: count, by: format.blockBytes) {
        bytes.storeBytes(of: scale, toByteOffset: block, as: UInt16.self)
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
