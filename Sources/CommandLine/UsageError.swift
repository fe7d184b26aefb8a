/// A command line that cannot be understood; exit code 2.
package enum UsageError: Error, Equatable, CustomStringConvertible {
  case unknownFlag(String, nearest: String?)
  case missingValue(flag: String, expected: String, found: String?)
  case invalidValue(flag: String, value: String, expected: String)
  case unexpectedValue(flag: String, value: String)
  case missingFlag(String)
  case missingOperand(String)
  case unexpectedOperand(String)
  /// Anything a tool itself finds wrong with its flags together.
  case invalid(String)

  package var description: String {
    switch self {
    case .unknownFlag(let flag, let nearest?): "unknown flag '\(flag)'; did you mean '\(nearest)'?"
    case .unknownFlag(let flag, nil): "unknown flag '\(flag.prefix(80))'"
    case .missingValue(let flag, let expected, let found?):
      "\(flag) needs \(expected), but the flag '\(found)' follows (write \(flag)=\(found) if that is the value)"
    case .missingValue(let flag, let expected, nil): "\(flag) needs \(expected)"
    case .invalidValue(let flag, let value, let expected): "\(flag): expected \(expected), found '\(value)'"
    case .unexpectedValue(let flag, let value): "\(flag) takes no value, found '\(value)'"
    case .missingFlag(let flag): "\(flag) is required"
    case .missingOperand(let name): "\(name) is missing"
    case .unexpectedOperand(let text): "unexpected argument '\(text)'"
    case .invalid(let reason): reason
    }
  }
}

/// Finds what a mistyped name was meant to be.
package enum NearestName {
  /// The candidate with the fewest edits, if they are few for the name's length (of equals one as long as the name,
  /// then the first); else one that the name begins.
  package static func find(_ name: String, among candidates: [String]) -> String? {
    let wanted = letters(name)
    guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
    var best: (distance: Int, resize: Int, name: String)?
    for candidate in candidates {
      let other = letters(candidate)
      let distance = editDistance(wanted, other)
      let resize = abs(wanted.count - other.count)
      if best.map({ (distance, resize) < ($0.distance, $0.resize) }) ?? true { best = (distance, resize, candidate) }
    }
    if let best, best.distance <= (wanted.count + 2) / 3, best.distance < wanted.count { return best.name }
    return wanted.count < 3 ? nil : candidates.first { letters($0).starts(with: wanted) }
  }

  private static func letters(_ name: String) -> [Character] { Array(name.drop { $0 == "-" }) }

  /// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
  static func editDistance(_ left: [Character], _ right: [Character]) -> Int {
    var older: [Int] = []
    var previous = Array(0...right.count)
    for i in left.indices {
      var row = [i + 1]
      for j in right.indices {
        var least = min(previous[j + 1], row[j]) + 1
        least = min(least, previous[j] + (left[i] == right[j] ? 0 : 1))
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { least = min(least, older[j - 1] + 1) }
        row.append(least)
      }
      older = previous
      previous = row
    }
    return previous[right.count]
  }
}
