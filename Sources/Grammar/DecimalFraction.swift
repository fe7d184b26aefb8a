/// A limit of numbers, without its sign.
struct DecimalLimit {
  let whole: Int
  /// Behind the point, without zeros at the end.
  let digits: [UInt8]
  /// The limit itself does not belong to the range.
  let isOpen: Bool

  static let zero = DecimalLimit(whole: 0, digits: [], isOpen: false)

  init(whole: Int, digits: [UInt8], isOpen: Bool) {
    self.whole = whole
    self.digits = digits
    self.isOpen = isOpen
  }

  /// Of a value below 10^15.
  init(_ value: Double, isOpen: Bool) {
    // The shortest digits that are this value, as in "2.5" or "1.25e-07".
    let parts = "\(abs(value))".split(separator: "e")
    let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let mantissa = parts[0].split(separator: ".")
    var digits = Array((mantissa.count > 1 ? mantissa[1] : "").utf8)
    var whole = Int(mantissa[0]) ?? 0
    if exponent < 0 {
      digits = [UInt8](repeating: 48, count: -exponent - 1) + Array(mantissa[0].utf8) + digits
      whole = 0
    }
    while digits.last == 48 { digits.removeLast() }
    self.init(whole: whole, digits: digits.map { $0 - 48 }, isOpen: isOpen)
  }
}

/// What may stand behind a number's whole part, digit by digit.
enum DecimalFraction {
  private static func digit(_ low: UInt8, _ high: UInt8) -> Expression {
    .characters([UInt32(low) + 48...UInt32(high) + 48])
  }
  private static let any = Expression.repetition(digit(0, 9), minimum: 0, maximum: 16)
  private static let zeros = Expression.repetition(digit(0, 0), minimum: 0, maximum: 16)
  private static let positive = Expression.sequence([zeros, digit(1, 9), any])
  private static let point = Expression.text(".")

  static func from(_ low: DecimalLimit) -> Expression {
    if low.digits.isEmpty, !low.isOpen { return .optional(.sequence([point, digit(0, 9), any])) }
    return .sequence([point, from(low.digits[...], low.isOpen)])
  }

  /// - Returns: nil if there is no such fraction.
  static func to(_ high: DecimalLimit) -> Expression? {
    guard high.digits.isEmpty else { return .optional(.sequence([point, to(high.digits[...], high.isOpen)])) }
    return high.isOpen ? nil : .optional(.sequence([point, digit(0, 0), zeros]))
  }

  /// Of a range that is not empty, within one whole number.
  static func between(_ low: DecimalLimit, _ high: DecimalLimit) -> Expression? {
    if low.digits.isEmpty, !low.isOpen { return to(high) }
    return .sequence([point, between(low.digits[...], high.digits[...], low.isOpen, high.isOpen)])
  }

  private static func from(_ low: ArraySlice<UInt8>, _ isOpen: Bool) -> Expression {
    guard let first = low.first else { return isOpen ? positive : any }
    let same = Expression.sequence([digit(first, first), from(low.dropFirst(), isOpen)])
    return first == 9 ? same : .choice([.sequence([digit(first + 1, 9), any]), same])
  }

  /// One digit or more; `high` has one.
  private static func to(_ high: ArraySlice<UInt8>, _ isOpen: Bool) -> Expression {
    guard let first = high.first else { return digit(0, 0) }
    var choices: [Expression] = first > 0 ? [.sequence([digit(0, first - 1), any])] : []
    if let rest = behind(high.dropFirst(), isOpen) { choices.append(.sequence([digit(first, first), rest])) }
    return .choice(choices)
  }

  /// Behind digits that are those of the limit so far.
  private static func behind(_ high: ArraySlice<UInt8>, _ isOpen: Bool) -> Expression? {
    high.isEmpty ? (isOpen ? nil : zeros) : .optional(to(high, isOpen))
  }

  private static func between(
    _ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>, _ lowIsOpen: Bool, _ highIsOpen: Bool
  ) -> Expression {
    if low.isEmpty, !lowIsOpen { return behind(high, highIsOpen) ?? zeros }
    let (first, last) = (low.first ?? 0, high.first ?? 0)
    let (lowRest, highRest) = (low.dropFirst(), high.dropFirst())
    if first == last {
      return .sequence([digit(first, first), between(lowRest, highRest, lowIsOpen, highIsOpen)])
    }
    var choices = [Expression.sequence([digit(first, first), from(lowRest, lowIsOpen)])]
    if first + 1 < last { choices.append(.sequence([digit(first + 1, last - 1), any])) }
    if let rest = behind(highRest, highIsOpen) { choices.append(.sequence([digit(last, last), rest])) }
    return .choice(choices)
  }
}
