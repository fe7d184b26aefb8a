import OccamCore

/// A Huffman table of a DHT segment, prepared for looking up `lookupBits` bits at a time (ITU-T T.81, annex C and F.2.2.3).
final class JPEGHuffmanTable {
  static let lookupBits = 10

  private let lookup = AlignedBuffer<UInt16>(count: 1 << lookupBits)
  private let limit = AlignedBuffer<Int>(count: 18)
  private let offset = AlignedBuffer<Int>(count: 18)
  private let symbols = AlignedBuffer<UInt8>(count: 256)

  /// The tables without their owner, for the inner loops; valid as long as this object lives.
  struct Codes {
    /// Indexed by the next `lookupBits` bits: code length << 8 | symbol, or 0 where the code is longer or unused.
    let lookup: UnsafePointer<UInt16>
    /// Indexed by code length 1...16: one past the last code of that length, shifted up to 16 bits; [17] catches all.
    let limit: UnsafePointer<Int>
    /// Indexed by code length: what to add to a code to find its symbol.
    let offset: UnsafePointer<Int>
    let symbols: UnsafePointer<UInt8>
  }

  var codes: Codes {
    Codes(
      lookup: UnsafePointer(lookup.pointer), limit: UnsafePointer(limit.pointer), offset: UnsafePointer(offset.pointer),
      symbols: UnsafePointer(symbols.pointer))
  }

  /// - Parameters:
  ///   - counts: how many codes of each length 1...16.
  ///   - values: their symbols, as many as the counts say (at most 256).
  ///   - maxSymbol: larger symbols are refused.
  init(counts: [Int], values: ByteSource, maxSymbol: UInt8) throws(ImageFault) {
    var code = 0
    var index = 0
    for length in 1...16 {
      let count = counts[length - 1]
      offset.pointer[length] = index - code
      for _ in 0..<count {
        guard let symbol = values.byte(index), index < 256 else { throw .corrupt("a Huffman table has a bad length") }
        guard symbol <= Int(maxSymbol) else { throw .corrupt("a Huffman table has the impossible symbol \(symbol)") }
        guard code < 1 << length else { throw .corrupt("a Huffman table has too many short codes") }
        symbols.pointer[index] = UInt8(symbol)
        if length <= Self.lookupBits {
          let spare = Self.lookupBits - length
          for low in 0..<1 << spare { lookup.pointer[code << spare | low] = UInt16(length << 8 | symbol) }
        }
        code += 1
        index += 1
      }
      guard code <= 1 << length else { throw .corrupt("a Huffman table has too many short codes") }
      limit.pointer[length] = code << (16 - length)
      code <<= 1
    }
    limit.pointer[17] = Int.max
  }
}
