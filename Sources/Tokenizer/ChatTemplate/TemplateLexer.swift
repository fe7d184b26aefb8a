/// One piece of a template: text between tags, or a token inside a tag.
struct TemplateToken: Equatable {
  enum Kind: Equatable {
    case text(String)
    case outputBegin, outputEnd, blockBegin, blockEnd
    case name(String)
    case string(String)
    case integer(Int)
    case float(Double)
    case symbol(String)
    case end
  }
  let kind: Kind
  let line: Int
}

/// Splits a template with trim_blocks and lstrip_blocks on, as chat templates are written for: the newline behind a
/// block is dropped, and the space before a block that begins its line.
struct TemplateLexer {
  private let bytes: [UInt8]
  private var position = 0
  private var line = 1
  private var tokens: [TemplateToken] = []
  /// The text before this position ended with a newline that belonged to a tag.
  private var startsLine = true

  static func tokens(_ source: String) throws(TemplateError) -> [TemplateToken] {
    var lexer = TemplateLexer(source)
    try lexer.run()
    return lexer.tokens
  }

  /// Line ends become newlines, and one newline at the end is dropped.
  private init(_ source: String) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(source.utf8.count)
    var previous: UInt8 = 0
    for byte in source.utf8 {
      if byte == 13 { bytes.append(10) } else if byte != 10 || previous != 13 { bytes.append(byte) }
      previous = byte
    }
    if bytes.last == 10 { bytes.removeLast() }
    self.bytes = bytes
  }

  private func byte(_ offset: Int = 0) -> UInt8 {
    bytes.indices.contains(position + offset) ? bytes[position + offset] : 0
  }

  private func starts(_ text: StaticString, at offset: Int = 0) -> Bool {
    let start = position + offset
    guard start + text.utf8CodeUnitCount <= bytes.count else { return false }
    return text.withUTF8Buffer { $0.elementsEqual(bytes[start..<(start + $0.count)]) }
  }

  private func error(_ reason: String) -> TemplateError { TemplateError(.syntax, line: line, reason) }

  private mutating func advance(_ count: Int) {
    for byte in bytes[position..<min(position + count, bytes.count)] where byte == 10 { line += 1 }
    position = min(position + count, bytes.count)
  }

  private mutating func add(_ kind: TemplateToken.Kind) { tokens.append(TemplateToken(kind: kind, line: line)) }

  private mutating func run() throws(TemplateError) {
    while let tag = nextTag() {
      let sign = bytes.indices.contains(tag + 2) ? bytes[tag + 2] : 0
      addText(upTo: tag, sign: sign, isOutput: bytes[tag + 1] == 123)
      let kind = bytes[tag + 1]
      advance(2)
      if sign == 45 || sign == 43 { advance(1) }
      switch kind {
      case 35: try comment()
      case 123:
        add(.outputBegin)
        try inside(isOutput: true)
      default:
        if let length = rawBegin() {
          advance(length)
          try raw()
        } else {
          add(.blockBegin)
          try inside(isOutput: false)
        }
      }
    }
    addText(upTo: bytes.count, sign: 0, isOutput: true)
    add(.end)
  }

  /// Where the next `{{`, `{%` or `{#` is.
  private func nextTag() -> Int? {
    var index = position
    while index + 1 < bytes.count {
      if bytes[index] == 123, [123, 37, 35].contains(bytes[index + 1]) { return index }
      index += 1
    }
    return nil
  }

  private mutating func addText(upTo end: Int, sign: UInt8, isOutput: Bool) {
    var stop = end
    if sign == 45 {
      while stop > position, TemplateLexer.isSpace(bytes[stop - 1]) { stop -= 1 }
    } else if sign != 43, !isOutput {
      var start = end
      while start > position, bytes[start - 1] != 10 { start -= 1 }
      if start > position || startsLine, bytes[start..<end].allSatisfy(TemplateLexer.isSpace) { stop = start }
    }
    if stop > position { add(.text(String(decoding: bytes[position..<stop], as: UTF8.self))) }
    advance(end - position)
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

  private mutating func skipSpace() {
    while position < bytes.count, TemplateLexer.isSpace(bytes[position]) { advance(1) }
  }

  /// Behind the end of a tag: `-` drops all space there, `+` nothing, else a block's newline goes.
  private mutating func afterTag(sign: UInt8, isOutput: Bool) {
    let start = position
    if sign == 45 {
      skipSpace()
    } else if sign != 43, !isOutput, byte() == 10 {
      advance(1)
    }
    startsLine = position > start && bytes[position - 1] == 10
  }

  private mutating func comment() throws(TemplateError) {
    let start = position
    while !starts("#}") {
      guard position < bytes.count else { throw error("a comment has no end") }
      advance(1)
    }
    let sign = position > start ? bytes[position - 1] : 0
    advance(2)
    afterTag(sign: sign, isOutput: false)
  }

  /// Bytes of ` raw %}` here, if that is what stands here.
  private func rawBegin() -> Int? { keyword("raw", at: 0)?.length }

  private func keyword(_ word: StaticString, at offset: Int) -> (length: Int, sign: UInt8)? {
    var index = offset
    func space() { while TemplateLexer.isSpace(byte(index)) { index += 1 } }
    space()
    guard starts(word, at: index) else { return nil }
    index += word.utf8CodeUnitCount
    space()
    let sign = byte(index)
    if sign == 45 || sign == 43 { index += 1 }
    guard starts("%}", at: index) else { return nil }
    index += 2
    // Only here does the space behind `-%}` belong to the tag: raw text begins at once otherwise.
    if sign == 45 { space() }
    return (index, sign)
  }

  private mutating func raw() throws(TemplateError) {
    startsLine = false
    var index = position
    while index + 1 < bytes.count {
      if bytes[index] == 123, bytes[index + 1] == 37 {
        let sign = bytes.indices.contains(index + 2) ? bytes[index + 2] : 0
        let offset = index - position + (sign == 45 || sign == 43 ? 3 : 2)
        if let end = keyword("endraw", at: offset) {
          let tagEnd = position + end.length
          addText(upTo: index, sign: sign, isOutput: false)
          advance(tagEnd - position)
          // The space behind `-%}` is counted in already.
          if end.sign == 45 {
            startsLine = bytes[position - 1] == 10
          } else {
            afterTag(sign: end.sign, isOutput: false)
          }
          return
        }
      }
      index += 1
    }
    throw error("a raw block has no end")
  }

  // MARK: Inside a tag

  private mutating func inside(isOutput: Bool) throws(TemplateError) {
    var brackets: [UInt8] = []
    while true {
      skipSpace()
      guard position < bytes.count else { throw error("a tag has no end") }
      if brackets.isEmpty, try tagEnd(isOutput: isOutput) { return }
      let current = byte()
      switch current {
      case 34, 39: try string(current)
      case 48...57: try number()
      case 65...90, 97...122, 95, 128...255: name()
      default: try symbol(&brackets)
      }
    }
  }

  private mutating func tagEnd(isOutput: Bool) throws(TemplateError) -> Bool {
    let sign = byte() == 45 || (byte() == 43 && !isOutput) ? byte() : 0
    let length = sign == 0 ? 0 : 1
    guard isOutput ? starts("}}", at: length) : starts("%}", at: length) else { return false }
    add(isOutput ? .outputEnd : .blockEnd)
    advance(length + 2)
    afterTag(sign: sign, isOutput: isOutput)
    return true
  }

  private mutating func name() {
    let start = position
    while true {
      switch byte() {
      case 48...57, 65...90, 97...122, 95, 128...255: position += 1
      default:
        add(.name(String(decoding: bytes[start..<position], as: UTF8.self)))
        return
      }
    }
  }

  private mutating func digits() { while (48...57).contains(byte()) || byte() == 95 { position += 1 } }

  private mutating func number() throws(TemplateError) {
    let start = position
    var isInteger = true
    digits()
    if byte() == 46, (48...57).contains(byte(1)) {
      isInteger = false
      position += 1
      digits()
    }
    let signed = byte(1) == 43 || byte(1) == 45
    if byte() == 101 || byte() == 69, (48...57).contains(byte(signed ? 2 : 1)) {
      isInteger = false
      position += signed ? 2 : 1
      digits()
    }
    let text = String(decoding: bytes[start..<position].filter { $0 != 95 }, as: UTF8.self)
    if isInteger {
      guard let value = Int(text) else { throw error("the number \(text.prefix(40)) is too large") }
      add(.integer(value))
    } else {
      guard let value = Double(text), value.isFinite else { throw error("the number \(text.prefix(40)) is too large") }
      add(.float(value))
    }
  }

  private mutating func symbol(_ brackets: inout [UInt8]) throws(TemplateError) {
    let two: [StaticString] = ["//", "**", "==", "!=", ">=", "<="]
    for symbol in two where starts(symbol) {
      add(.symbol("\(symbol)"))
      position += 2
      return
    }
    let current = byte()
    let character = Character(Unicode.Scalar(current))
    guard "+-/*%~[](){}=<>.:|,;".contains(character) else {
      throw error("unexpected character '\(character)'")
    }
    switch character {
    case "(": brackets.append(41)
    case "[": brackets.append(93)
    case "{": brackets.append(125)
    case ")", "]", "}":
      guard brackets.popLast() == current else { throw error("unexpected '\(character)'") }
    default: break
    }
    add(.symbol(String(character)))
    position += 1
  }

  private mutating func string(_ quote: UInt8) throws(TemplateError) {
    let startLine = line
    position += 1
    var content: [UInt8] = []
    while byte() != quote {
      guard position < bytes.count else { throw TemplateError(.syntax, line: startLine, "a string has no end") }
      if byte() == 92 {
        try escape(&content)
      } else {
        content.append(byte())
        advance(1)
      }
    }
    position += 1
    add(.string(String(decoding: content, as: UTF8.self)))
  }

  /// Python's escapes; an unknown one stands for itself.
  private mutating func escape(_ content: inout [UInt8]) throws(TemplateError) {
    guard position + 1 < bytes.count else { throw error("a string has no end") }
    let code = byte(1)
    advance(2)
    switch Character(Unicode.Scalar(code)) {
    case "n": content.append(10)
    case "t": content.append(9)
    case "r": content.append(13)
    case "a": content.append(7)
    case "b": content.append(8)
    case "f": content.append(12)
    case "v": content.append(11)
    case "\\", "'", "\"": content.append(code)
    case "\n": break
    case "x": try scalar(digits: 2, &content)
    case "u": try scalar(digits: 4, &content)
    case "U": try scalar(digits: 8, &content)
    case _ where (48...55).contains(code):
      var value = UInt32(code - 48)
      for _ in 0..<2 where (48...55).contains(byte()) {
        value = value * 8 + UInt32(byte() - 48)
        position += 1
      }
      append(value, &content)
    default: content += [92, code]
    }
  }

  private mutating func scalar(digits: Int, _ content: inout [UInt8]) throws(TemplateError) {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let digit = Character(Unicode.Scalar(byte())).hexDigitValue else { throw error("a broken escape") }
      guard value < 1 << 24 else { throw error("an escape beyond Unicode") }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    guard Unicode.Scalar(value) != nil else { throw error("an escape beyond Unicode") }
    append(value, &content)
  }

  private func append(_ value: UInt32, _ content: inout [UInt8]) {
    if let scalar = Unicode.Scalar(value) { content += Array(String(Character(scalar)).utf8) }
  }
}
