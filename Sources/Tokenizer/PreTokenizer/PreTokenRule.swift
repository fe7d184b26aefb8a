/// One alternative of a pre-tokeniser's pattern. The forms are those that published patterns are made of, with the
/// meaning a backtracking regular expression gives them.
enum PreTokenRule: Sendable {
  /// An apostrophe and s, t, m, d, re, ve or ll.
  case contraction(anyCase: Bool)
  /// `prefix? body{1,most} suffix*`, as long as can be.
  case run(prefix: ScalarSet? = nil, ScalarSet, most: Int = .max, suffix: ScalarSet? = nil)
  /// `first body+`
  case led(by: ScalarSet, ScalarSet)
  /// Exactly so many scalars of a set.
  case exactly(Int, ScalarSet)
  /// An optional scalar that is no letter, then capitals before small letters, either of them at least once; letters
  /// outside ASCII count as both. With or without a contraction behind.
  case casedWord(prefix: ScalarSet, contraction: Bool)
  /// `\s*[\r\n]+`: white space up to its last line end.
  case spaceToLineEnd
  /// `\s+(?!\S)`: white space but for its last scalar, which goes with what follows; all of it at the end.
  case spaceBeforeText

  /// Where the alternative ends that begins at `start`, or `start` if it does not match there.
  /// - Parameter end: of the stretch; nothing beyond is looked at.
  func match(_ text: UnsafeBufferPointer<ClassifiedScalar>, _ start: Int, _ end: Int) -> Int {
    switch self {
    case .contraction(let anyCase):
      return PreTokenRule.contraction(text, start, end, anyCase: anyCase)
    case .run(let prefix, let body, let most, let suffix):
      var first = start
      if let prefix, prefix.contains(text[start]), start + 1 < end, body.contains(text[start + 1]) { first += 1 }
      var position = PreTokenRule.skip(body, text, first, most < end - first ? first + most : end)
      if position == first { return start }
      if let suffix { position = PreTokenRule.skip(suffix, text, position, end) }
      return position
    case .led(let first, let body):
      guard first.contains(text[start]) else { return start }
      let position = PreTokenRule.skip(body, text, start + 1, end)
      return position == start + 1 ? start : position
    case .exactly(let count, let set):
      guard count <= end - start else { return start }
      return PreTokenRule.skip(set, text, start, start + count) == start + count ? start + count : start
    case .casedWord(let prefix, let takesContraction):
      let first = prefix.contains(text[start]) ? start + 1 : start
      let position = PreTokenRule.casedWord(text, first, end)
      if position == first { return start }
      guard takesContraction, position < end else { return position }
      return PreTokenRule.contraction(text, position, end, anyCase: true)
    case .spaceToLineEnd:
      var last = start
      for position in start..<PreTokenRule.skip(.any(.space), text, start, end)
      where text[position].classes.contains(.lineEnd) {
        last = position + 1
      }
      return last
    case .spaceBeforeText:
      let position = PreTokenRule.skip(.any(.space), text, start, end)
      return position == end ? end : max(position - 1, start)
    }
  }

  private static func skip(
    _ set: ScalarSet, _ text: UnsafeBufferPointer<ClassifiedScalar>, _ start: Int, _ end: Int
  ) -> Int {
    var position = start
    while position < end, set.contains(text[position]) { position += 1 }
    return position
  }

  private static func contraction(
    _ text: UnsafeBufferPointer<ClassifiedScalar>, _ start: Int, _ end: Int, anyCase: Bool
  ) -> Int {
    guard text[start].classes.contains(.apostrophe), start + 1 < end else { return start }
    func letter(_ index: Int) -> Unicode.Scalar? {
      guard index < end else { return nil }
      let scalar = text[index]
      return Unicode.Scalar(anyCase && scalar.classes.contains(.asciiUpper) ? scalar.value + 32 : scalar.value)
    }
    switch (letter(start + 1), letter(start + 2)) {
    case ("s", _), ("t", _), ("m", _), ("d", _): return start + 2
    case ("r", "e"), ("v", "e"), ("l", "l"): return start + 3
    default: return start
    }
  }

  /// `A*B+`, else `A+B*`: A are letters but a-z, B letters but A-Z.
  private static func casedWord(
    _ text: UnsafeBufferPointer<ClassifiedScalar>, _ start: Int, _ end: Int
  ) -> Int {
    func isLetter(_ index: Int, besides: ScalarClasses) -> Bool {
      text[index].classes.contains(.letter) && !text[index].classes.contains(besides)
    }
    var middle = start
    while middle < end, isLetter(middle, besides: .asciiLower) { middle += 1 }
    var position = middle
    while position < end, isLetter(position, besides: .asciiUpper) { position += 1 }
    if position > middle { return position }
    // Nothing but A: the last of them that is a B as well ends the word, unless there is none.
    while position > start {
      if isLetter(position - 1, besides: .asciiUpper) { return position }
      position -= 1
    }
    return middle
  }
}

/// How a vocabulary's text is cut into the stretches that merges stay within.
struct PreTokenizer: Sendable {
  /// Each cuts what those before it left whole.
  let stages: [[PreTokenRule]]

  /// Ends of the stretches, in scalars. What no rule of a stage matches stays together up to the next match.
  func cut(_ text: UnsafeBufferPointer<ClassifiedScalar>) -> [Int] {
    var ends = text.isEmpty ? [] : [text.count]
    for rules in stages {
      var cut: [Int] = []
      cut.reserveCapacity(ends.count)
      var start = 0
      for end in ends {
        var unmatched = start
        while start < end {
          var match = start
          for rule in rules where match == start { match = rule.match(text, start, end) }
          if match == start {
            start += 1
            continue
          }
          if unmatched < start { cut.append(start) }
          cut.append(match)
          start = match
          unmatched = match
        }
        if unmatched < end { cut.append(end) }
      }
      ends = cut
    }
    return ends
  }
}
