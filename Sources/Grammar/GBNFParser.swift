/// Reads llama.cpp's grammar notation (grammars/README.md there): rules, literals, character classes, groups,
/// alternatives, repetitions, comments.
struct GBNFParser {
  private let bytes: [UInt8]
  private let limits: GrammarLimits
  private var position = 0
  private var names: [String: Int] = [:]
  private var bodies: [(name: String, body: Expression?)] = []

  init(_ text: String, limits: GrammarLimits) {
    bytes = Array(text.utf8)
    self.limits = limits
  }

  mutating func grammar() throws(GrammarError) -> Grammar {
    guard bytes.count <= limits.bytes else { throw error("is longer than \(limits.bytes) bytes") }
    skipSpace(lines: true)
    while position < bytes.count { try rule() }
    var rules: [Grammar.Rule] = []
    for (name, body) in bodies {
      guard let body else { throw GrammarError("grammar", "the rule '\(name)' is not there") }
      rules.append(Grammar.Rule(name: name, body: body))
    }
    guard let root = names["root"] else { throw GrammarError("grammar", "there is no rule 'root'") }
    return Grammar(rules: rules, root: root, limits: limits)
  }

  private func error(_ reason: String) -> GrammarError {
    let line = bytes[..<min(position, bytes.count)].count { $0 == 10 } + 1
    return GrammarError("grammar, line \(line)", reason)
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func take(_ text: String) -> Bool {
    guard bytes[position...].starts(with: text.utf8) else { return false }
    position += text.utf8.count
    return true
  }

  /// Comments count as space.
  private mutating func skipSpace(lines: Bool) {
    while let byte = current {
      if byte == UInt8(ascii: "#") {
        while let next = current, next != 10, next != 13 { position += 1 }
      } else if byte == 32 || byte == 9 || (lines && (byte == 10 || byte == 13)) {
        position += 1
      } else {
        return
      }
    }
  }

  private mutating func name() throws(GrammarError) -> String {
    let start = position
    while let byte = current, GBNFParser.isName(byte) { position += 1 }
    guard position > start else { throw error("expected a rule's name") }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private static func isName(_ byte: UInt8) -> Bool {
    (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 95
  }

  private mutating func number(of name: String) throws(GrammarError) -> Int {
    if let index = names[name] { return index }
    guard bodies.count < limits.rules else { throw error("has more than \(limits.rules) rules") }
    names[name] = bodies.count
    bodies.append((name, nil))
    return bodies.count - 1
  }

  private mutating func rule() throws(GrammarError) {
    let name = try name()
    let index = try number(of: name)
    skipSpace(lines: false)
    guard take("::=") else { throw error("expected '::=' behind '\(name)'") }
    guard bodies[index].body == nil else { throw error("the rule '\(name)' stands twice") }
    skipSpace(lines: true)
    bodies[index].body = try alternatives(depth: 0)
    guard current == nil || current == 10 || current == 13 else {
      throw error("expected the end of the rule '\(name)'")
    }
    skipSpace(lines: true)
  }

  private mutating func alternatives(depth: Int) throws(GrammarError) -> Expression {
    guard depth < limits.depth else { throw error("has groups nested deeper than \(limits.depth)") }
    var choices = [try sequence(depth: depth)]
    while take("|") {
      skipSpace(lines: true)
      choices.append(try sequence(depth: depth))
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func sequence(depth: Int) throws(GrammarError) -> Expression {
    var parts: [Expression] = []
    while let byte = current {
      var part: Expression
      switch byte {
      case UInt8(ascii: "\""): part = try literal()
      case UInt8(ascii: "["): part = try characters()
      case UInt8(ascii: "."):
        position += 1
        part = .characters(CharacterSet.all)
      case UInt8(ascii: "("):
        position += 1
        skipSpace(lines: true)
        part = try alternatives(depth: depth + 1)
        guard take(")") else { throw error("expected ')'") }
      case _ where GBNFParser.isName(byte): part = .rule(try number(of: try name()))
      default: return finished(parts)
      }
      skipSpace(lines: depth > 0)
      // Operators behind each other: each repeats what the one before it made.
      var operators = 0
      while let next = try repeated(part) {
        operators += 1
        guard operators <= limits.depth else { throw error("has more than \(limits.depth) operators in a row") }
        part = next
        skipSpace(lines: depth > 0)
      }
      parts.append(part)
    }
    return finished(parts)
  }

  private func finished(_ parts: [Expression]) -> Expression { parts.count == 1 ? parts[0] : .sequence(parts) }

  /// - Returns: nil if no operator follows.
  private mutating func repeated(_ part: Expression) throws(GrammarError) -> Expression? {
    switch current {
    case UInt8(ascii: "*"):
      position += 1
      return .repetition(part, minimum: 0, maximum: nil)
    case UInt8(ascii: "+"):
      position += 1
      return .repetition(part, minimum: 1, maximum: nil)
    case UInt8(ascii: "?"):
      position += 1
      return .optional(part)
    case UInt8(ascii: "{"):
      position += 1
      let minimum = try count()
      var maximum: Int? = minimum
      if take(",") {
        skipSpace(lines: false)
        maximum = current == UInt8(ascii: "}") ? nil : try count()
      }
      guard take("}") else { throw error("expected '}'") }
      if let maximum, maximum < minimum { throw error("a repetition of \(minimum) to \(maximum)") }
      return .repetition(part, minimum: minimum, maximum: maximum)
    default: return nil
    }
  }

  private mutating func count() throws(GrammarError) -> Int {
    skipSpace(lines: false)
    let start = position
    while let byte = current, (48...57).contains(byte) { position += 1 }
    guard let value = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
      throw error("expected a number of repetitions")
    }
    guard value <= limits.repetitions else { throw error("repeats more than \(limits.repetitions) times") }
    skipSpace(lines: false)
    return value
  }

  // MARK: Characters

  private mutating func literal() throws(GrammarError) -> Expression {
    position += 1
    var text: [UInt8] = []
    while true {
      // Line breaks are characters as any other, as llama.cpp reads them.
      guard current != nil else { throw error("a literal has no end") }
      if take("\"") { return .literal(text) }
      guard let scalar = Unicode.Scalar(try character()) else {
        throw error("a literal holds half of a surrogate pair")
      }
      text += Array(String(Character(scalar)).utf8)
    }
  }

  private mutating func characters() throws(GrammarError) -> Expression {
    position += 1
    let isInverted = take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while !take("]") {
      guard current != nil else { throw error("a character class has no end") }
      let first = try character()
      // A dash in front of the bracket is itself.
      if current == UInt8(ascii: "-"), position + 1 < bytes.count, bytes[position + 1] != UInt8(ascii: "]") {
        position += 1
        let last = try character()
        guard first <= last else { throw error("a character range that ends before it begins") }
        ranges.append(first...last)
      } else {
        ranges.append(first...first)
      }
    }
    return .characters(isInverted ? CharacterSet.inverted(ranges) : CharacterSet.merged(ranges))
  }

  /// One character, as it is or escaped.
  private mutating func character() throws(GrammarError) -> UInt32 {
    guard take("\\") else { return try plain() }
    guard let code = current else { throw error("an escape has no end") }
    position += 1
    switch code {
    case UInt8(ascii: "x"): return try hexadecimal(2)
    case UInt8(ascii: "u"): return try hexadecimal(4)
    case UInt8(ascii: "U"): return try hexadecimal(8)
    case UInt8(ascii: "t"): return 9
    case UInt8(ascii: "r"): return 13
    case UInt8(ascii: "n"): return 10
    case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "-"),
      UInt8(ascii: "^"):
      return UInt32(code)
    default: throw error("unknown escape '\\\(Character(Unicode.Scalar(code)))'")
    }
  }

  /// The text is valid UTF-8: it was a string.
  private mutating func plain() throws(GrammarError) -> UInt32 {
    let lead = bytes[position]
    let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
    let text = String(decoding: bytes[position..<min(position + length, bytes.count)], as: UTF8.self)
    guard let scalar = text.unicodeScalars.first else { throw error("expected a character") }
    position += length
    return scalar.value
  }

  private mutating func hexadecimal(_ digits: Int) throws(GrammarError) -> UInt32 {
    let text = String(decoding: bytes[position..<min(position + digits, bytes.count)], as: UTF8.self)
    guard text.utf8.count == digits, text.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let value = UInt32(text, radix: 16), value <= CharacterSet.last
    else { throw error("expected \(digits) hexadecimal digits") }
    position += digits
    return value
  }
}
