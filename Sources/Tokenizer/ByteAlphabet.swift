/// GPT-2's alphabet: a printable character for every byte, so that a vocabulary can spell any of them. Printable bytes
/// of Latin-1 stand for themselves, all others for U+0100 onwards in their order.
enum ByteAlphabet {
  /// UTF-8 of each byte's character.
  static let characters: [[UInt8]] = scalars.map { Array(String(Character($0)).utf8) }

  private static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (0..<256).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(UInt8(byte))
      default:
        defer { next += 1 }
        return Unicode.Scalar(next) ?? " "
      }
    }
  }()

  private static let bytes: [UInt32: UInt8] = {
    var bytes: [UInt32: UInt8] = [:]
    for (byte, scalar) in scalars.enumerated() { bytes[scalar.value] = UInt8(byte) }
    return bytes
  }()

  /// The bytes a token's text spells. A character that stands for no byte gives its own UTF-8 (llama.cpp prints a
  /// remark in its place).
  static func decode(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      if let byte = bytes[scalar.value] { result.append(byte) } else { result += Array(String(Character(scalar)).utf8) }
    }
    return result
  }
}
