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

  func stripped(_ text: String, _ characters: String?, start: Bool, end: Bool) -> String {
    let set = characters.map { Set($0.unicodeScalars) }
    func drops(_ scalar: Unicode.Scalar) -> Bool { set?.contains(scalar) ?? isSpace(scalar) }
    var rest = text.unicodeScalars[...]
    if start { rest = rest.drop(while: drops) }
    if end { while let last = rest.last, drops(last) { rest.removeLast() } }
    return String(rest)
  }

  func capitalized(_ text: String) -> String {
    guard let first = text.unicodeScalars.first else { return "" }
    return first.properties.titlecaseMapping + String(text.unicodeScalars.dropFirst()).lowercased()
  }

  /// Every letter behind something that is none becomes a capital, all others small.
  func titled(_ text: String) -> String {
    var result = ""
    var afterLetter = false
    for scalar in text.unicodeScalars {
      result += afterLetter ? scalar.properties.lowercaseMapping : scalar.properties.titlecaseMapping
      afterLetter = scalar.properties.isCased
    }
    return result
  }

  func replaced(
    _ text: String, _ old: String, _ new: String, _ limit: Int
  ) throws(TemplateError) -> TemplateValue {
    let bytes = Array(text.utf8)
    let wanted = Array(old.utf8)
    guard !wanted.isEmpty else { return try interleaved(text, new, limit) }
    var result: [UInt8] = []
    var position = 0
    var count = 0
    while limit < 0 || count < limit, let place = find(wanted, in: bytes, from: position) {
      result += bytes[position..<place]
      result += new.utf8
      guard result.count <= limits.outputBytes else {
        throw self.limit("a text longer than \(limits.outputBytes) bytes")
      }
      position = place + wanted.count
      count += 1
    }
    result += bytes[position...]
    return try self.text(String(decoding: result, as: UTF8.self))
  }

  /// Python's replacement of the empty text: `new` before every code point and at the end.
  private func interleaved(_ text: String, _ new: String, _ limit: Int) throws(TemplateError) -> TemplateValue {
    let scalars = Array(text.unicodeScalars)
    var parts: [String] = []
    for index in 0...scalars.count {
      if limit < 0 || index < limit { parts.append(new) }
      if index < scalars.count { parts.append(String(Character(scalars[index]))) }
    }
    return try self.text(try joined(parts, ""))
  }

  /// Python's format with fields as `{}`, `{0}` and `{name}`.
  func formatted(_ text: String, _ call: TemplateCall) throws(TemplateError) -> String {
    var parts: [String] = []
    var literal: [UInt8] = []
    var field: [UInt8]?
    var next = 0
    var bytes = text.utf8.makeIterator()
    var pending = bytes.next()
    while let byte = pending {
      pending = bytes.next()
      if let name = field {
        guard byte == 125 else {
          field = name + [byte]
          continue
        }
        let key = String(decoding: name, as: UTF8.self)
        let index = key.isEmpty ? next : Int(key) ?? -1
        if key.isEmpty { next += 1 }
        let value = index >= 0 ? index < call.positional.count ? call.positional[index] : nil : call[key]
        guard let value else { throw fail("'format' has no value for '{\(key)}'") }
        parts += [String(decoding: literal, as: UTF8.self), try string(value)]
        (literal, field) = ([], nil)
      } else if byte == 123 || byte == 125, pending == byte {
        literal.append(byte)
        pending = bytes.next()
      } else if byte == 123 {
        field = []
      } else if byte == 125 {
        throw fail("'format' found a single '}'")
      } else {
        literal.append(byte)
      }
    }
    guard field == nil else { throw fail("'format' found a '{' without its end") }
    return try joined(parts + [String(decoding: literal, as: UTF8.self)], "")
  }

  /// Lines without their ends; a newline at the very end opens no further line.
  func lines(of text: String) -> [String] {
    var lines: [String] = []
    var line = String.UnicodeScalarView()
    var previous: Unicode.Scalar = " "
    for scalar in text.unicodeScalars {
      defer { previous = scalar }
      switch scalar {
      case "\n" where previous == "\r": break
      case "\n", "\r", "\u{B}", "\u{C}", "\u{1C}", "\u{1D}", "\u{1E}", "\u{85}", "\u{2028}", "\u{2029}":
        lines.append(String(line))
        line = .init()
      default: line.append(scalar)
      }
    }
    return line.isEmpty ? lines : lines + [String(line)]
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
