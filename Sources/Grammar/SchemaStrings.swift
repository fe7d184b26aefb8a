import OccamCore

extension SchemaCompiler {
  mutating func anyString() throws(GrammarError) -> Expression {
    try rule("string") { compiler throws(GrammarError) in
      let quote = Expression.text("\"")
      return .sequence([quote, .repetition(try compiler.character(), minimum: 0, maximum: nil), quote])
    }
  }

  private static func hexadecimal(_ count: Int) -> Expression {
    .repetition(.characters([0x30...0x39, 0x41...0x46, 0x61...0x66]), minimum: count, maximum: count)
  }

  /// One character of a JSON string; a pair of surrogates is one.
  private mutating func character() throws(GrammarError) -> Expression {
    try rule("character") { _ throws(GrammarError) in
      let hexadecimal = SchemaCompiler.hexadecimal
      let single = Expression.choice([
        .sequence([.characters([0x30...0x39, 0x41...0x43, 0x45...0x46, 0x61...0x63, 0x65...0x66]), hexadecimal(3)]),
        .sequence([.oneOf("dD"), .characters([0x30...0x37]), hexadecimal(2)]),
      ])
      let pair = Expression.sequence([
        .oneOf("dD"), .oneOf("89abAB"), hexadecimal(2), .text("\\u"), .oneOf("dD"), .oneOf("cdefCDEF"), hexadecimal(2),
      ])
      let escape = Expression.sequence([
        .text("\\"), .choice([.oneOf("\"\\/bfnrt"), .sequence([.text("u"), .choice([single, pair])])]),
      ])
      return .choice([.characters(SchemaCompiler.plainCharacters), escape])
    }
  }

  mutating func string(_ schema: JSONValue, at pointer: String) throws(GrammarError) -> Expression {
    let quote = Expression.text("\"")
    let hasLength = schema["minLength"] != nil || schema["maxLength"] != nil
    let format = schema["format"]?.stringValue.flatMap { SchemaCompiler.formats[$0] }
    if let pattern = schema["pattern"] {
      guard let pattern = pattern.stringValue else { throw GrammarError("\(pointer)/pattern", "is not a string") }
      guard !hasLength else { throw GrammarError("\(pointer)/pattern", "is not supported beside limits on the length") }
      guard format == nil else { throw GrammarError("\(pointer)/format", "is not supported beside pattern") }
      var parser = PatternParser(pattern, at: "\(pointer)/pattern", limits: limits)
      return .sequence([quote, try parser.expression(), quote])
    }
    if let format {
      guard !hasLength else { throw GrammarError("\(pointer)/format", "is not supported beside limits on the length") }
      return .sequence([quote, format, quote])
    }
    guard hasLength else { return try anyString() }
    let (minimum, maximum) = try bounds(schema, "minLength", "maxLength", at: pointer)
    return .sequence([quote, .repetition(try character(), minimum: minimum, maximum: maximum), quote])
  }

  /// Formats that a grammar can hold a text to; others say nothing (JSON Schema calls them annotations).
  private static let formats: [String: Expression] = {
    func digits(_ least: Int, _ most: Int? = nil) -> Expression {
      .repetition(SchemaCompiler.digit, minimum: least, maximum: most ?? least)
    }
    func upTo(_ tens: String, _ lastTen: String, _ lastOnes: String) -> Expression {
      .choice([.sequence([.oneOf(tens), digits(1)]), .sequence([.text(lastTen), .oneOf(lastOnes)])])
    }
    let month = Expression.choice([
      .sequence([.text("0"), .oneOf("123456789")]), .sequence([.text("1"), .oneOf("012")]),
    ])
    let day = Expression.choice([
      .sequence([.text("0"), .oneOf("123456789")]), .sequence([.oneOf("12"), digits(1)]),
      .sequence([.text("3"), .oneOf("01")]),
    ])
    let date = Expression.sequence([digits(4), .text("-"), month, .text("-"), day])
    let hour = upTo("01", "2", "0123")
    let sixty = Expression.sequence([.oneOf("012345"), digits(1)])
    let zone = Expression.choice([.text("Z"), .sequence([.oneOf("+-"), hour, .text(":"), sixty])])
    let part = Expression.optional(.sequence([.text("."), digits(1, 9)]))
    let time = Expression.sequence([hour, .text(":"), sixty, .text(":"), sixty, part, zone])
    let dash = Expression.text("-")
    let uuid = Expression.sequence([
      hexadecimal(8), dash, hexadecimal(4), dash, hexadecimal(4), dash, hexadecimal(4), dash, hexadecimal(12),
    ])
    return ["date": date, "time": time, "date-time": .sequence([date, .text("T"), time]), "uuid": uuid]
  }()
}
