/// Strings of a JSON text. Pictures come as strings of many megabytes: runs without escapes are found by words.
extension JSONParser {
  /// The string whose quote stands at `position`.
  mutating func string() throws(JSONError) -> String {
    position += 1
    var start = position
    position = endOfRun(from: start)
    // Most strings are one run, made without a copy in between.
    if current == 34 { return try text(bytes[start..<position]) }
    var content: [UInt8] = []
    while true {
      content.append(contentsOf: bytes[start..<position])
      switch current {
      case nil: throw error("a string has no end")
      case 34: return try text(content[...])
      case 92:
        position += 1
        try escape(into: &content)
      default: throw error("a control character in a string must be escaped")
      }
      start = position
      position = endOfRun(from: start)
    }
  }

  /// A string's content, and the step over its closing quote.
  private mutating func text(_ content: ArraySlice<UInt8>) throws(JSONError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else { throw error("a string is not valid UTF-8") }
    position += 1
    return text
  }

  private func endOfRun(from start: Int) -> Int {
    bytes.withUnsafeBytes { JSONParser.endOfRun(in: $0, from: start) }
  }

  /// The place of the next quote, backslash or control character, or the end of the text.
  static func endOfRun(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
    var place = start
    // Words, not SIMD vectors: without AVX2 their comparisons are many times slower.
    while place <= bytes.count - 32 {
      var stops: UInt64 = 0
      for offset in stride(from: 0, to: 32, by: 8) {
        // In bounds by the condition above.
        stops |= stopBits(bytes.loadUnaligned(fromByteOffset: place &+ offset, as: UInt64.self))
      }
      if stops != 0 { break }
      place &+= 32
    }
    while place < bytes.count, bytes[place] != 34, bytes[place] != 92, bytes[place] >= 32 { place += 1 }
    return place
  }

  /// Not 0 if one of eight bytes ends a run. A byte's highest bit is set where a subtraction from it, without that bit,
  /// borrows (Sean Anderson, Bit Twiddling Hacks, "Determine if a word has a byte less than n"); bits above the first
  /// one may be set in error.
  @inline(__always)
  private static func stopBits(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = word ^ (ones &* 34)
    let backslashes = word ^ (ones &* 92)
    let isQuote = (quotes &- ones) & ~quotes
    let isBackslash = (backslashes &- ones) & ~backslashes
    let isControl = (word &- ones &* 32) & ~word
    return (isQuote | isBackslash | isControl) & (ones &* 128)
  }

  /// What stands behind a backslash.
  private mutating func escape(into content: inout [UInt8]) throws(JSONError) {
    let code = current ?? 0
    position += 1
    switch Unicode.Scalar(code) {
    case "\"", "\\", "/": content.append(code)
    case "b": content.append(8)
    case "f": content.append(12)
    case "n": content.append(10)
    case "r": content.append(13)
    case "t": content.append(9)
    case "u": content.append(contentsOf: UTF8.encode(try escapedScalar()) ?? UTF8.encodedReplacementCharacter)
    default:
      position -= 1
      throw error("unknown escape in a string")
    }
  }

  private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
    let first = try hexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, take("\\"), take("u") else { throw error("a surrogate without its pair") }
    let second = try hexadecimal()
    guard second >= 0xDC00, second <= 0xDFFF,
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else { throw error("a surrogate without its pair") }
    return scalar
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch current {
      case let byte? where byte >= 48 && byte <= 57: digit = byte - 48
      case let byte? where byte >= 65 && byte <= 70: digit = byte - 55
      case let byte? where byte >= 97 && byte <= 102: digit = byte - 87
      default: throw error("expected four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
