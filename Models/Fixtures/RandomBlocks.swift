import OccamCore
import OccamGGUF
import OccamQuantFormats

/// Blocks of random codes with a fixed scale: numbers of about the wanted deviation, at the speed of the disk.
struct RandomBlocks {
  private let format: QuantFormat
  /// Bits of the block's scale as F16; for F16 itself, the exponent all numbers have.
  private let scale: UInt16

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
    default: return nil
    }
    self.format = format
  }

  func write(elements: Int, _ noise: Noise, to sink: GGUFSink) throws(GGUFError) {
    var noise = noise
    let total = elements / format.blockSize * format.blockBytes
    let chunk = AlignedBuffer<UInt8>(count: min(total, 1680 * format.blockBytes))
    var remaining = total
    while remaining > 0 {
      let words = UnsafeMutableRawPointer(chunk.pointer)
      for offset in stride(from: 0, to: chunk.count & ~7, by: 8) {
        words.storeBytes(of: noise.bits(), toByteOffset: offset, as: UInt64.self)
      }
      for offset in chunk.count & ~7..<chunk.count { chunk.pointer[offset] = UInt8(truncatingIfNeeded: noise.bits()) }
      setScales(chunk)
      let count = min(remaining, chunk.count)
      try sink.write(UnsafeRawBufferPointer(start: chunk.pointer, count: count))
      remaining -= count
    }
  }

  private func setScales(_ chunk: AlignedBuffer<UInt8>) {
    let bytes = UnsafeMutableRawPointer(chunk.pointer)
    switch format {
    case .f16:
      for offset in stride(from: 0, to: chunk.count, by: 2) {
        let bits = bytes.load(fromByteOffset: offset, as: UInt16.self)
        bytes.storeBytes(of: bits & 0x83FF | scale, toByteOffset: offset, as: UInt16.self)
      }
    case .q6_K:
      for block in stride(from: 0, to: chunk.count, by: format.blockBytes) {
        for i in block + 192..<block + 208 { chunk.pointer[i] = 4 + chunk.pointer[i] & 7 }
        bytes.storeBytes(of: scale, toByteOffset: block + 208, as: UInt16.self)
      }
    default:
      for block in stride(from: 0, to: chunk.count, by: format.blockBytes) {
        bytes.storeBytes(of: scale, toByteOffset: block, as: UInt16.self)
      }
    }
  }
}
