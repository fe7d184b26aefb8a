import Occam
import OccamCore

/// A call as Gemma 4 writes it: JSON but for bare keys and strings between `<|"|>`.
struct GemmaCall {
  static let quote = "<|\"|>"

  private var rest: Substring
  private static let depthLimit = 64

  static func read(_ body: String) -> ToolCall? {
    let body = body.drop { $0.isWhitespace }
    guard body.hasPrefix("call:"), let brace = body.firstIndex(of: "{") else { return nil }
    let name = body[body.index(body.startIndex, offsetBy: 5)..<brace].filter { !$0.isWhitespace }
    var reader = GemmaCall(rest: body[brace...])
    guard !name.isEmpty, let arguments = reader.value(depth: 0) else { return nil }
    return ToolCall(id: ReplyIdentity.random("call_"), name: name, arguments: arguments.text())
  }

  /// nil: there is none.
  private mutating func value(depth: Int) -> JSONValue? {
    guard depth < GemmaCall.depthLimit else { return nil }
    skipSpace()
    if take(GemmaCall.quote) { return string().map { .string($0) } }
    if take("{") {
      var members: [JSONMember] = []
      while !take("}") {
        guard let key = key(), let value = value(depth: depth + 1) else { return nil }
        members.append(JSONMember(key, value))
        guard separated(before: "}") else { return nil }
      }
      return .object(members)
    }
    if take("[") {
      var items: [JSONValue] = []
      while !take("]") {
        guard let item = value(depth: depth + 1) else { return nil }
        items.append(item)
        guard separated(before: "]") else { return nil }
      }
      return .array(items)
    }
    let end = rest.firstIndex { ",}]".contains($0) } ?? rest.endIndex
    let word = String(rest[..<end]).trimmed
    rest = rest[end...]
    guard !word.isEmpty else { return nil }
    return (try? JSONValue(parsing: word)) ?? .string(word)
  }

  private mutating func key() -> String? {
    skipSpace()
    let key: String?
    if take(GemmaCall.quote) {
      key = string()
      skipSpace()
    } else {
      let end = rest.firstIndex { ":,}".contains($0) } ?? rest.endIndex
      key = String(rest[..<end]).trimmed
      rest = rest[end...]
    }
    return take(":") ? key : nil
  }

  /// Whether a comma or the end comes.
  private mutating func separated(before end: String) -> Bool {
    skipSpace()
    if take(",") {
      skipSpace()
      return true
    }
    return rest.hasPrefix(end)
  }

  /// Behind its opening quote.
  private mutating func string() -> String? {
    guard let end = rest.firstRange(of: GemmaCall.quote) else { return nil }
    defer { rest = rest[end.upperBound...] }
    return String(rest[..<end.lowerBound])
  }

  private mutating func skipSpace() { rest = rest.drop { $0.isWhitespace } }

  private mutating func take(_ word: String) -> Bool {
    guard rest.hasPrefix(word) else { return false }
    rest = rest.dropFirst(word.count)
    return true
  }
}

extension String {
  fileprivate var trimmed: String {
    guard let last = lastIndex(where: { !$0.isWhitespace }) else { return "" }
    return String(self[...last].drop { $0.isWhitespace })
  }
}
