/// RFC 4648, both alphabets. White space between characters is skipped, padding may be missing; anything else is refused.
enum Base64 {
  private static let values: [UInt8] = {
    var table = [UInt8](repeating: 255, count: 256)
    for (value, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(value) }
    table[Int(UInt8(ascii: "-"))] = 62
    table[Int(UInt8(ascii: "_"))] = 63
    for space in " \t\r\n".utf8 { table[Int(space)] = 254 }
    return table
  }()

  /// nil if the text is not base64.
  static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
    // Strings have their bytes in one place; others are copied once.
    if let result = text.withContiguousStorageIfAvailable({ decode(bytes: $0) }) { return result }
    return Array(text).withUnsafeBufferPointer { decode(bytes: $0) }
  }

  private static func decode(bytes text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    var isSound = false
    let result = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + 3) { output, length in
      isSound = values.withUnsafeBufferPointer { decode(text, values: $0, into: output, &length) }
    }
    return isSound ? result : nil
  }

  /// - Parameter output: holds three bytes for each four of the text, and three more.
  private static func decode(
    _ text: UnsafeBufferPointer<UInt8>, values: UnsafeBufferPointer<UInt8>,
    into output: UnsafeMutableBufferPointer<UInt8>, _ length: inout Int
  ) -> Bool {
    var (place, bits, count, padding, characters) = (0, UInt32(0), 0, 0, 0)
    while place < text.count {
      // Four characters of the alphabet are three bytes, as long as nothing else comes between.
      if count == 0, padding == 0 {
        let first = place
        while place + 4 <= text.count {
          let a = UInt32(values[Int(text[place])])
          let b = UInt32(values[Int(text[place &+ 1])])
          let c = UInt32(values[Int(text[place &+ 2])])
          let d = UInt32(values[Int(text[place &+ 3])])
          guard a | b | c | d < 64 else { break }
          let word = a << 18 | b << 12 | c << 6 | d
          output[length] = UInt8(truncatingIfNeeded: word >> 16)
          output[length &+ 1] = UInt8(truncatingIfNeeded: word >> 8)
          output[length &+ 2] = UInt8(truncatingIfNeeded: word)
          (place, length) = (place &+ 4, length &+ 3)
        }
        characters += place - first
        guard place < text.count else { break }
      }
      let byte = text[place]
      let value = values[Int(byte)]
      place += 1
      if value == 254 { continue }
      if byte == UInt8(ascii: "=") {
        padding += 1
        continue
      }
      guard value < 64, padding == 0 else { return false }
      characters += 1
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        output[length] = UInt8(truncatingIfNeeded: bits >> UInt32(count))
        length += 1
        bits &= 1 << UInt32(count) - 1
      }
    }
    // One character alone is no byte; padding fills the last four and no more.
    return characters % 4 != 1 && (padding == 0 || (padding <= 2 && (characters + padding) % 4 == 0))
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    let count = (bytes.count + 2) / 3 * 4
    return String(unsafeUninitializedCapacity: count) { output in
      var place = 0
      for start in stride(from: 0, to: bytes.count, by: 3) {
        let length = min(3, bytes.count - start)
        var word = UInt32(bytes[start]) << 16
        if length > 1 { word |= UInt32(bytes[start + 1]) << 8 }
        if length > 2 { word |= UInt32(bytes[start + 2]) }
        for index in 0..<4 {
          output[place] = index <= length ? alphabet[Int(word >> UInt32(18 - 6 * index) & 63)] : UInt8(ascii: "=")
          place += 1
        }
      }
      return count
    }
  }
}
