/// Joins the bytes of successive tokens to text. What is handed out is complete: a character whose last bytes are still
/// to come is held back, and nothing else is. The pieces joined are exactly what decoding all bytes at once gives.
package struct StreamingDecoder: Sendable {
  /// The start of one character: at most 3 bytes.
  private var pending: [UInt8] = []

  package init() {}

  /// - Returns: the text that is certain now; bytes that cannot be UTF-8 show as U+FFFD.
  package mutating func append(_ bytes: some Sequence<UInt8>) -> String {
    pending.append(contentsOf: bytes)
    let complete = pending.count - StreamingDecoder.unfinished(pending)
    let text = String(decoding: pending[..<complete], as: UTF8.self)
    pending.removeFirst(complete)
    return text
  }

  /// Ends the text: a character that never became whole shows as U+FFFD. The decoder is empty afterwards.
  package mutating func finish() -> String {
    defer { pending.removeAll() }
    return String(decoding: pending, as: UTF8.self)
  }

  /// Length of the suffix that is the start of a character and lacks its end.
  private static func unfinished(_ bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
      let suffix = bytes.suffix(length)
      let lead = suffix[suffix.startIndex]
      if lead & 0xC0 == 0x80 { continue }
      return isUnfinished(lead, suffix.dropFirst()) ? length : 0
    }
    return 0
  }

  /// Unicode 15, table 3-7: which bytes may follow which.
  private static func isUnfinished(_ lead: UInt8, _ rest: ArraySlice<UInt8>) -> Bool {
    let needed: Int
    switch lead {
    case 0xC2...0xDF: needed = 1
    case 0xE0...0xEF: needed = 2
    case 0xF0...0xF4: needed = 3
    default: return false
    }
    guard rest.count < needed else { return false }
    guard let second = rest.first else { return true }
    switch lead {
    case 0xE0: return second >= 0xA0
    case 0xED: return second <= 0x9F
    case 0xF0: return second >= 0x90
    case 0xF4: return second <= 0x8F
    default: return true
    }
  }
}
