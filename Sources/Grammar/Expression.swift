/// What a rule's text may be.
indirect enum Expression: Sendable {
  /// These bytes, UTF-8.
  case literal([UInt8])
  /// One character of these; ascending, disjoint.
  case characters([ClosedRange<UInt32>])
  case sequence([Expression])
  case choice([Expression])
  /// A rule by its number.
  case rule(Int)
  /// - maximum: nil: without end.
  case repetition(Expression, minimum: Int, maximum: Int?)

  static let empty = Expression.sequence([])
  static func text(_ text: String) -> Expression { .literal(Array(text.utf8)) }
  static func optional(_ expression: Expression) -> Expression {
    .repetition(expression, minimum: 0, maximum: 1)
  }
  static func oneOf(_ characters: String) -> Expression {
    .characters(CharacterSet.merged(characters.unicodeScalars.map { $0.value...$0.value }))
  }
}

/// Sets of characters as ranges of code points.
enum CharacterSet {
  static let last: UInt32 = 0x10FFFF
  static let all: [ClosedRange<UInt32>] = [0...last]

  /// Ascending and disjoint.
  static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    var result: [ClosedRange<UInt32>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let before = result.last, range.lowerBound <= before.upperBound || range.lowerBound == before.upperBound + 1 {
        result[result.count - 1] = before.lowerBound...max(before.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// All others.
  static func inverted(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    var result: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in merged(ranges) {
      if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= last { result.append(next...last) }
    return result
  }

  static func subtracting(_ ranges: [ClosedRange<UInt32>], _ others: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    inverted(inverted(ranges) + others)
  }
}
