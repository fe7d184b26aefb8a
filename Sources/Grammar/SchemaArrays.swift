import OccamCore

extension SchemaCompiler {
  mutating func array(_ schema: JSONValue, at pointer: String, depth: Int) throws(GrammarError) -> Expression {
    let space = try space()
    if let prefix = schema["prefixItems"]?.arrayValue ?? schema["items"]?.arrayValue {
      return try tuple(prefix, schema, at: pointer, depth: depth)
    }
    let (minimum, maximum) = try bounds(schema, "minItems", "maxItems", at: pointer)
    let item: Expression
    if let items = schema["items"] {
      item = try expression(items, at: "\(pointer)/items", depth: depth + 1)
    } else {
      item = try anyValue()
    }
    var element = Expression.sequence([item, space])
    if maximum != nil || minimum > 1 { element = try newRule("\(pointer)/items", element) }
    return list("[", "]", element, space, minimum, maximum)
  }

  /// Without limits on the length a tuple is whole, and nothing is behind it unless `items` says what.
  private mutating func tuple(
    _ prefix: [JSONValue], _ schema: JSONValue, at pointer: String, depth: Int
  ) throws(GrammarError) -> Expression {
    var (minimum, maximum) = try bounds(schema, "minItems", "maxItems", at: pointer)
    if schema["minItems"] == nil { minimum = min(prefix.count, maximum ?? .max) }
    let name = schema["prefixItems"] == nil ? "items" : "prefixItems"
    guard prefix.count <= limits.repetitions else {
      throw GrammarError("\(pointer)/\(name)", "\(prefix.count) places are above \(limits.repetitions)")
    }
    let (space, comma) = (try space(), Expression.text(","))
    var rest: JSONValue? = name == "items" || schema["items"] == .bool(false) ? nil : schema["items"]
    if rest == nil, minimum > prefix.count {
      guard schema["items"] != .bool(false) else { throw GrammarError(pointer, "minItems is above what items allows") }
      rest = .bool(true)
    }
    var tail = Expression.empty
    if let rest, maximum ?? .max > prefix.count {
      let value = try expression(rest, at: "\(pointer)/items", depth: depth + 1)
      let item = try newRule("\(pointer)/items", .sequence([value, space]))
      let first = prefix.isEmpty ? Expression.empty : .sequence([comma, space])
      let more = Expression.repetition(
        .sequence([comma, space, item]), minimum: max(minimum - prefix.count - 1, 0),
        maximum: maximum.map { $0 - prefix.count - 1 })
      tail = .sequence([first, item, more])
      if minimum <= prefix.count { tail = .optional(tail) }
    }
    let count = min(prefix.count, maximum ?? .max)
    for index in (0..<count).reversed() {
      let item = try expression(prefix[index], at: "\(pointer)/\(name)/\(index)", depth: depth + 1)
      tail = .sequence((index > 0 ? [comma, space] : []) + [item, space, tail])
      if index >= minimum { tail = .optional(tail) }
      // A rule, so that tails do not stand within each other.
      tail = try newRule("\(pointer)/\(name)/\(index)", tail)
    }
    return .sequence([.text("["), space, tail, .text("]")])
  }

  /// A pair of limits on a count.
  func bounds(
    _ schema: JSONValue, _ least: String, _ most: String, at pointer: String
  ) throws(GrammarError) -> (Int, Int?) {
    func count(_ name: String) throws(GrammarError) -> Int? {
      guard let value = schema[name] else { return nil }
      guard let count = value.intValue, count >= 0 else { throw GrammarError("\(pointer)/\(name)", "is not a count") }
      guard count <= limits.repetitions else {
        throw GrammarError("\(pointer)/\(name)", "\(count) is above \(limits.repetitions)")
      }
      return count
    }
    let (minimum, maximum) = (try count(least) ?? 0, try count(most))
    if let maximum, maximum < minimum { throw GrammarError(pointer, "\(most) is below \(least)") }
    return (minimum, maximum)
  }
}
