/// Operations on text, by code points as in Python.
extension TemplateEvaluator {
  /// The first place of `part` at or behind `from`, in linear time (Knuth, Morris, Pratt).
  func find(_ part: [UInt8], in text: [UInt8], from: Int) -> Int? {
    guard let first = part.first else { return from <= text.count ? from : nil }
    // borders[i]: the length of the longest proper beginning of part[...i] that also ends it.
    var borders = [0]
    var matched = 0
    for byte in part.dropFirst() {
      while matched > 0, part[matched] != byte { matched = borders[matched - 1] }
      if part[matched] == byte { matched += 1 }
      borders.append(matched)
    }
    guard part.count > 1 else { return text[min(from, text.count)...].firstIndex(of: first) }
    matched = 0
    for index in min(from, text.count)..<text.count {
      while matched > 0, part[matched] != text[index] { matched = borders[matched - 1] }
      if part[matched] == text[index] { matched += 1 }
      if matched == part.count { return index + 1 - matched }
    }
    return nil
  }

  /// Python's white space: Unicode's, and the four information separators.
  func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
  }

  func stripped(_ text: TemplateString, _ characters: String?, start: Bool, end: Bool) -> TemplateString {
    let set = characters.map { Set($0.unicodeScalars) }
    func drops(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? isSpace(scalar) }
    let whole = text.text
    var rest = whole.unicodeScalars[...]
    if start { rest = rest.drop(while: drops) }
    if end { while let last = rest.last, drops(last) { rest.removeLast() } }
    let first = whole.utf8.distance(from: whole.startIndex, to: rest.startIndex)
    return text.slice(first..<first + whole.utf8.distance(from: rest.startIndex, to: rest.endIndex))
  }

  func capitalized(_ text: TemplateString) -> TemplateString {
    var isFirst = true
    return text.map { run in
      guard isFirst, let first = run.unicodeScalars.first else { return run.lowercased() }
      isFirst = false
      return first.properties.titlecaseMapping + String(run.unicodeScalars.dropFirst()).lowercased()
    }
  }

  /// Every letter behind something that is none becomes a capital, all others small.
  func titled(_ text: TemplateString) -> TemplateString {
    var afterLetter = false
    return text.map { run in
      var result = ""
      for scalar in run.unicodeScalars {
        result += afterLetter ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
        afterLetter = scalar.properties.isCased
      }
      return result
    }
  }

  func replaced(
    _ text: TemplateString, _ old: TemplateString, _ new: TemplateString, _ limit: Int
  ) throws(TemplateError) -> TemplateValue {
    let bytes = Array(text.text.utf8)
    let wanted = Array(old.text.utf8)
    guard !wanted.isEmpty else { return try interleaved(text, new, limit) }
    if text.inputs.isEmpty, new.inputs.isEmpty { return try self.text(try replaced(bytes, wanted, new.text, limit)) }
    var result = TemplateString.empty
    var position = 0
    var count = 0
    while limit < 0 || count < limit, let place = find(wanted, in: bytes, from: position) {
      result.append(text.slice(position..<place))
      result.append(new)
      guard result.count <= limits.outputBytes else {
        throw self.limit("a text longer than \(limits.outputBytes) bytes")
      }
      position = place + wanted.count
      count += 1
    }
    result.append(text.slice(position..<bytes.count))
    return try self.text(result)
  }

  /// The same for a template's own texts, which need not be put together piece by piece.
  private func replaced(
    _ text: [UInt8], _ old: [UInt8], _ new: String, _ limit: Int
  ) throws(TemplateError) -> String {
    var result: [UInt8] = []
    var position = 0
    var count = 0
    while limit < 0 || count < limit, let place = find(old, in: text, from: position) {
      result += text[position..<place]
      result += new.utf8
      guard result.count <= limits.outputBytes else {
        throw self.limit("a text longer than \(limits.outputBytes) bytes")
      }
      position = place + old.count
      count += 1
    }
    return String(decoding: result + text[position...], as: UTF8.self)
  }

  /// Python's replacement of the empty text: `new` before every code point and at the end.
  private func interleaved(
    _ text: TemplateString, _ new: TemplateString, _ limit: Int
  ) throws(TemplateError) -> TemplateValue {
    let scalars = text.scalars
    var parts: [TemplateString] = []
    for index in 0...scalars.count {
      if limit < 0 || index < limit { parts.append(new) }
      if index < scalars.count { parts.append(scalars[index]) }
    }
    return try self.text(try joined(parts, ""))
  }

  /// Python's format with fields as `{}`, `{0}` and `{name}`.
  func formatted(_ text: TemplateString, _ call: TemplateCall) throws(TemplateError) -> TemplateString {
    var parts: [TemplateString] = []
    let bytes = Array(text.text.utf8)
    // Where the text not yet taken over begins, and where the field that is open does.
    var literal = 0
    var field: Int?
    var next = 0
    var position = 0
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if let start = field {
        guard byte == 125 else { continue }
        let key = String(decoding: bytes[start..<position - 1], as: UTF8.self)
        let index = key.isEmpty ? next : Int(key) ?? -1
        if key.isEmpty { next += 1 }
        let value = index >= 0 ? index < call.positional.count ? call.positional[index] : nil : call[key]
        guard let value else { throw fail("'format' has no value for '{\(key)}'") }
        parts.append(try string(value))
        (literal, field) = (position, nil)
      } else if byte == 123 || byte == 125 {
        if position < bytes.count, bytes[position] == byte {
          // Two braces stand for one.
          parts.append(text.slice(literal..<position))
          position += 1
          literal = position
          continue
        }
        guard byte == 123 else { throw fail("'format' found a single '}'") }
        parts.append(text.slice(literal..<position - 1))
        field = position
      }
    }
    guard field == nil else { throw fail("'format' found a '{' without its end") }
    return try joined(parts + [text.slice(literal..<bytes.count)], "")
  }

  /// Lines without their ends; a newline at the very end opens no further line.
  func lines(of text: TemplateString) -> [TemplateString] {
    var lines: [TemplateString] = []
    var start = 0
    var position = 0
    var previous: Unicode.Scalar = " "
    for scalar in text.text.unicodeScalars {
      let end = position + UTF8.width(scalar)
      switch scalar {
      case "\n" where previous == "\r": start = end
      case "\n", "\r", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}", "\u{85}", "\u{2028}", "\u{2029}":
        lines.append(text.slice(start..<position))
        start = end
      default: break
      }
      (position, previous) = (end, scalar)
    }
    return start == position ? lines : lines + [text.slice(start..<position)]
  }
}

extension Unicode.GeneralCategory {
  var isLetter: Bool {
    switch self {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }
}
