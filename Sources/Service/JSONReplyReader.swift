import Occam
import OccamCore

/// Reads replies that a schema holds to `{"response": "..."}` or `{"tool_calls": [...]}`; the text of the first is
/// shown while it comes.
struct JSONReplyReader: Sendable {
  private enum Place {
    /// It may still be either.
    case opening
    case text
    case closed
    /// Calls, read when they are complete.
    case calls
  }

  private var place = Place.opening
  private var held: [UInt8] = []

  mutating func push(_ text: String) -> [ReplyPart] {
    held += text.utf8
    if place == .opening { open() }
    guard place == .text else { return [] }
    let shown = unescape()
    return shown.isEmpty ? [] : [.text(shown)]
  }

  mutating func finish() -> [ReplyPart] {
    guard place == .opening || place == .calls else { return [] }
    let reply = String(decoding: held, as: UTF8.self)
    guard let value = try? JSONValue(parsing: reply) else { return reply.isEmpty ? [] : [.text(reply)] }
    let calls = (value["tool_calls"]?.arrayValue ?? []).compactMap(ToolUse.call)
    return calls.isEmpty ? [.text(reply)] : calls.map { .call($0) }
  }

  private static let opening: [[UInt8]] = ["{", "\"response\"", ":", "\""].map { Array($0.utf8) }

  /// Passes what stands in front of the text, with space anywhere between.
  private mutating func open() {
    var rest = held[...]
    for word in JSONReplyReader.opening {
      rest = rest.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
      guard rest.starts(with: word) else {
        if !word.starts(with: rest) { place = .calls }
        return
      }
      rest = rest.dropFirst(word.count)
    }
    place = .text
    held = Array(rest)
  }

  /// Takes the complete characters of the JSON string off what is held.
  private mutating func unescape() -> String {
    var bytes: [UInt8] = []
    var index = 0
    loop: while index < held.count {
      switch held[index] {
      case UInt8(ascii: "\""):
        place = .closed
        held = []
        return String(decoding: bytes, as: UTF8.self)
      case UInt8(ascii: "\\"):
        let length = escapeLength(at: index)
        guard index + length <= held.count else { break loop }
        // The rules of JSON's escapes stand in one place.
        let escape = "\"" + String(decoding: held[index..<index + length], as: UTF8.self) + "\""
        bytes += Array(((try? JSONValue(parsing: escape))?.stringValue ?? "").utf8)
        index += length
      default:
        bytes.append(held[index])
        index += 1
      }
    }
    held.removeFirst(index)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Bytes of an escape; a first half of a pair of surrogates waits for its second.
  private func escapeLength(at index: Int) -> Int {
    guard index + 1 < held.count, held[index + 1] == UInt8(ascii: "u") else { return 2 }
    guard index + 6 <= held.count else { return 6 }
    let code = UInt32(String(decoding: held[index + 2..<index + 6], as: UTF8.self), radix: 16) ?? 0
    return 0xD800..<0xDC00 ~= code ? 12 : 6
  }
}
