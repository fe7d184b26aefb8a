import Occam

/// Reads replies in which marks stand around thoughts and calls.
struct MarkedReplyReader: Sendable {
  private enum Place { case text, thought, call }

  private let tools: ToolUse?
  private let thoughts: ThoughtMarks?
  private let callMarks: (open: String, close: String)?
  private var place: Place
  /// Text that is not shown yet: it may be a mark's beginning, a call, or space in front of a mark.
  private var held = ""
  /// Space behind a mark belongs to it.
  private var isBehindMark: Bool

  init(tools: ToolUse?, thoughts: ThoughtMarks?, beginsInThought: Bool) {
    self.tools = tools
    self.thoughts = thoughts
    callMarks = tools?.notation.marks
    place = beginsInThought ? .thought : .text
    isBehindMark = beginsInThought
  }

  mutating func push(_ text: String) -> [ReplyPart] {
    held += text
    // A long call is searched for its end only when that may have come.
    if place == .call, let last = callMarks?.close.last, !text.contains(last) { return [] }
    var parts: [ReplyPart] = []
    while step(&parts) {}
    return parts
  }

  mutating func finish() -> [ReplyPart] {
    defer { held = "" }
    if place == .call, let callMarks {
      // The end mark may be missing: a stop token stands for it in some files.
      let body = String(held.dropFirst(callMarks.open.count))
      return [tools?.call(in: body).map { .call($0) } ?? .text(held)]
    }
    let rest = isBehindMark ? String(held.drop { $0.isWhitespace }) : held
    guard !rest.isEmpty else { return [] }
    return [place == .thought ? .thought(rest) : .text(rest)]
  }

  /// - Returns: whether a mark was passed.
  private mutating func step(_ parts: inout [ReplyPart]) -> Bool {
    switch place {
    case .thought:
      guard let thoughts else { return false }
      guard let range = held.firstRange(of: thoughts.close) else {
        if let text = show(before: [thoughts.close]) { parts.append(.thought(text)) }
        return false
      }
      let thought = trimmed(held[..<range.lowerBound], atEnd: true)
      if !thought.isEmpty { parts.append(.thought(thought)) }
      move(to: .text, behind: range.upperBound)
    case .text:
      let opens = [thoughts?.open, callMarks?.open].compactMap { $0 }
      let found = opens.compactMap { mark in held.firstRange(of: mark).map { (mark, $0) } }
      guard let (mark, range) = found.min(by: { $0.1.lowerBound < $1.1.lowerBound }) else {
        if let text = show(before: opens) { parts.append(.text(text)) }
        return false
      }
      let text = trimmed(held[..<range.lowerBound], atEnd: false)
      if !text.isEmpty { parts.append(.text(text)) }
      let isCall = mark == callMarks?.open
      move(to: isCall ? .call : .thought, behind: isCall ? range.lowerBound : range.upperBound)
    case .call:
      guard let callMarks, let range = held.firstRange(of: callMarks.close) else { return false }
      let body = String(held[..<range.lowerBound].dropFirst(callMarks.open.count))
      if let call = tools?.call(in: body) {
        parts.append(.call(call))
      } else {
        parts.append(.text(String(held[..<range.upperBound])))
      }
      move(to: .text, behind: range.upperBound)
    }
    return true
  }

  private mutating func move(to place: Place, behind index: String.Index) {
    held = String(held[index...])
    self.place = place
    isBehindMark = place != .call
  }

  /// - Returns: text without the space that belongs to a mark; behind it comes another one.
  private func trimmed(_ text: Substring, atEnd: Bool) -> String {
    let text = isBehindMark ? text.drop { $0.isWhitespace } : text
    guard atEnd, let last = text.lastIndex(where: { !$0.isWhitespace }) else { return atEnd ? "" : String(text) }
    return String(text[...last])
  }

  /// - Returns: what can be shown before one of the marks comes; nil: nothing yet.
  private mutating func show(before marks: [String]) -> String? {
    if isBehindMark {
      held = String(held.drop { $0.isWhitespace })
      if held.isEmpty { return nil }
    }
    var count = 0
    for mark in marks {
      var length = min(held.count, mark.count - 1)
      while length > count, !mark.hasPrefix(held.suffix(length)) { length -= 1 }
      count = max(count, length)
    }
    // A thought's last line end belongs to the mark behind it.
    if place == .thought {
      let shown = held.dropLast(count)
      count += shown.count - (shown.lastIndex { !$0.isWhitespace }.map { shown[...$0].count } ?? 0)
    }
    guard held.count > count else { return nil }
    defer {
      held = String(held.suffix(count))
      isBehindMark = false
    }
    return String(held.dropLast(count))
  }
}
