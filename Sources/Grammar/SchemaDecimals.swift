import OccamCore

extension SchemaCompiler {
  mutating func number(_ schema: JSONValue, at pointer: String) throws(GrammarError) -> Expression {
    func limit(_ name: String) throws(GrammarError) -> Double? {
      guard let value = schema[name] else { return nil }
      // Draft 4 has a boolean there.
      guard let number = value.doubleValue else { throw GrammarError("\(pointer)/\(name)", "is not a number") }
      guard abs(number) < 1e15 else { throw GrammarError("\(pointer)/\(name)", "\(number) is out of range") }
      return number
    }
    let (low, above) = (try limit("minimum"), try limit("exclusiveMinimum"))
    let (high, below) = (try limit("maximum"), try limit("exclusiveMaximum"))
    let least = [low, above].compactMap { $0 }.max()
    let most = [high, below].compactMap { $0 }.min()
    guard least != nil || most != nil else { return try anyNumber() }
    let (leastIsOpen, mostIsOpen) = (least == above, most == below)
    if let least, let most, least > most || (least == most && (leastIsOpen || mostIsOpen)) {
      throw GrammarError(pointer, "no number is from \(least) to \(most)")
    }
    let first = least.map { DecimalLimit($0, isOpen: leastIsOpen) }
    let last = most.map { DecimalLimit($0, isOpen: mostIsOpen) }
    var choices: [Expression] = []
    if least ?? -1 < 0 {
      let nearest = (most ?? 1) <= 0 ? last ?? .zero : .zero
      choices += SchemaCompiler.decimals(nearest, first).map { .sequence([.text("-"), $0]) }
    }
    if (most ?? 1) > 0 || (most == 0 && !mostIsOpen) {
      choices += SchemaCompiler.decimals((least ?? -1) >= 0 ? first ?? .zero : .zero, last)
    }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  /// Numbers from `low` to `high`, neither below 0, with a fraction or without; nil: as far as digits go.
  private static func decimals(_ low: DecimalLimit, _ high: DecimalLimit?) -> [Expression] {
    func whole(_ value: Int, _ fraction: Expression?) -> [Expression] {
      fraction.map { [.sequence([natural(value, value), $0])] } ?? []
    }
    if let high, low.whole == high.whole { return whole(low.whole, DecimalFraction.between(low, high)) }
    let last = high.map { $0.whole - 1 } ?? max(9_999_999_999_999_999, low.whole + 1)
    var choices = whole(low.whole, DecimalFraction.from(low))
    if low.whole < last {
      choices.append(.sequence([natural(low.whole + 1, last), DecimalFraction.from(.zero)]))
    }
    if let high { choices += whole(high.whole, DecimalFraction.to(high)) }
    return choices
  }
}
