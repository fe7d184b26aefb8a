import OccamCore

/// Reads the regular expressions of `pattern` that a grammar can hold a string to: characters and classes, groups,
/// alternatives, quantifiers, `^` at the beginning and `$` at the end. What else there is, is refused by name.
///
/// The result describes a JSON string's content: characters that must be escaped there are.
struct PatternParser {
  private let scalars: [Unicode.Scalar]
  private let pointer: String
  private let limits: GrammarLimits
  private var position = 0

  init(_ pattern: String, at pointer: String, limits: GrammarLimits) {
    scalars = Array(pattern.unicodeScalars)
    self.pointer = pointer
    self.limits = limits
  }

  /// A pattern that is not anchored may stand anywhere in the string.
  mutating func expression() throws(GrammarError) -> Expression {
    let anything = Expression.repetition(PatternParser.escaped(CharacterSet.all), minimum: 0, maximum: nil)
    let begins = take("^")
    let body = try alternatives(depth: 0)
    let ends = take("$")
    guard position == scalars.count else { throw error("'\(scalars[position])' in the middle") }
    return .sequence((begins ? [] : [anything]) + [body] + (ends ? [] : [anything]))
  }

  private func error(_ what: String) -> GrammarError { GrammarError(pointer, "\(what) is not supported") }

  private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard current == scalar else { return false }
    position += 1
    return true
  }

  private mutating func alternatives(depth: Int) throws(GrammarError) -> Expression {
    guard depth < limits.depth else { throw error("a group nested deeper than \(limits.depth)") }
    var choices = [try sequence(depth: depth)]
    while take("|") {
      // `^a|b$` binds its anchors to one side each.
      guard depth > 0 else { throw error("'|' outside a group") }
      choices.append(try sequence(depth: depth))
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func sequence(depth: Int) throws(GrammarError) -> Expression {
    var parts: [Expression] = []
    while let scalar = current, scalar != "|", scalar != ")", scalar != "$" || depth > 0 {
      parts.append(try repeated(try atom(scalar, depth: depth)))
    }
    return .sequence(parts)
  }

  private mutating func atom(_ scalar: Unicode.Scalar, depth: Int) throws(GrammarError) -> Expression {
    position += 1
    switch scalar {
    case ".": return PatternParser.escaped(CharacterSet.inverted([10...10, 13...13, 0x2028...0x2029]))
    case "[": return PatternParser.escaped(try characters())
    case "(":
      if take("?"), !take(":") { throw error("a group that begins with '(?'") }
      let body = try alternatives(depth: depth + 1)
      guard take(")") else { throw GrammarError(pointer, "a group has no end") }
      return body
    case "\\": return PatternParser.escaped(try escape())
    case "*", "+", "?", "{", "}", "^", "$", "]": throw error("'\(scalar)' here")
    default: return PatternParser.escaped([scalar.value...scalar.value])
    }
  }

  private mutating func repeated(_ part: Expression) throws(GrammarError) -> Expression {
    var result = part
    switch current {
    case "*": result = .repetition(part, minimum: 0, maximum: nil)
    case "+": result = .repetition(part, minimum: 1, maximum: nil)
    case "?": result = .optional(part)
    case "{":
      position += 1
      let minimum = try count()
      var maximum: Int? = minimum
      if take(",") { maximum = current == "}" ? nil : try count() }
      guard current == "}" else { throw GrammarError(pointer, "a repetition has no end") }
      if let maximum, maximum < minimum { throw GrammarError(pointer, "a repetition of \(minimum) to \(maximum)") }
      result = .repetition(part, minimum: minimum, maximum: maximum)
    default: return part
    }
    position += 1
    // Lazy or not, it is the same set of strings.
    if current == "+" { throw error("a possessive quantifier") }
    _ = take("?")
    return result
  }

  private mutating func count() throws(GrammarError) -> Int {
    let start = position
    while let scalar = current, ("0"..."9").contains(scalar) { position += 1 }
    let text = String(String.UnicodeScalarView(scalars[start..<position]))
    guard let value = Int(text), value <= limits.repetitions else {
      throw GrammarError(pointer, "a repetition of '\(text)'")
    }
    return value
  }

  // MARK: Characters

  /// `[]` is no character, `[^]` any.
  private mutating func characters() throws(GrammarError) -> [ClosedRange<UInt32>] {
    let isInverted = take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while !take("]") {
      guard let scalar = current else { throw GrammarError(pointer, "a character class has no end") }
      position += 1
      let first = scalar == "\\" ? try escape() : [scalar.value...scalar.value]
      guard current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
        ranges += first
        continue
      }
      position += 1
      let end = scalars[position]
      position += 1
      let last = end == "\\" ? try escape() : [end.value...end.value]
      guard first.count == 1, last.count == 1, first[0].count == 1, last[0].count == 1,
        first[0].lowerBound <= last[0].lowerBound
      else { throw GrammarError(pointer, "a character range that is none") }
      ranges.append(first[0].lowerBound...last[0].lowerBound)
    }
    return isInverted ? CharacterSet.inverted(ranges) : CharacterSet.merged(ranges)
  }

  private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
  private static let words: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
  private static let spaces: [ClosedRange<UInt32>] = [
    9...13, 32...32, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F, 0x205F...0x205F,
    0x3000...0x3000, 0xFEFF...0xFEFF,
  ]

  private mutating func escape() throws(GrammarError) -> [ClosedRange<UInt32>] {
    guard let scalar = current else { throw GrammarError(pointer, "an escape has no end") }
    position += 1
    func one(_ code: UInt32) -> [ClosedRange<UInt32>] { [code...code] }
    switch scalar {
    case "d": return PatternParser.digits
    case "D": return CharacterSet.inverted(PatternParser.digits)
    case "w": return PatternParser.words
    case "W": return CharacterSet.inverted(PatternParser.words)
    case "s": return PatternParser.spaces
    case "S": return CharacterSet.inverted(PatternParser.spaces)
    case "t": return one(9)
    case "n": return one(10)
    case "v": return one(11)
    case "f": return one(12)
    case "r": return one(13)
    case "x": return one(try hexadecimal(2))
    case "u": return one(try codePoint())
    case _ where scalar.properties.isAlphabetic || ("0"..."9").contains(scalar): throw error("'\\\(scalar)'")
    default: return one(scalar.value)
    }
  }

  /// Behind `\u`; a pair of surrogates is one character, and half of one none.
  private mutating func codePoint() throws(GrammarError) -> UInt32 {
    let first = try hexadecimal(4)
    guard (0xD800...0xDFFF).contains(first) else { return first }
    guard first < 0xDC00, take("\\"), take("u") else { throw error("half of a surrogate pair") }
    let second = try hexadecimal(4)
    guard (0xDC00...0xDFFF).contains(second) else { throw error("half of a surrogate pair") }
    return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
  }

  private mutating func hexadecimal(_ digits: Int) throws(GrammarError) -> UInt32 {
    let end = min(position + digits, scalars.count)
    let code = scalars[position..<end]
    // UInt32 would take a sign.
    guard code.count == digits, code.allSatisfy(\.properties.isASCIIHexDigit),
      let value = UInt32(String(String.UnicodeScalarView(code)), radix: 16)
    else {
      throw GrammarError(pointer, "expected \(digits) hexadecimal digits")
    }
    position = end
    return value
  }

  /// Characters as they stand in a JSON string: quotes, backslashes and control characters behind a backslash.
  private static func escaped(_ ranges: [ClosedRange<UInt32>]) -> Expression {
    let mustBeEscaped = CharacterSet.subtracting(CharacterSet.all, SchemaCompiler.plainCharacters)
    let plain = CharacterSet.subtracting(ranges, mustBeEscaped)
    var choices: [Expression] = plain.isEmpty ? [] : [.characters(plain)]
    for code in mustBeEscaped.joined() where ranges.contains(where: { $0.contains(code) }) {
      choices.append(.text(JSONValue.escape(UInt8(code))))
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }
}
