import OccamCore

extension SchemaCompiler {
  static let digit = Expression.characters([0x30...0x39])
  private static let nonZero = Expression.characters([0x31...0x39])
  /// Digits of a number without limits: a model cannot count on for ever, and a binary64 holds no more.
  private static let digits = 16

  /// 0, or digits that do not begin with it.
  private static let whole = Expression.choice([
    .text("0"), .sequence([nonZero, .repetition(digit, minimum: 0, maximum: digits - 1)]),
  ])
  private static let fraction = Expression.sequence([.text("."), .repetition(digit, minimum: 1, maximum: digits)])

  mutating func anyNumber() throws(GrammarError) -> Expression {
    try rule("number") { _ throws(GrammarError) in
      let exponent = Expression.sequence([
        .oneOf("eE"), .optional(.oneOf("+-")), .repetition(SchemaCompiler.digit, minimum: 1, maximum: 2),
      ])
      return .sequence([
        .optional(.text("-")), SchemaCompiler.whole, .optional(SchemaCompiler.fraction), .optional(exponent),
      ])
    }
  }

  mutating func integer(_ schema: JSONValue, at pointer: String) throws(GrammarError) -> Expression {
    let (low, high) = try integerLimits(schema, at: pointer)
    guard low != nil || high != nil else {
      return try rule("integer") { _ throws(GrammarError) in
        .sequence([.optional(.text("-")), SchemaCompiler.whole])
      }
    }
    if let low, let high, low > high { throw GrammarError(pointer, "no number is from \(low) to \(high)") }
    return SchemaCompiler.integers(low, high)
  }

  private func integerLimits(_ schema: JSONValue, at pointer: String) throws(GrammarError) -> (Int?, Int?) {
    func limit(_ name: String, _ rounding: FloatingPointRoundingRule) throws(GrammarError) -> Int? {
      guard let value = schema[name] else { return nil }
      // Draft 4 has a boolean there.
      guard let number = value.doubleValue else { throw GrammarError("\(pointer)/\(name)", "is not a number") }
      // A double does not hold every integer.
      let whole: Int? = if case .integer(let exact) = value { exact } else { Int(exactly: number.rounded(rounding)) }
      guard let whole, whole.magnitude < 1 << 60 else {
        throw GrammarError("\(pointer)/\(name)", "\(value.text()) is out of range")
      }
      return whole
    }
    // The least whole number above a limit is one above the limit rounded down.
    let low = [
      try limit("minimum", .up), try limit("exclusiveMinimum", .down).map { $0 + 1 },
    ].compactMap { $0 }.max()
    let high = [
      try limit("maximum", .down), try limit("exclusiveMaximum", .up).map { $0 - 1 },
    ].compactMap { $0 }.min()
    return (low, high)
  }

  /// Whole numbers from `low` to `high`; nil: as far as digits go, or as an `Int` does where the other limit is beyond.
  private static func integers(_ low: Int?, _ high: Int?) -> Expression {
    let most = 9_999_999_999_999_999
    let (least, last) = (low ?? -1, high ?? 1)
    let low = low ?? (last > -most ? -most : -.max)
    let high = high ?? (least < most ? most : .max)
    var choices: [Expression] = []
    if low < 0 { choices.append(.sequence([.text("-"), natural(max(1, -high), -low)])) }
    if high >= 0 { choices.append(natural(max(low, 0), high)) }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  /// Numbers from `low` to `high`, neither below 0, length by length.
  static func natural(_ low: Int, _ high: Int) -> Expression {
    var choices: [Expression] = []
    var (first, last) = (0, 9)
    while true {
      let (from, to) = (max(low, first), min(high, last))
      if from <= to { choices.append(sameLength(Array("\(from)".utf8), Array("\(to)".utf8))) }
      guard last < high else { break }
      first = last + 1
      let (tens, isTooLong) = last.multipliedReportingOverflow(by: 10)
      let (next, isTooLarge) = tens.addingReportingOverflow(9)
      last = isTooLong || isTooLarge ? .max : next
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private static func sameLength(_ low: [UInt8], _ high: [UInt8]) -> Expression {
    let (zero, nine) = (UInt8(ascii: "0"), UInt8(ascii: "9"))
    guard let first = low.first, let last = high.first else { return .empty }
    func characters(_ from: UInt8, _ to: UInt8) -> Expression { .characters([UInt32(from)...UInt32(to)]) }
    let (lowRest, highRest) = (Array(low.dropFirst()), Array(high.dropFirst()))
    let free = Expression.repetition(digit, minimum: lowRest.count, maximum: lowRest.count)
    if lowRest.allSatisfy({ $0 == zero }), highRest.allSatisfy({ $0 == nine }) {
      return .sequence([characters(first, last), free])
    }
    if first == last { return .sequence([characters(first, first), sameLength(lowRest, highRest)]) }
    var choices = [
      Expression.sequence([characters(first, first), sameLength(lowRest, lowRest.map { _ in nine })])
    ]
    if first + 1 < last { choices.append(.sequence([characters(first + 1, last - 1), free])) }
    choices.append(.sequence([characters(last, last), sameLength(highRest.map { _ in zero }, highRest)]))
    return .choice(choices)
  }
}
