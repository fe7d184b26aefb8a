import OccamCore

/// What a text may be: rules that refer to each other, one of which is the whole text.
package struct Grammar: Sendable {
  struct Rule: Sendable {
    let name: String
    var body: Expression
  }

  let rules: [Rule]
  let root: Int
  let limits: GrammarLimits

  init(rules: [Rule], root: Int, limits: GrammarLimits) {
    self.rules = rules
    self.root = root
    self.limits = limits
  }

  /// A grammar in llama.cpp's notation; the text is what the rule `root` describes.
  package init(gbnf text: String, limits: GrammarLimits = GrammarLimits()) throws(GrammarError) {
    var parser = GBNFParser(text, limits: limits)
    self = try parser.grammar()
  }

  /// JSON that is valid by a JSON Schema, compact or with little white space, members in the schema's order.
  package init(schema: JSONValue, limits: GrammarLimits = GrammarLimits()) throws(GrammarError) {
    var compiler = SchemaCompiler(schema, limits: limits)
    self = try compiler.grammar()
  }

  /// Any JSON object.
  package static func json(limits: GrammarLimits = GrammarLimits()) throws(GrammarError) -> Grammar {
    try Grammar(schema: ["type": "object"], limits: limits)
  }

  /// In llama.cpp's notation.
  package var gbnf: String {
    rules.enumerated().map { index, rule in
      "\(index == root ? "root" : Grammar.name(rule.name, index)) ::= \(text(rule.body))\n"
    }.joined()
  }

  private static func name(_ name: String, _ index: Int) -> String {
    let letters = name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
    return "r\(index)-\(String(letters))"
  }

  private func text(_ expression: Expression, inSequence: Bool = false) -> String {
    switch expression {
    case .literal(let bytes): return "\"\(Grammar.quoted(String(decoding: bytes, as: UTF8.self), "\""))\""
    case .characters(let ranges):
      let parts = ranges.map { range -> String in
        let (first, last) = (Grammar.escape(range.lowerBound, "]^-"), Grammar.escape(range.upperBound, "]^-"))
        return range.count == 1 ? first : "\(first)-\(last)"
      }
      return "[\(parts.joined())]"
    case .sequence(let parts):
      return parts.isEmpty ? "\"\"" : parts.map { text($0, inSequence: true) }.joined(separator: " ")
    case .choice(let parts):
      let body = parts.map { text($0) }.joined(separator: " | ")
      return inSequence ? "(\(body))" : body
    case .rule(let index): return index == root ? "root" : Grammar.name(rules[index].name, index)
    case .repetition(let body, let minimum, let maximum):
      let suffix =
        switch (minimum, maximum) {
        case (0, nil): "*"
        case (1, nil): "+"
        case (0, 1): "?"
        case (_, nil): "{\(minimum),}"
        case (_, let maximum?): minimum == maximum ? "{\(minimum)}" : "{\(minimum),\(maximum)}"
        }
      return "(\(text(body)))\(suffix)"
    }
  }

  private static func quoted(_ text: String, _ special: String) -> String {
    text.unicodeScalars.map { escape($0.value, special) }.joined()
  }

  private static func escape(_ code: UInt32, _ special: String) -> String {
    guard let scalar = Unicode.Scalar(code) else { return "\\U\(hexadecimal(code, 8))" }
    if scalar == "\\" || special.unicodeScalars.contains(scalar) { return "\\x\(hexadecimal(code, 2))" }
    if code >= 32, code < 127 { return String(Character(scalar)) }
    return code < 256 ? "\\x\(hexadecimal(code, 2))" : "\\U\(hexadecimal(code, 8))"
  }

  private static func hexadecimal(_ value: UInt32, _ digits: Int) -> String {
    let text = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
